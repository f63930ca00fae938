//! The bus: who is subscribed gets each message once, in order; who goes leaves nothing behind.

use crate::{Count, join, model, spawn};
use ironsys::Context;
use ironsys::bus::Bus;
use ironsys::channel::RecvError;
use ironsys::sync::InjectedPanic;

/// Somebody unsubscribes while a publisher waits for him and another.
#[test]
fn unsubscribe_vs_publish() {
    model("bus::unsubscribe_vs_publish", || {
        let (ctx, _cancel) = Context::root();
        let bus = Bus::new();
        let goes = bus.subscriber(()).queue(0).subscribe().expect("open");
        let stays = bus.subscriber(()).queue(1).subscribe().expect("open");
        let leaver = spawn(move || drop(goes));
        let out = bus.publish(&ctx, &(), 7).expect("nobody cancels");
        assert_eq!((out.delivered, out.rejected), (1, 0));
        join(leaver);
        assert_eq!((stays.try_recv(), bus.stats().subscriptions), (Ok(7), 1));
    });
}

/// Somebody subscribes while two messages are published: he misses the first ones, or none.
#[test]
fn subscribe_vs_publish() {
    model("bus::subscribe_vs_publish", || {
        let (ctx, _cancel) = Context::root();
        let bus = Bus::new();
        let publisher = spawn({
            let (ctx, bus) = (ctx.clone(), bus.clone());
            move || [1, 2].map(|n| bus.publish(&ctx, &(), n).expect("open").delivered)
        });
        let late = bus.subscriber(()).queue(2).subscribe().expect("open");
        let heard = join(publisher);
        let expected = [1, 2].into_iter().zip(heard).filter(|(_, n)| *n == 1).map(|(m, _)| m);
        assert!(late.drain().into_iter().eq(expected));
    });
}

/// Closing beside a publisher and a receiver: the message is received, or refused.
#[test]
fn close_vs_publish() {
    model("bus::close_vs_publish", || {
        let (ctx, _cancel) = Context::root();
        let bus = Bus::new();
        let sub = bus.subscriber(()).queue(1).subscribe().expect("open");
        let publisher = spawn({
            let (ctx, bus) = (ctx.clone(), bus.clone());
            move || bus.publish(&ctx, &(), 7).map_or(0, |out| out.delivered)
        });
        bus.close();
        let got = sub.recv(&ctx);
        let delivered = join(publisher);
        assert_eq!(got, if delivered == 1 { Ok(7) } else { Err(RecvError::Closed) });
    });
}

/// A handler that panics goes on; draining it handles all.
#[test]
fn handler_vs_drain() {
    model("bus::handler_vs_drain", || {
        let (ctx, _cancel) = Context::root();
        let (bus, seen) = (Bus::new(), Count::default());
        let count = seen.clone();
        let handler = bus
            .subscriber(())
            .queue(2)
            .handler(move |_, n| {
                if count.enter() == 0 {
                    std::panic::resume_unwind(Box::new(InjectedPanic));
                }
                assert_eq!(n, 2);
            })
            .expect("there are threads");
        for n in 1..3 {
            bus.publish(&ctx, &(), n).expect("open");
        }
        let ledger = handler.stats().ledger;
        assert!(ledger.is_balanced());
        let report = handler.drain(&ctx);
        assert_eq!((report.handled, report.panicked, seen.get()), (1, 1, 2));
        assert_eq!(bus.stats().subscriptions, 0);
    });
}

/// A handler dropped while a message comes.
#[test]
fn handler_drop_vs_publish() {
    model("bus::handler_drop_vs_publish", || {
        let (ctx, _cancel) = Context::root();
        let (bus, seen) = (Bus::new(), Count::default());
        let count = seen.clone();
        let handler = bus.subscriber(()).queue(1).handler(move |_, ()| count.add(1));
        let publisher = spawn({
            let bus = bus.clone();
            move || bus.publish(&ctx, &(), ()).expect("open").delivered
        });
        drop(handler);
        assert!(seen.get() <= join(publisher));
        assert_eq!(bus.subscribers(&()), 0);
    });
}
