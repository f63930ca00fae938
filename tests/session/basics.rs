//! Telling, asking, starting and stopping.

use crate::{Cmd, Counter, Notes, Oops, both, next, noted, patience, root, run, until};
use ironsys::Stop;
use ironsys::channel::{self, Overflow};
use ironsys::session::{AskError, Failure, Manager, Reason, StartError, TellError};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn what_is_told_is_handled_in_order() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.build().unwrap();
        let (seen, order) = mpsc::channel();
        for n in 0..1000_u64 {
            let seen = seen.clone();
            manager.tell(&ctx, &(n % 3), run(move |_, _| seen.send(n).unwrap())).unwrap();
        }
        let closed = manager.close(&ctx);
        assert!(closed.in_time && closed.ledger.is_balanced());
        assert_eq!((closed.ledger.accepted, closed.ledger.done), (1000, 1000));
        drop(seen);
        all_in_order(&order);
    });
}

/// A thousand numbers for three sessions, for each in the order in which they were told.
fn all_in_order(order: &mpsc::Receiver<u64>) {
    let order: Vec<u64> = order.iter().collect();
    for rest in 0..3 {
        assert!(order.iter().filter(|n| *n % 3 == rest).is_sorted());
    }
    assert_eq!(order.len(), 1000);
}

#[test]
fn what_is_told_at_once_is_handled_in_order() {
    both(|builder| {
        let (ctx, _cancel) = root();
        // Mailboxes are too small: the call waits for room, again and again.
        let manager = builder.mailbox(4).build().unwrap();
        let (seen, order) = mpsc::channel();
        let batch = (0..1000_u64).map(|n| {
            let seen = seen.clone();
            (n % 3, run(move |_, _| seen.send(n).unwrap()))
        });
        manager.tell_all(&ctx, batch.collect()).unwrap();
        manager.tell_all(&ctx, Vec::new()).unwrap();
        let closed = manager.close(&ctx);
        assert_eq!((closed.ledger.accepted, closed.ledger.done), (1000, 1000));
        drop(seen);
        all_in_order(&order);
    });
}

#[test]
fn what_is_not_told_comes_back() {
    both(|builder| {
        let (ctx, cancel) = root();
        let manager = builder.mailbox(1).overflow(Overflow::Reject).build().unwrap();
        let (begun, has_begun) = channel::bounded(1);
        let (go, may_go) = channel::bounded(1);
        manager.tell(&ctx, &1, Cmd::Block(begun, may_go)).unwrap();
        has_begun.recv(&ctx).unwrap();
        let batch = || [1, 2, 1, 3].map(|id| (id, Cmd::Add(id))).into();
        let untold = manager.tell_all(&ctx, batch()).unwrap_err();
        assert!(untold.error.is_full() && untold.to_string().contains("session 1: "));
        assert!(matches!((untold.id, untold.error.into_inner()), (1, Cmd::Add(1))));
        assert!(matches!(untold.rest[..], [(3, Cmd::Add(3))]));
        go.send(&ctx, ()).unwrap();
        cancel.cancel();
        let untold = manager.tell_all(&ctx, batch()).unwrap_err();
        assert!(untold.error.stop().is_some());
        assert_eq!((untold.id, untold.rest.len()), (1, 3));
        let (ctx, _cancel) = root();
        let sessions = manager.sessions();
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.accepted, ledger.done), (3, 3));
        assert!(sessions.tell_all(&ctx, batch()).unwrap_err().error.is_closed());
    });
}

#[test]
fn a_question_is_answered() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.build().unwrap();
        for n in 1..=100 {
            manager.tell(&ctx, &1, Cmd::Add(1)).unwrap();
            assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), n);
        }
        assert_eq!((manager.len(), manager.ids()), (1, vec![1]));
    });
}

#[test]
fn a_dropped_reply_is_an_answer() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.build().unwrap();
        assert!(manager.ask(&ctx, &1, Cmd::Forget).unwrap_err().is_dropped());
        let held = |reply| {
            run(move |_, _| {
                let _reply: channel::Reply<u64> = reply;
                std::panic::resume_unwind(Box::new("with the reply in hand"));
            })
        };
        assert!(manager.ask(&ctx, &1, held).unwrap_err().is_dropped());
    });
}

