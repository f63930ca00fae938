//! Channel: order, room, closing, overflow, rendezvous, cancelling, and the ledger.

use crate::until;
use ironsys::channel::{
    self, Overflow, Receiver, RecvError, SendError, TryRecvError, TrySendError,
};
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context, Stop};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

fn full<T>(result: Result<(), TrySendError<T>>) -> T {
    match result {
        Err(TrySendError::Full(value)) => value,
        other => panic!("{other:?} instead of Full"),
    }
}

// ===== order and room =====

#[test]
fn messages_come_in_the_order_they_were_sent() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(3);
    thread::scope(|s| {
        s.spawn(move || {
            for i in 0..1000 {
                tx.send(&ctx.clone(), i).unwrap();
            }
        });
        let (ctx, _cancel) = Context::root();
        assert!(rx.iter(&ctx).eq(0..1000));
    });
}

#[test]
fn blocked_senders_are_served_in_the_order_they_came() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    tx.send(&ctx, 0).unwrap();
    thread::scope(|s| {
        for i in 1..5 {
            let (tx, ctx) = (&tx, &ctx);
            s.spawn(move || tx.send(ctx, i).unwrap());
            until(|| tx.stats().blocked_senders == i);
        }
        for i in 0..5 {
            assert_eq!(rx.recv(&ctx), Ok(i));
        }
    });
}

#[test]
fn a_full_channel_refuses_a_try_and_keeps_count() {
    let (tx, rx) = channel::bounded(2);
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    assert_eq!(full(tx.try_send(3)), 3);
    assert_eq!((tx.len(), tx.capacity(), tx.is_empty()), (2, 2, false));
    assert_eq!(
        (rx.try_recv(), rx.try_recv(), rx.try_recv()),
        (Ok(1), Ok(2), Err(TryRecvError::Empty))
    );
    let stats = rx.stats();
    assert_eq!((stats.peak, stats.rejected, stats.ledger.done), (2, 1, 2));
}

#[test]
fn a_send_that_waits_is_not_refused() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    tx.send(&ctx, 1).unwrap();
    thread::scope(|s| {
        s.spawn(|| tx.send(&ctx, 2).unwrap());
        until(|| tx.stats().blocked_senders == 1);
        assert_eq!((rx.recv(&ctx), rx.recv(&ctx)), (Ok(1), Ok(2)));
    });
    assert_eq!(tx.stats().rejected, 0);
}

#[test]
fn the_largest_capacity_never_blocks() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(usize::MAX);
    for i in 0..1000 {
        tx.send(&ctx, i).unwrap();
    }
    assert_eq!((rx.len(), rx.capacity()), (1000, usize::MAX));
    assert_eq!(rx.drain().len(), 1000);
}

#[test]
fn messages_without_a_size_are_counted() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(2);
    tx.send(&ctx, ()).unwrap();
    tx.send(&ctx, ()).unwrap();
    full(tx.try_send(()));
    drop(tx);
    assert_eq!(rx.iter(&ctx).count(), 2);
    let (tx, rx) = channel::bounded(0);
    thread::scope(|s| {
        s.spawn(|| tx.send(&ctx, ()).unwrap());
        rx.recv(&ctx).unwrap();
    });
}

// ===== closing =====

#[test]
fn what_is_queued_is_received_after_a_close() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(4);
    for i in 0..3 {
        tx.send(&ctx, i).unwrap();
    }
    assert!(tx.close());
    assert!(!rx.close() && tx.is_closed() && rx.is_closed());
    assert_eq!(tx.send(&ctx, 9).unwrap_err(), SendError::Closed(9));
    assert_eq!(tx.try_send(9), Err(TrySendError::Closed(9)));
    assert_eq!(rx.try_recv(), Ok(0)); // goflow: "closed", with items left
    assert_eq!(rx.recv(&ctx), Ok(1));
    assert_eq!(rx.recv(&ctx), Ok(2));
    assert_eq!(rx.recv(&ctx), Err(RecvError::Closed));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn the_last_sender_closes_the_channel() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(2);
    let again = tx.clone();
    tx.send(&ctx, 1).unwrap();
    drop(tx);
    assert!(!rx.is_closed());
    drop(again);
    assert!(rx.is_closed());
    assert_eq!((rx.recv(&ctx), rx.recv(&ctx)), (Ok(1), Err(RecvError::Closed)));
}

