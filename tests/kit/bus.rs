//! The bus: each line of its contract.

use crate::{ms, root, throw, timeless, until};
use ironsys::bus::{Bus, Handler, PublishError, SubscribeError};
use ironsys::channel::{Overflow, RecvError, TryRecvError};
use proptest::prelude::*;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

#[test]
fn a_handler_whose_context_has_stopped_holds_nobody_up() {
    let (ctx, _cancel) = root();
    let (under, cancel) = root();
    let bus = Bus::new();
    let handler = bus.subscriber("t").queue(1).context(&under).handler(|_, _: u32| ()).unwrap();
    cancel.cancel();
    for n in 0..5 {
        bus.publish(&ctx, &"t", n).unwrap();
    }
    drop(handler);
}

#[test]
fn a_handler_drained_by_its_own_call_hands_back_the_rest() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let (give, take) = mpsc::channel::<Handler<u32>>();
    let (done, is_done) = mpsc::channel();
    let under = ctx.clone();
    let handler = bus.subscriber("t").handler(move |_, _| {
        let report = take.recv().unwrap().drain(&under);
        done.send((report.handled, report.undelivered)).unwrap();
    });
    bus.publish(&ctx, &"t", 1).unwrap();
    bus.publish(&ctx, &"t", 2).unwrap();
    give.send(handler.unwrap()).unwrap();
    assert_eq!(is_done.recv().unwrap(), (0, vec![2]));
}

/// All are one topic. The drop of one asks the bus; the hash of one panics.
#[derive(Clone)]
struct Topic(Option<Lent>, bool);

/// A bus that a topic of it can reach.
type Lent = Arc<Mutex<Option<Bus<Topic, u32>>>>;

impl PartialEq for Topic {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Topic {}

impl std::hash::Hash for Topic {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {
        if self.1 {
            throw("no hash");
        }
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let bus = self.0.as_ref().and_then(|bus| bus.lock().unwrap().clone());
        let _ = bus.map(|bus| bus.stats());
    }
}

#[test]
fn a_topic_is_not_dropped_under_the_lock() {
    let bus = Bus::new();
    let slot = Arc::new(Mutex::new(Some(bus.clone())));
    let _first = bus.subscribe(Topic(None, false)).unwrap();
    let second = bus.subscribe(Topic(Some(slot.clone()), false)).unwrap();
    drop(second);
    slot.lock().unwrap().take();
    assert_eq!(bus.stats().subscriptions, 1);
}

#[test]
fn a_topic_whose_hash_panics_takes_no_place() {
    let bus: Bus<Topic, u32> = Bus::builder().max_subscriptions(1).build().unwrap();
    let out = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        std::mem::forget(bus.subscribe(Topic(None, true)));
    }));
    assert!(out.is_err());
    assert!(bus.subscribe(Topic(None, false)).is_ok());
}

#[test]
fn a_message_goes_to_everybody_subscribed_to_its_topic_and_to_nobody_else() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let (a, b) = (bus.subscribe("x").unwrap(), bus.subscribe("x").unwrap());
    let other = bus.subscribe("y").unwrap();
    assert_eq!(bus.publish(&ctx, &"x", 1).unwrap().delivered, 2);
    let late = bus.subscribe("x").unwrap();
    assert_eq!(bus.publish(&ctx, &"x", 2).unwrap().delivered, 3);
    assert_eq!((a.drain(), b.drain(), late.drain()), (vec![1, 2], vec![1, 2], vec![2]));
    assert!(other.is_empty());
    assert_eq!(bus.publish(&ctx, &"z", 3).unwrap().delivered, 0);
    let stats = bus.stats();
    assert_eq!((stats.published, stats.unheard, stats.delivered), (3, 1, 5));
}