#[test]
fn a_failed_start_is_an_error_to_the_caller_and_not_tried_again() {
    both(|builder| {
        let (_, _cancel) = root();
        let notes = Notes::default();
        let (ctx, _cancel) = noted(&notes);
        let (lost, undelivered) = mpsc::channel();
        let manager = builder
            .context(&ctx)
            .on_failure(|_, _, _| ())
            .on_undelivered(move |id, msgs, _| lost.send((*id, msgs.len())).unwrap())
            .build()
            .unwrap();
        match manager.get_or_start(&ctx, &1000) {
            Err(StartError::Failed(failure)) => {
                assert!(matches!(&*failure, Failure::Error(Oops(1000))));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(notes.all(), ["start 1000"]);
        manager.tell(&ctx, &1001, Cmd::Add(1)).unwrap();
        assert_eq!(next(&undelivered), (1001, 1));
        until(|| manager.is_empty());
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.accepted, ledger.dropped, ledger.in_flight), (1, 1, 0));
    });
}

#[test]
fn raced_starts_make_one_session() {
    both(|builder| {
        let notes = Notes::default();
        let (ctx, _cancel) = noted(&notes);
        let manager = builder.context(&ctx).build().unwrap();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for id in 0..50 {
                        manager.get_or_start(&ctx, &id).unwrap();
                    }
                });
            }
        });
        let mut started = notes.all();
        started.sort();
        started.dedup();
        assert_eq!((started.len(), notes.len(), manager.len()), (50, 50, 50));
    });
}

#[test]
fn a_stop_comes_after_what_was_accepted_and_the_address_says_so() {
    both(|builder| {
        let notes = Notes::default();
        let (ctx, _cancel) = noted(&notes);
        let manager = builder.context(&ctx).build().unwrap();
        let address = manager.get_or_start(&ctx, &1).unwrap();
        for _ in 0..10 {
            address.tell(&ctx, Cmd::Add(1)).unwrap();
        }
        let reason = manager.stop(&ctx, &1).unwrap().expect("it was in memory");
        assert!(matches!(reason, Reason::Asked));
        assert_eq!(notes.all(), ["start 1", "stop 1 at 10: it was asked to stop"]);
        assert!(address.is_ended());
        match address.tell(&ctx, Cmd::Add(7)) {
            Err(TellError::Ended(Cmd::Add(7))) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(address.ask(&ctx, Cmd::Get), Err(AskError::NotAsked(_))));
        assert!(manager.get(&1).is_none() && manager.stop(&ctx, &1).unwrap().is_none());
        // By its id a new one is started.
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
    });
}

#[test]
fn an_abort_hands_back_what_was_not_handled() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let (lost, undelivered) = mpsc::channel();
        let manager = builder
            .on_undelivered(move |id, msgs, reason| {
                assert!(reason.is_normal());
                lost.send((*id, msgs.len())).unwrap();
            })
            .build()
            .unwrap();
        let (begun, has_begun) = channel::bounded(1);
        let (go, may_go) = channel::bounded(1);
        manager.tell(&ctx, &1, Cmd::Block(begun, may_go)).unwrap();
        has_begun.recv(&ctx).unwrap();
        for _ in 0..3 {
            manager.tell(&ctx, &1, Cmd::Add(1)).unwrap();
        }
        assert!(manager.abort(&1));
        go.send(&ctx, ()).unwrap();
        assert_eq!(next(&undelivered), (1, 3));
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.done, ledger.dropped, ledger.in_flight), (1, 3, 0));
    });
}

#[test]
fn an_abort_hands_back_what_the_turn_had_taken_as_well() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let (lost, undelivered) = mpsc::channel();
        let lose = move |_: &_, msgs: Vec<Cmd>, _: &_| lost.send(msgs.len()).unwrap();
        let manager = builder.on_undelivered(lose).build().unwrap();
        let (begun, has_begun) = channel::bounded(1);
        let (go, may_go) = channel::bounded(1);
        for _ in 0..2 {
            manager.tell(&ctx, &1, Cmd::Block(begun.clone(), may_go.clone())).unwrap();
        }
        for _ in 0..3 {
            manager.tell(&ctx, &1, Cmd::Add(1)).unwrap();
        }
        has_begun.recv(&ctx).unwrap();
        go.send(&ctx, ()).unwrap();
        has_begun.recv(&ctx).unwrap(); // The second: the rest may be in the same turn.
        assert!(manager.abort(&1));
        go.send(&ctx, ()).unwrap();
        assert_eq!(next(&undelivered), 3);
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.done, ledger.dropped, ledger.in_flight), (2, 3, 0));
    });
}