#[test]
fn closing_wakes_blocked_receivers() {
    let (ctx, _cancel) = Context::root();
    for by_drop in [false, true] {
        let (tx, rx) = channel::bounded::<u8>(1);
        thread::scope(|s| {
            let blocked: Vec<_> = (0..4).map(|_| s.spawn(|| rx.recv(&ctx))).collect();
            until(|| rx.stats().blocked_receivers == 4);
            if by_drop {
                drop(tx);
            } else {
                tx.close();
            }
            for thread in blocked {
                assert_eq!(thread.join().unwrap(), Err(RecvError::Closed));
            }
        });
    }
}

#[test]
fn closing_gives_blocked_senders_their_values_back() {
    let (ctx, _cancel) = Context::root();
    for by_drop in [false, true] {
        let (tx, rx) = channel::bounded(1);
        tx.send(&ctx, 0).unwrap();
        thread::scope(|s| {
            let (tx, ctx) = (&tx, &ctx);
            let blocked: Vec<_> = (1..4).map(|i| s.spawn(move || tx.send(ctx, i))).collect();
            until(|| tx.stats().blocked_senders == 3);
            if by_drop {
                drop(rx);
            } else {
                rx.close();
            }
            let back = blocked.into_iter().map(|t| t.join().unwrap().unwrap_err());
            assert!(back.eq((1..4).map(SendError::Closed)));
        });
        assert!(tx.stats().ledger.is_balanced());
    }
}

#[test]
fn the_last_receiver_hands_what_is_left_to_on_drop() {
    let (lost, seen) = mpsc::channel();
    let (tx, rx) =
        channel::builder(4).on_drop(move |v| lost.send(v).unwrap()).name("lossy").build().unwrap();
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    drop(rx);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [1, 2]);
    assert!(tx.is_closed());
    assert_eq!((tx.stats().ledger.dropped, tx.stats().ledger.in_flight), (2, 0));
}

#[test]
fn draining_takes_blocked_offers_too() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    tx.send(&ctx, 1).unwrap();
    thread::scope(|s| {
        s.spawn(|| tx.send(&ctx, 2).unwrap());
        until(|| tx.stats().blocked_senders == 1);
        assert_eq!(rx.drain(), [1, 2]);
    });
}

#[test]
fn a_close_and_a_receive_at_once_lose_nothing() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..200 {
        let (tx, rx) = channel::bounded(2);
        thread::scope(|s| {
            let sender = s.spawn(|| (0..10).take_while(|i| tx.send(&ctx, *i).is_ok()).count());
            let receiver = s.spawn(|| rx.iter(&ctx).count());
            rx.close();
            let (sent, received) = (sender.join().unwrap(), receiver.join().unwrap());
            assert_eq!(sent, received);
        });
    }
}

// ===== cancelling =====

#[test]
fn a_cancelled_send_gives_the_value_back() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    tx.send(&ctx, "first").unwrap();
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(&ctx, "second"));
        until(|| tx.stats().blocked_senders == 1);
        cancel.cancel_with("stop");
        let error = sender.join().unwrap().unwrap_err();
        assert_eq!(error.stop().and_then(Stop::cause).map(|c| c.reason()), Some("stop"));
        assert_eq!(error.into_inner(), "second");
    });
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok("first"), Err(TryRecvError::Empty)));
    assert_eq!(tx.stats().blocked_senders, 0);
}

