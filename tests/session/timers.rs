//! Messages that come later, and the ends of others.

use crate::{Cmd, Counter, both, clocked, next, root, run};
use ironsys::Context;
use ironsys::channel::Overflow;
use ironsys::session::Builder;
use ironsys::time::VirtualClock;
use std::sync::mpsc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A manager under a clock that the test moves.
fn timed(builder: Builder<Counter>) -> (VirtualClock, Context, Builder<Counter>) {
    let (time, ctx, _cancel) = clocked();
    let builder = builder.context(&ctx).stuck_after(Duration::MAX);
    (time, ctx, builder)
}

#[test]
fn a_delayed_message_comes_at_its_time_unless_it_is_taken_back() {
    both(|builder| {
        let (time, ctx, builder) = timed(builder);
        let manager = builder.build().unwrap();
        let set = run(|_, cx| {
            cx.after(SECOND, Cmd::Add(1));
            let never = cx.after(SECOND, Cmd::Add(100));
            assert!(cx.cancel(never) && !cx.cancel(never));
            cx.after(Duration::MAX, Cmd::Add(1000));
        });
        manager.tell(&ctx, &1, set).unwrap();
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
        time.advance(SECOND - Duration::from_nanos(1));
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
        time.advance(Duration::from_nanos(1));
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 1);
    });
}

#[test]
fn a_periodic_message_comes_every_period_until_the_session_ends() {
    both(|builder| {
        let (time, ctx, builder) = timed(builder);
        let manager = builder.build().unwrap();
        let set = run(|_, cx| {
            cx.every(SECOND, || Cmd::Add(1));
        });
        manager.tell(&ctx, &1, set).unwrap();
        for n in 0..5 {
            assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), n);
            time.advance(SECOND);
        }
        manager.stop(&ctx, &1).unwrap();
        assert_eq!(time.pending(), 0);
    });
}

#[test]
fn who_watches_is_told_of_the_end_once_and_also_afterwards() {
    both(|builder| {
        let (_time, ctx, builder) = timed(builder);
        let manager = builder.build().unwrap();
        let other = manager.get_or_start(&ctx, &2).unwrap();
        let watched = other.clone();
        let watch = run(move |_, cx| cx.watch(&watched, |id, _| Cmd::Add(*id)));
        manager.tell(&ctx, &1, watch).unwrap();
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
        manager.stop(&ctx, &2).unwrap();
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 2);
        let (tx, rx) = mpsc::channel();
        other.on_end(move |id, reason| tx.send((*id, reason.is_normal())).unwrap());
        assert_eq!(next(&rx), (2, true));
    });
}

#[test]
fn a_priority_and_a_beat_that_panic_stop_no_timer() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let priority = |cmd: &Cmd| match cmd {
            Cmd::Add(_) => std::panic::resume_unwind(Box::new("no rank")),
            _ => 0,
        };
        let manager = builder.overflow(Overflow::drop_lowest(priority)).build().unwrap();
        let (told, beats) = mpsc::channel();
        let soon = Duration::from_millis(1);
        let mut n = 0;
        let set = run(move |_, cx| {
            cx.after(soon, Cmd::Add(1));
            cx.every(soon, move || {
                n += 1;
                let told = told.clone();
                match n {
                    1 => Cmd::Add(1),
                    2 => std::panic::resume_unwind(Box::new("no beat")),
                    n => run(move |_, _| {
                        let _ = told.send(n);
                    }),
                }
            });
        });
        manager.tell(&ctx, &1, set).unwrap();
        assert_eq!(next(&beats), 3);
    });
}