#[test]
fn a_full_mailbox_blocks_the_sender_until_there_is_room_or_it_is_stopped() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.mailbox(2).build().unwrap();
        let (begun, has_begun) = channel::bounded(1);
        let (go, may_go) = channel::bounded(1);
        manager.tell(&ctx, &1, Cmd::Block(begun, may_go)).unwrap();
        has_begun.recv(&ctx).unwrap();
        manager.tell(&ctx, &1, Cmd::Add(1)).unwrap();
        manager.tell(&ctx, &1, Cmd::Add(2)).unwrap();
        assert!(manager.try_tell(&1, Cmd::Add(4)).unwrap_err().is_full());
        let late = ctx.with_timeout(Duration::from_millis(1));
        match manager.tell(&late, &1, Cmd::Add(8)) {
            Err(TellError::Stopped { msg: Cmd::Add(8), stop: Stop::DeadlineExceeded }) => {}
            other => panic!("{other:?}"),
        }
        std::thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| manager.tell(&ctx, &1, Cmd::Add(16)).unwrap());
            }
            go.send(&ctx, ()).unwrap();
        });
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 3 + 48);
    });
}

#[test]
fn a_broadcast_is_not_held_up_by_a_slow_session() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.mailbox(1).build().unwrap();
        for id in 0..5 {
            manager.get_or_start(&ctx, &id).unwrap();
        }
        let (begun, has_begun) = channel::bounded(1);
        let (go, may_go) = channel::bounded(1);
        manager.tell(&ctx, &3, Cmd::Block(begun, may_go)).unwrap();
        has_begun.recv(&ctx).unwrap();
        manager.tell(&ctx, &3, Cmd::Add(1)).unwrap();
        let report = manager.broadcast(|id| Cmd::Add(*id + 10));
        assert_eq!((report.told, report.full.len()), (4, 1));
        assert!(matches!(report.full[0], (3, Cmd::Add(13))));
        for id in [0, 1, 2, 4] {
            assert_eq!(manager.ask(&ctx, &id, Cmd::Get).unwrap(), id + 10);
        }
        go.send(&ctx, ()).unwrap();
    });
}

#[test]
fn a_session_may_end_itself() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.build().unwrap();
        let address = manager.get_or_start(&ctx, &1).unwrap();
        address.tell(&ctx, Cmd::Stop).unwrap();
        let reason = address.wait_ended(&ctx).unwrap();
        assert!(matches!(reason, Some(Reason::Finished)), "{reason:?}");
    });
}

#[test]
fn a_cancelled_context_flushes_every_session_once() {
    both(|builder| {
        let notes = Notes::default();
        let (ctx, cancel) = noted(&notes);
        let manager = builder.context(&ctx).build().unwrap();
        for id in 0..20 {
            manager.tell(&ctx, &id, Cmd::Add(id)).unwrap();
            manager.ask(&ctx, &id, Cmd::Get).unwrap();
        }
        cancel.cancel_with("enough");
        until(|| notes.len() == 40);
        drop(manager);
        let stops = notes.all().into_iter().filter(|note| note.starts_with("stop")).count();
        assert_eq!(stops, 20);
    });
}

#[test]
fn a_dropped_manager_ends_its_sessions_and_joins_its_threads() {
    both(|builder| {
        let notes = Notes::default();
        let (ctx, _cancel) = noted(&notes);
        let manager = builder.context(&ctx).build().unwrap();
        let (begun, has_begun) = channel::bounded(1);
        let wait = run(move |_, cx| {
            begun.try_send(()).unwrap();
            cx.context().wait_stopped();
        });
        manager.tell(&ctx, &1, wait).unwrap();
        has_begun.recv(&ctx).unwrap();
        let sessions = manager.sessions();
        drop(manager);
        assert_eq!(notes.len(), 2);
        assert_eq!(sessions.stats().threads, 0);
        assert!(sessions.tell(&ctx, &1, Cmd::Add(1)).unwrap_err().is_closed());
        assert!(matches!(sessions.get_or_start(&ctx, &2), Err(StartError::Closed)));
    });
}