#[test]
fn a_cancelled_receive_ate_nothing() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    thread::scope(|s| {
        let receiver = s.spawn(|| rx.recv(&ctx));
        until(|| rx.stats().blocked_receivers == 1);
        cancel.cancel();
        assert!(receiver.join().unwrap().is_err());
    });
    tx.try_send(1).unwrap();
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(rx.stats().blocked_receivers, 0);
}

#[test]
fn a_wait_ends_at_the_deadline() {
    let time = VirtualClock::auto();
    let (root, _cancel) = Context::builder().clock(time.clock()).build();
    let (tx, rx) = channel::bounded(1);
    let soon = root.with_timeout(Duration::from_secs(1));
    assert_eq!(rx.recv(&soon), Err(RecvError::Stopped(Stop::DeadlineExceeded)));
    tx.try_send(1).unwrap();
    let soon = root.with_timeout(Duration::from_secs(1));
    assert_eq!(tx.send(&soon, 2).unwrap_err().into_inner(), 2);
    assert_eq!(rx.len(), 1);
}

#[test]
fn sends_receives_and_cancels_at_once_lose_nothing() {
    for capacity in [0, 1, 2] {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(capacity);
        for round in 0..100u64 {
            let (mine, cancel) = ctx.with_cancel();
            let (theirs, cancel_theirs) = ctx.with_cancel();
            thread::scope(|s| {
                let sender = s.spawn(|| tx.send(&mine, round));
                let receiver = s.spawn(|| rx.recv(&theirs));
                s.spawn(|| cancel.cancel());
                s.spawn(|| cancel_theirs.cancel());
                let sent = sender.join().unwrap();
                let got = receiver.join().unwrap().ok().or_else(|| rx.try_recv().ok());
                match sent {
                    Ok(()) => assert_eq!(got, Some(round)),
                    Err(e) => assert_eq!((e.into_inner(), got), (round, None)),
                }
            });
        }
        let stats = rx.stats();
        assert!(stats.ledger.is_balanced());
        assert_eq!((stats.blocked_senders, stats.blocked_receivers, stats.depth), (0, 0, 0));
    }
}

/// flume's `Selector` and `recv_async` fall to one active worker here.
#[test]
fn sixteen_workers_each_with_its_own_cancel_all_stay_active() {
    const WORKERS: usize = 16;
    let (tx, rx) = channel::bounded::<Option<u64>>(8);
    let (root, _cancel) = Context::root();
    let cancels: Vec<Mutex<Option<Canceller>>> = (0..WORKERS).map(|_| Mutex::new(None)).collect();
    let received = AtomicU64::new(0);
    let all_there = Barrier::new(WORKERS + 1);
    thread::scope(|s| {
        for slot in &cancels {
            s.spawn(|| {
                loop {
                    let (ctx, cancel) = root.with_cancel();
                    *slot.lock().unwrap() = Some(cancel);
                    loop {
                        match rx.recv(&ctx) {
                            Ok(Some(_)) => received.fetch_add(1, Ordering::Relaxed),
                            Ok(None) => {
                                all_there.wait();
                                return;
                            }
                            Err(_) => break,
                        };
                    }
                }
            });
        }
        for i in 0..5_000u64 {
            if i % 10 == 0
                && let Some(cancel) = cancels[i as usize / 10 % WORKERS].lock().unwrap().take()
            {
                cancel.cancel();
            }
            tx.send(&root, Some(i)).unwrap();
        }
        // Each worker takes one of these and holds on to it until all have one.
        for _ in 0..WORKERS {
            tx.send(&root, None).unwrap();
        }
        all_there.wait();
    });
    assert_eq!(received.into_inner(), 5_000);
    assert!(rx.stats().ledger.is_balanced());
}

// ===== rendezvous =====