#[test]
fn a_subscription_that_goes_is_gone_and_so_is_its_topic() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let (a, b) = (bus.subscribe(1).unwrap(), bus.subscribe(1).unwrap());
    assert_eq!((bus.subscribers(&1), bus.stats().topics), (2, 1));
    drop(a);
    assert_eq!(bus.publish(&ctx, &1, "m").unwrap().delivered, 1);
    drop(b);
    assert_eq!((bus.subscribers(&1), bus.stats().topics, bus.stats().subscriptions), (0, 0, 0));
}

#[test]
fn what_one_publishes_comes_in_order_and_exactly_once() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let subs: Vec<_> = [0, 1, 16].map(|n| bus.subscriber(()).queue(n).subscribe().unwrap()).into();
    std::thread::scope(|s| {
        let readers: Vec<_> = subs
            .into_iter()
            .map(|sub| s.spawn(move || sub.iter(&root().0).collect::<Vec<_>>()))
            .collect();
        std::thread::scope(|s| {
            for me in 0..3_u32 {
                let (bus, ctx) = (&bus, &ctx);
                s.spawn(move || {
                    for i in 0..200 {
                        assert_eq!(bus.publish(ctx, &(), (me, i)).unwrap().delivered, 3);
                    }
                });
            }
        });
        bus.close();
        for reader in readers {
            let all = reader.join().unwrap();
            assert_eq!(all.len(), 600);
            for me in 0..3 {
                assert!(all.iter().filter(|m| m.0 == me).map(|m| m.1).eq(0..200));
            }
        }
    });
}

#[test]
fn one_that_is_slow_holds_nobody_up_unless_it_is_to() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let rejecting = bus.subscriber(()).queue(1).overflow(Overflow::Reject).subscribe().unwrap();
    let latest = bus.subscriber(()).queue(1).overflow(Overflow::DropOldest).subscribe().unwrap();
    for i in 0..4 {
        let out = bus.publish(&ctx, &(), i).unwrap();
        assert_eq!((out.delivered, out.rejected), if i == 0 { (2, 0) } else { (1, 1) });
    }
    assert_eq!((rejecting.drain(), latest.drain()), (vec![0], vec![3]));
    assert_eq!(latest.stats().ledger.dropped, 3);

    let blocking = bus.subscriber(()).queue(1).subscribe().unwrap();
    bus.publish(&ctx, &(), 10).unwrap();
    let (quick, seen) = (bus.subscribe(()).unwrap(), bus.subscribe(()).unwrap());
    std::thread::scope(|s| {
        let publisher = s.spawn(|| bus.publish(&ctx, &(), 11).unwrap().delivered);
        // Those with room have it although the publisher waits for another.
        assert_eq!((quick.recv(&ctx), seen.recv(&ctx)), (Ok(11), Ok(11)));
        until(|| blocking.stats().blocked_senders == 1);
        assert_eq!(blocking.recv(&ctx), Ok(10));
        assert_eq!(publisher.join().unwrap(), 4);
    });
    assert_eq!(blocking.recv(&ctx), Ok(11));
}

#[test]
fn a_publish_that_is_cut_short_says_how_many_have_it() {
    let (time, ctx, _cancel) = timeless();
    let bus = Bus::new();
    let full = bus.subscriber(()).queue(1).subscribe().unwrap();
    bus.publish(&ctx, &(), "first").unwrap();
    let with_room = bus.subscribe(()).unwrap();
    let short = ctx.with_timeout(ms(10));
    std::thread::scope(|s| {
        let publisher = s.spawn(|| bus.publish(&short, &(), "second"));
        until(|| time.pending() == 1);
        time.advance(ms(10));
        let e = publisher.join().unwrap().unwrap_err();
        assert!(
            matches!(e, PublishError::Stopped { message: "second", delivered: 1, .. }),
            "{e:?}"
        );
    });
    assert_eq!((full.drain(), with_room.drain()), (vec!["first"], vec!["second"]));
    // A stopped context reaches nobody.
    let e = bus.publish(&short, &(), "third").unwrap_err();
    assert!(matches!(e, PublishError::Stopped { delivered: 0, .. }));
    assert_eq!((e.into_inner(), with_room.len()), ("third", 0));
}