#[test]
fn a_manager_may_be_dropped_by_one_of_its_sessions() {
    for by_its_end in [false, true] {
        both(|builder| {
            let notes = Notes::default();
            let (ctx, _cancel) = noted(&notes);
            let manager = builder.context(&ctx).build().unwrap();
            let sessions = manager.sessions();
            for id in 0..10 {
                manager.get_or_start(&ctx, &id).unwrap();
            }
            let address = manager.get(&1).unwrap();
            if by_its_end {
                address.on_end(move |_, _| drop(manager));
                address.tell(&ctx, Cmd::Stop).unwrap();
            } else {
                address.tell(&ctx, run(move |_, _| drop(manager))).unwrap();
            }
            until(|| sessions.stats().threads == 0);
            assert_eq!((notes.len(), sessions.len(), sessions.live()), (20, 0, 0));
            assert!(sessions.tell(&ctx, &1, Cmd::Add(1)).unwrap_err().is_closed());
        });
    }
}

#[test]
fn who_waits_for_room_is_told_that_it_is_over() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.mailbox(1).build().unwrap();
        let sessions = manager.sessions();
        let (begun, has_begun) = channel::bounded(1);
        let wait = run(move |_, cx| {
            begun.try_send(()).unwrap();
            cx.context().wait_stopped();
        });
        manager.tell(&ctx, &1, wait).unwrap();
        has_begun.recv(&ctx).unwrap();
        manager.tell(&ctx, &1, Cmd::Add(1)).unwrap();
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| match sessions.tell(&ctx, &1, Cmd::Add(2)) {
                    Err(TellError::Ended(Cmd::Add(2)) | TellError::Closed(Cmd::Add(2))) => {}
                    other => panic!("{other:?}"),
                });
            }
            drop(manager);
        });
        let ledger = sessions.stats().ledger;
        assert_eq!((ledger.accepted, ledger.done, ledger.dropped), (2, 1, 1));
    });
}

#[test]
fn a_builder_names_what_is_wrong() {
    patience();
    let field = |builder: ironsys::session::Builder<Counter>| builder.build().unwrap_err().field();
    let new = || Manager::<Counter>::builder("m");
    assert_eq!(field(Manager::builder("a\0b")), "name");
    assert_eq!(field(new().sharded(0)), "sharded");
    assert_eq!(field(new().sharded(usize::MAX - 1)), "sharded");
    assert_eq!(field(new().mailbox(0)), "mailbox");
    assert_eq!(field(new().turn(0)), "turn");
    assert_eq!(field(new().poison_after(0)), "poison_after");
    assert_eq!(field(new().idle_after(Duration::ZERO)), "idle_after");
    assert_eq!(field(new().live_limit(0)), "live_limit");
    assert_eq!(field(new().stuck_after(Duration::ZERO)), "stuck_after");
    assert_eq!(field(new().hung_after(Duration::ZERO)), "hung_after");
    assert_eq!(field(new().sharded(2).max_threads(1)), "max_threads");
    assert!(new().mailbox(usize::MAX).turn(usize::MAX).stuck_after(Duration::MAX).build().is_ok());
}

/// Two senders and many sessions: nothing is lost, whatever the shards do meanwhile.
#[test]
fn nothing_is_lost_under_load() {
    for round in 0..4 {
        let (ctx, _cancel) = root();
        let manager = Manager::<Counter>::builder("counters").sharded(2).build().unwrap();
        std::thread::scope(|s| {
            for sender in 0..2 {
                let (manager, ctx) = (&manager, &ctx);
                s.spawn(move || {
                    for i in 0..10_000 {
                        manager.tell(ctx, &((i + sender * 50) % 100), Cmd::Add(1)).unwrap();
                    }
                });
            }
        });
        let sum: u64 = (0..100).map(|id| manager.ask(&ctx, &id, Cmd::Get).unwrap()).sum();
        assert_eq!(sum, 20_000, "round {round}: {:?}", manager.stats());
    }
}