#[test]
fn a_rendezvous_waits_for_the_other_side() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(0);
    assert_eq!(full(tx.try_send(1)), 1);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(&ctx, 2));
        until(|| tx.stats().blocked_senders == 1);
        assert_eq!((rx.len(), rx.try_recv()), (0, Ok(2))); // A sender is there.
        assert_eq!(sender.join().unwrap(), Ok(()));
        let receiver = s.spawn(|| rx.recv(&ctx));
        until(|| rx.stats().blocked_receivers == 1);
        assert_eq!(tx.try_send(3), Ok(())); // A receiver is there.
        assert_eq!(receiver.join().unwrap(), Ok(3));
    });
    assert_eq!(full(tx.try_send(4)), 4);
}

#[test]
fn a_cancelled_rendezvous_send_did_not_happen() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded(0);
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(&ctx, 5));
        until(|| tx.stats().blocked_senders == 1);
        cancel.cancel();
        assert_eq!(sender.join().unwrap().unwrap_err().into_inner(), 5);
    });
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_receiver_that_a_rendezvous_counts_on_takes_the_value_even_when_cancelled() {
    for _ in 0..100 {
        let (ctx, cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        thread::scope(|s| {
            let receiver = s.spawn(|| rx.recv(&ctx));
            until(|| rx.stats().blocked_receivers == 1);
            let sent = tx.try_send(6);
            cancel.cancel();
            assert_eq!((sent, receiver.join().unwrap()), (Ok(()), Ok(6)));
        });
    }
}

#[test]
fn a_rendezvous_takes_no_more_than_there_are_receivers() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded(0);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| rx.recv(&ctx).map(drop));
        }
        until(|| rx.stats().blocked_receivers == 2);
        let sent = (0..5).filter(|i| tx.try_send(*i).is_ok()).count();
        assert!(sent >= 2); // More if one came back in time; never one that nobody takes.
        cancel.cancel();
    });
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert!(rx.stats().ledger.is_balanced() && rx.stats().ledger.in_flight == 0);
}

#[test]
fn the_time_full_of_a_rendezvous_stops_when_its_senders_are_served() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(0);
    thread::scope(|s| {
        s.spawn(|| tx.send(&ctx, 1).unwrap());
        until(|| tx.stats().blocked_senders == 1);
        rx.recv(&ctx).unwrap();
    });
    let time = rx.stats().time_full;
    assert!(time > Duration::ZERO);
    assert_eq!(rx.stats().time_full, time);
}

#[test]
fn the_time_full_stops_when_the_last_blocked_sender_gives_up() {
    for by_close in [false, true] {
        let (ctx, cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        tx.try_send(0).unwrap();
        thread::scope(|s| {
            s.spawn(|| assert_eq!(tx.send(&ctx, 1).unwrap_err().into_inner(), 1));
            until(|| tx.stats().blocked_senders == 1);
            let _ = if by_close { rx.close() } else { cancel.cancel() };
        });
        let time = rx.stats().time_full;
        assert_eq!(rx.stats().time_full, time);
    }
}

#[test]
fn the_time_empty_runs_while_a_receiver_starves() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    thread::scope(|s| {
        s.spawn(|| rx.recv(&ctx).unwrap());
        until(|| rx.stats().time_empty > Duration::ZERO);
        tx.send(&ctx, 1).unwrap();
    });
    let time = rx.stats().time_empty;
    assert_eq!(rx.stats().time_empty, time);
}

// ===== overflow =====

#[test]
fn reject_gives_the_value_back_without_waiting() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::builder(1).overflow(Overflow::Reject).build().unwrap();
    tx.send(&ctx, 1).unwrap();
    let error = tx.send(&ctx, 2).unwrap_err();
    assert!(error.is_full());
    assert_eq!((error.into_inner(), rx.len(), tx.stats().rejected), (2, 1, 1));
}