#[test]
fn one_that_unsubscribes_lets_a_publisher_go_that_waits_for_it() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let full = bus.subscriber(()).queue(0).subscribe().unwrap();
    std::thread::scope(|s| {
        let publisher = s.spawn(|| bus.publish(&ctx, &(), 1).unwrap().delivered);
        until(|| full.stats().blocked_senders == 1);
        drop(full);
        assert_eq!(publisher.join().unwrap(), 0);
    });
}

#[test]
fn closing_ends_subscriptions_after_what_they_have() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let sub = bus.subscribe(()).unwrap();
    bus.publish(&ctx, &(), 1).unwrap();
    assert!(bus.close() && !bus.close());
    assert_eq!(bus.publish(&ctx, &(), 2).unwrap_err().into_inner(), 2);
    assert_eq!(bus.try_publish(&(), 2).unwrap_err().into_inner(), 2);
    assert_eq!(bus.subscribe(()).unwrap_err(), SubscribeError::Closed);
    assert_eq!((sub.recv(&ctx), sub.recv(&ctx)), (Ok(1), Err(RecvError::Closed)));
    // The last handle closes, too.
    let bus = Bus::<_, u8>::new();
    let sub = bus.clone().subscribe(()).unwrap();
    drop(bus);
    assert_eq!(sub.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn the_number_of_subscriptions_is_bounded() {
    let bus = Bus::<u8, ()>::builder().max_subscriptions(2).build().unwrap();
    let (first, _second) = (bus.subscribe(1).unwrap(), bus.subscribe(2).unwrap());
    assert_eq!(bus.subscribe(3).unwrap_err(), SubscribeError::TooMany(2));
    drop(first);
    assert!(bus.subscribe(3).is_ok());
    let field = |b: ironsys::bus::BusBuilder<u8, ()>| b.build().unwrap_err().field();
    assert_eq!(field(Bus::builder().max_subscriptions(0)), "max_subscriptions");
    assert_eq!(field(Bus::builder().name("\0")), "name");
    let lossy = bus.subscriber(9).queue(0).overflow(Overflow::DropOldest);
    let SubscribeError::Build(e) = lossy.subscribe().unwrap_err() else { panic!() };
    assert_eq!((e.field(), bus.stats().subscriptions), ("overflow", 1));
}

#[test]
fn a_handler_is_called_one_message_after_the_other_and_survives_its_panics() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let inside = Arc::new(Mutex::new(()));
    let handler = bus
        .subscriber("t")
        .queue(4)
        .handler(move |_, n: u32| {
            let _alone = inside.try_lock().expect("two calls at a time");
            log.lock().unwrap().push(n);
            if n.is_multiple_of(3) {
                drop(_alone);
                throw("three");
            }
        })
        .unwrap();
    let witness = bus.subscriber("t").queue(100).subscribe().unwrap();
    for n in 0..30 {
        assert_eq!(bus.publish(&ctx, &"t", n).unwrap().delivered, 2);
    }
    let report = handler.drain(&ctx);
    assert_eq!((report.handled, report.panicked, report.undelivered.len()), (20, 10, 0));
    assert!(seen.lock().unwrap().iter().copied().eq(0..30));
    assert_eq!((witness.len(), bus.stats().subscriptions), (30, 1));
}

#[test]
fn dropping_a_handler_cancels_its_call_and_drops_its_queue() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let (begun, has_begun) = mpsc::channel();
    let (lost, losses) = mpsc::channel();
    let handler = bus
        .subscriber(())
        .on_drop(move |m| lost.send(m).unwrap())
        .handler(move |ctx, _| {
            begun.send(()).unwrap();
            ctx.wait_stopped();
        })
        .unwrap();
    for n in 0..3 {
        bus.publish(&ctx, &(), n).unwrap();
    }
    has_begun.recv().unwrap();
    let ledger = handler.stats().ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 3, "{ledger}");
    drop(handler);
    assert_eq!(losses.iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(bus.stats().subscriptions, 0);
}