#[test]
fn a_rendezvous_may_reject_but_has_nothing_to_drop() {
    let (ctx, _cancel) = Context::root();
    let (tx, _rx) = channel::builder(0).overflow(Overflow::Reject).build().unwrap();
    assert!(tx.send(&ctx, 1).unwrap_err().is_full());
    for overflow in [Overflow::DropNewest, Overflow::DropOldest, Overflow::drop_lowest(|_| 0)] {
        let error = channel::builder::<u8>(0).overflow(overflow).build().unwrap_err();
        assert_eq!(error.field(), "overflow");
        assert!(error.to_string().contains("capacity"));
    }
}

/// What a policy drops, by `send` and by `try_send` alike.
fn overflowing(policy: Overflow<i64>) -> (Vec<i64>, Vec<i64>) {
    let mut outcomes = [false, true].map(|trying| {
        let (ctx, _cancel) = Context::root();
        let (lost, seen) = mpsc::channel();
        let (tx, rx) = channel::builder(2)
            .overflow(policy.clone())
            .on_drop(move |v| lost.send(v).unwrap())
            .build()
            .unwrap();
        for v in [5, 3, 8, 1, 4] {
            if trying { tx.try_send(v).unwrap() } else { tx.send(&ctx, v).unwrap() }
        }
        assert!(tx.stats().ledger.is_balanced());
        (rx.drain(), seen.try_iter().collect())
    });
    assert_eq!(outcomes[0], outcomes[1]);
    std::mem::take(&mut outcomes[0])
}

#[test]
fn each_policy_drops_what_it_says_and_tells_on_drop() {
    assert_eq!(overflowing(Overflow::DropNewest), (vec![5, 3], vec![8, 1, 4]));
    assert_eq!(overflowing(Overflow::DropOldest), (vec![1, 4], vec![5, 3, 8]));
    assert_eq!(overflowing(Overflow::drop_lowest(|v| *v)), (vec![5, 8], vec![3, 1, 4]));
    assert_eq!(overflowing(Overflow::drop_lowest(|_| 0)), (vec![5, 3], vec![8, 1, 4]));
}

/// goflow hangs here in two ways: the callback runs under the lock, and the counts have a second
/// lock, taken in the other order.
#[test]
fn on_drop_may_use_the_channel_and_counting_never_blocks_sending() {
    let (ctx, _cancel) = Context::root();
    let me: Arc<OnceLock<channel::Sender<u32>>> = Arc::new(OnceLock::new());
    let calls = Arc::new(AtomicU64::new(0));
    let (tx, rx) = channel::builder(1)
        .overflow(Overflow::DropOldest)
        .on_drop({
            let (me, calls) = (me.clone(), calls.clone());
            move |_| {
                if let Some(tx) = me.get() {
                    calls.fetch_add(
                        tx.len() as u64 + tx.stats().ledger.accepted.min(1),
                        Ordering::Relaxed,
                    );
                }
            }
        })
        .build()
        .unwrap();
    me.set(tx.clone()).unwrap();
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| (0..500).for_each(|i| tx.send(&ctx, i).unwrap()));
            s.spawn(|| (0..500).for_each(|_| assert!(rx.stats().ledger.is_balanced())));
        }
    });
    assert_eq!(tx.stats().ledger.dropped, 999);
    assert!(calls.load(Ordering::Relaxed) >= 999);
}

#[test]
fn the_users_drop_runs_outside_of_the_lock() {
    struct Nosy(channel::Sender<Nosy>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = (self.0.len(), self.0.stats());
        }
    }
    let (tx, rx) = channel::builder(1).overflow(Overflow::DropOldest).build().unwrap();
    for _ in 0..3 {
        assert!(tx.try_send(Nosy(tx.clone())).is_ok());
    }
    drop(rx.try_recv());
    assert!(tx.try_send(Nosy(tx.clone())).is_ok());
    drop(rx); // Takes the queue out first, then drops it.
    assert_eq!(tx.len(), 0);
}

// ===== against a sequential model =====

#[derive(Debug, Clone)]
enum Step {
    Send(i64),
    Recv,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..6i64).prop_map(Step::Send),
        8 => Just(Step::Recv),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 0..80)
}

/// A channel as one would write it for a single thread.
struct Model {
    queue: Vec<i64>,
    lost: Vec<i64>,
    capacity: usize,
    policy: usize,
    closed: bool,
}

impl Model {
    fn send(&mut self, v: i64) -> Result<(), TrySendError<i64>> {
        if self.closed {
            return Err(TrySendError::Closed(v));
        }
        if self.queue.len() >= self.capacity {
            let victim = match self.policy {
                0 | 1 => return Err(TrySendError::Full(v)),
                2 => None,
                3 => Some(0),
                _ => {
                    let lowest = self.queue.iter().min().copied().filter(|low| *low < v);
                    lowest.and_then(|low| self.queue.iter().rposition(|q| *q == low))
                }
            };
            let Some(victim) = victim else {
                self.lost.push(v);
                return Ok(());
            };
            self.lost.push(self.queue.remove(victim));
        }
        self.queue.push(v);
        Ok(())
    }

    fn recv(&mut self) -> Result<i64, TryRecvError> {
        match (self.queue.is_empty(), self.closed) {
            (false, _) => Ok(self.queue.remove(0)),
            (true, false) => Err(TryRecvError::Empty),
            (true, true) => Err(TryRecvError::Closed),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_queue_for_one_thread(policy in 0..5usize, capacity in 1..5usize, steps in steps()) {
        let overflow = [
            Overflow::Block,
            Overflow::Reject,
            Overflow::DropNewest,
            Overflow::DropOldest,
            Overflow::drop_lowest(|v: &i64| *v),
        ][policy].clone();
        let (lost, seen) = mpsc::channel();
        let (tx, rx) = channel::builder(capacity)
            .overflow(overflow)
            .on_drop(move |v| lost.send(v).unwrap())
            .build()
            .unwrap();
        let mut model = Model { queue: vec![], lost: vec![], capacity, policy, closed: false };
        for step in steps {
            match step {
                Step::Send(v) => prop_assert_eq!(tx.try_send(v), model.send(v)),
                Step::Recv => prop_assert_eq!(rx.try_recv(), model.recv()),
                Step::Close => prop_assert_eq!(tx.close(), !std::mem::replace(&mut model.closed, true)),
            }
            prop_assert_eq!(tx.len(), model.queue.len());
            prop_assert!(tx.stats().ledger.is_balanced());
        }
        prop_assert_eq!(seen.try_iter().collect::<Vec<_>>(), model.lost);
    }

    /// Several threads, some of them cancelled: what was accepted is received or still there.
    #[test]
    fn the_ledger_balances_whatever_happens(capacity in 0..3usize, sends in 1..40u64, cancel_after in 0..40u64) {
        let (ctx, cancel) = Context::root();
        let (tx, rx) = channel::bounded(capacity);
        let (sent, got) = thread::scope(|s| {
            let sender = s.spawn(|| (0..sends).filter(|i| {
                if *i == cancel_after {
                    cancel.cancel();
                }
                tx.send(&ctx, *i).is_ok()
            }).count());
            let receiver = s.spawn(|| {
                let mut got = Vec::new();
                while got.len() < sends as usize {
                    match rx.recv(&ctx) {
                        Ok(v) => got.push(v),
                        Err(_) => break,
                    }
                }
                got
            });
            (sender.join().unwrap(), receiver.join().unwrap())
        });
        let left = rx.drain();
        prop_assert!(got.iter().chain(&left).copied().eq(0..sent as u64));
        let ledger = tx.stats().ledger;
        prop_assert!(ledger.is_balanced());
        prop_assert_eq!((ledger.accepted, ledger.in_flight), (sent as u64, 0));
    }
}

fn _ends_are_send_and_sync(ends: (channel::Sender<u8>, Receiver<u8>)) -> impl Send + Sync {
    ends
}