#[test]
fn a_drain_out_of_time_hands_back_what_had_no_turn() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let (begun, has_begun) = mpsc::channel();
    let handler = bus
        .subscriber(())
        .handler(move |ctx, _| {
            begun.send(()).unwrap();
            ctx.wait_stopped();
        })
        .unwrap();
    for n in 0..3 {
        bus.publish(&ctx, &(), n).unwrap();
    }
    has_begun.recv().unwrap();
    let report = handler.drain(&ctx.with_timeout(Duration::ZERO));
    assert_eq!((report.handled, report.undelivered), (1, vec![1, 2]));
}

#[test]
fn a_handler_may_drop_itself() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let slot = Arc::new(Mutex::new(None));
    let mine = slot.clone();
    let (done, is_done) = mpsc::channel();
    let handler = bus
        .subscriber(())
        .handler(move |_, n: u32| {
            drop(mine.lock().unwrap().take());
            done.send(n).unwrap();
        })
        .unwrap();
    *slot.lock().unwrap() = Some(handler);
    bus.publish(&ctx, &(), 1).unwrap();
    assert_eq!(is_done.recv(), Ok(1));
    until(|| bus.subscribers(&()) == 0);
    assert!(is_done.recv().is_err(), "the thread is gone, and the closure with it");
}

#[test]
fn a_handler_may_publish() {
    let (ctx, _cancel) = root();
    let bus = Bus::new();
    let out = bus.subscribe("out").unwrap();
    let relay = bus.clone();
    let handler =
        bus.subscriber("in").handler(move |ctx, n| drop(relay.publish(ctx, &"out", n + 1)));
    bus.publish(&ctx, &"in", 1).unwrap();
    assert_eq!(out.recv(&ctx), Ok(2));
    drop(handler);
}

#[derive(Debug, Clone)]
enum Act {
    Subscribe(u8),
    Unsubscribe(prop::sample::Index),
    Publish(u8),
    Receive(prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => (0..3_u8).prop_map(Act::Subscribe),
        1 => index().prop_map(Act::Unsubscribe),
        5 => (0..3_u8).prop_map(Act::Publish),
        3 => index().prop_map(Act::Receive),
    ]
}

proptest! {
    /// Against lists: who is subscribed to what, and what is in each queue of two.
    #[test]
    fn a_bus_does_what_the_model_does(acts in prop::collection::vec(act(), 0..60)) {
        let bus = Bus::new();
        let mut subs = Vec::new();
        for (n, act) in acts.into_iter().enumerate() {
            match act {
                Act::Subscribe(topic) => {
                    let sub = bus.subscriber(topic).queue(2).subscribe().unwrap();
                    subs.push((sub, topic, Vec::new()));
                }
                Act::Unsubscribe(i) if !subs.is_empty() => {
                    let i = i.index(subs.len());
                    drop(subs.remove(i));
                }
                Act::Publish(topic) => {
                    let out = bus.try_publish(&topic, n).unwrap();
                    let (mut delivered, mut rejected) = (0, 0);
                    for (_, _, queue) in subs.iter_mut().filter(|sub| sub.1 == topic) {
                        if queue.len() < 2 {
                            queue.push(n);
                            delivered += 1;
                        } else {
                            rejected += 1;
                        }
                    }
                    prop_assert_eq!((out.delivered, out.rejected), (delivered, rejected));
                }
                Act::Receive(i) if !subs.is_empty() => {
                    let i = i.index(subs.len());
                    let (sub, _, queue) = &mut subs[i];
                    let expected = if queue.is_empty() { None } else { Some(queue.remove(0)) };
                    prop_assert_eq!(sub.try_recv().ok(), expected);
                }
                _ => {}
            }
            prop_assert_eq!(bus.stats().subscriptions, subs.len());
        }
    }
}
