//! Broadcast: everybody gets everything, or is told what it missed.

use crate::until;
use ironsys::channel::{
    self, BroadcastRecvError, BroadcastTryRecvError, Broadcaster, SendError, SlowReceiver,
    Subscriber, TrySendError,
};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

fn make<T>(capacity: usize, slow: SlowReceiver) -> (Broadcaster<T>, Subscriber<T>) {
    channel::broadcast(capacity).slow_receiver(slow).name("news").build().unwrap()
}

#[test]
fn everybody_gets_every_message_in_order() {
    let (ctx, _cancel) = Context::root();
    let (tx, first) = make(4, SlowReceiver::Block);
    let mut all = vec![first];
    all.extend((0..3).map(|_| tx.subscribe()));
    thread::scope(|s| {
        for mut rx in all {
            let ctx = &ctx;
            s.spawn(move || assert!(rx.iter(ctx).map(Result::unwrap).eq(0..500)));
        }
        for i in 0..500 {
            assert!(tx.send(&ctx, i).unwrap() <= 4);
        }
        drop(tx);
    });
}

#[test]
fn a_subscriber_gets_what_is_sent_after_it_subscribed() {
    let (tx, mut early) = make(4, SlowReceiver::Block);
    assert_eq!(tx.try_send(1), Ok(1));
    let mut late = tx.subscribe();
    assert_eq!(tx.try_send(2), Ok(2));
    assert_eq!((early.len(), late.len()), (2, 1));
    assert_eq!((early.try_recv(), early.try_recv()), (Ok(1), Ok(2)));
    assert_eq!(early.try_recv(), Err(BroadcastTryRecvError::Empty));
    assert_eq!(late.try_recv(), Ok(2));
    assert!(late.is_empty() && early.is_empty());
}

#[test]
fn a_message_to_nobody_is_dropped_and_said_so() {
    let (tx, rx) = make(1, SlowReceiver::Block);
    drop(rx);
    for i in 0..3 {
        assert_eq!(tx.try_send(i), Ok(0));
    }
    let stats = tx.stats();
    assert_eq!((stats.sent, stats.depth, stats.ledger.accepted), (3, 0, 0));
}

#[test]
fn no_capacity_is_refused() {
    let error = channel::broadcast::<u8>(0).build().unwrap_err();
    assert_eq!(error.field(), "capacity");
}

#[test]
fn the_largest_capacity_works() {
    let (tx, mut rx) = make(usize::MAX, SlowReceiver::Lag);
    tx.try_send(()).unwrap();
    assert_eq!(rx.try_recv(), Ok(()));
}

// ===== slow receivers =====

#[test]
fn the_slowest_subscriber_holds_the_sender_up() {
    let (ctx, _cancel) = Context::root();
    let (tx, mut slow) = make(2, SlowReceiver::Block);
    let mut fast = tx.subscribe();
    for i in 0..2 {
        tx.send(&ctx, i).unwrap();
        assert_eq!(fast.recv(&ctx), Ok(i));
    }
    assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(&ctx, 2));
        until(|| tx.stats().blocked_senders == 1);
        assert_eq!(slow.recv(&ctx), Ok(0));
        assert_eq!(sender.join().unwrap(), Ok(2));
    });
    assert_eq!((slow.len(), fast.recv(&ctx)), (2, Ok(2)));
    assert!(tx.stats().ledger.is_balanced());
}

#[test]
fn a_slow_subscriber_that_goes_lets_the_sender_on() {
    let (ctx, _cancel) = Context::root();
    let (tx, slow) = make(1, SlowReceiver::Block);
    tx.send(&ctx, 0).unwrap();
    thread::scope(|s| {
        let senders: Vec<_> = (0..3).map(|_| s.spawn(|| tx.send(&ctx, 1))).collect();
        until(|| tx.stats().blocked_senders == 3);
        drop(slow);
        for sender in senders {
            assert_eq!(sender.join().unwrap(), Ok(0));
        }
    });
    assert_eq!(tx.stats().ledger.dropped, 1);
}

#[test]
fn a_lagging_subscriber_is_told_how_many_it_missed() {
    let (ctx, _cancel) = Context::root();
    let (tx, mut slow) = make(3, SlowReceiver::Lag);
    let mut fast = tx.subscribe();
    for i in 0..10 {
        tx.send(&ctx, i).unwrap();
        assert_eq!(fast.try_recv(), Ok(i));
    }
    assert_eq!(slow.len(), 3);
    assert_eq!(slow.recv(&ctx), Err(BroadcastRecvError::Lagged(7)));
    let rest = [slow.recv(&ctx), slow.recv(&ctx), slow.recv(&ctx)];
    assert_eq!(rest, [Ok(7), Ok(8), Ok(9)]);
    let stats = tx.stats();
    assert_eq!((stats.lagged, stats.peak, stats.depth), (7, 3, 0));
    assert!(stats.ledger.is_balanced());
}

#[test]
fn an_iterator_reports_what_was_missed_and_goes_on() {
    let (ctx, _cancel) = Context::root();
    let (tx, mut rx) = make(1, SlowReceiver::Lag);
    for i in 0..3 {
        tx.try_send(i).unwrap();
    }
    assert_eq!(rx.iter(&ctx).next().unwrap().unwrap_err().lagged(), Some(2));
    drop(tx);
    assert_eq!(rx.iter(&ctx).collect::<Vec<_>>(), [Ok(2)]);
}

#[test]
fn blocked_senders_all_get_through_in_turn() {
    let (ctx, _cancel) = Context::root();
    let (tx, mut rx) = make(1, SlowReceiver::Block);
    thread::scope(|s| {
        for i in 0..4 {
            let (tx, ctx) = (&tx, &ctx);
            s.spawn(move || (0..100).for_each(|k| assert!(tx.send(ctx, i * 100 + k).is_ok())));
        }
        let mut all: Vec<u32> = (0..400).map(|_| rx.recv(&ctx).unwrap()).collect();
        let by_sender = |i| all.iter().filter(|v| **v / 100 == i).copied().collect::<Vec<_>>();
        assert!((0..4).all(|i| by_sender(i).is_sorted()));
        all.sort_unstable();
        assert!(all.into_iter().eq(0..400));
    });
    assert_eq!(tx.stats().blocked_senders, 0);
}

// ===== closing =====

#[test]
fn what_was_sent_is_read_after_a_close() {
    let (ctx, _cancel) = Context::root();
    let (tx, mut rx) = make(4, SlowReceiver::Block);
    tx.send(&ctx, 1).unwrap();
    assert!(tx.close());
    assert!(!rx.close() && tx.is_closed());
    assert_eq!(tx.send(&ctx, 2), Err(SendError::Closed(2)));
    assert_eq!(tx.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(rx.recv(&ctx), Ok(1));
    assert_eq!(rx.recv(&ctx), Err(BroadcastRecvError::Closed));
    assert_eq!(rx.try_recv(), Err(BroadcastTryRecvError::Closed));
}

#[test]
fn closing_wakes_both_sides() {
    let (ctx, _cancel) = Context::root();
    let (tx, full) = make(1, SlowReceiver::Block);
    tx.send(&ctx, 0).unwrap();
    let (other, mut empty) = make::<u8>(1, SlowReceiver::Block);
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(&ctx, 1));
        let receiver = s.spawn(|| empty.recv(&ctx));
        until(|| full.stats().blocked_senders == 1 && other.stats().blocked_receivers == 1);
        full.close();
        drop(other);
        assert_eq!(sender.join().unwrap(), Err(SendError::Closed(1)));
        assert!(receiver.join().unwrap().unwrap_err().is_closed());
    });
}

// ===== cancelling =====

#[test]
fn a_cancelled_send_gives_the_value_back_and_a_cancelled_receive_takes_nothing() {
    let (root, _cancel) = Context::root();
    let (ctx, cancel) = root.with_cancel();
    let (tx, mut rx) = make(1, SlowReceiver::Block);
    let mut idle = tx.subscribe();
    tx.send(&ctx, 1).unwrap();
    assert_eq!(idle.recv(&ctx), Ok(1));
    thread::scope(|s| {
        let sender = s.spawn(|| tx.send(&ctx, 2));
        let receiver = s.spawn(|| idle.recv(&ctx));
        until(|| rx.stats().blocked_senders == 1 && rx.stats().blocked_receivers == 1);
        cancel.cancel();
        assert_eq!(sender.join().unwrap().unwrap_err().into_inner(), 2);
        assert!(receiver.join().unwrap().unwrap_err().stop().is_some());
    });
    assert!(tx.send(&ctx, 3).unwrap_err().stop().is_some() && rx.recv(&ctx).is_err());
    assert_eq!((rx.recv(&root), tx.try_send(4)), (Ok(1), Ok(2)));
    assert_eq!(idle.recv(&root), Ok(4));
}

#[test]
fn a_wait_ends_at_the_deadline() {
    let time = VirtualClock::auto();
    let (root, _cancel) = Context::builder().clock(time.clock()).build();
    let (tx, mut rx) = make(1, SlowReceiver::Block);
    let soon = root.with_timeout(Duration::from_secs(1));
    assert_eq!(rx.recv(&soon), Err(BroadcastRecvError::Stopped(Stop::DeadlineExceeded)));
    tx.try_send(1).unwrap();
    let soon = root.with_timeout(Duration::from_secs(1));
    assert_eq!(tx.send(&soon, 2).unwrap_err().into_inner(), 2);
}

#[test]
fn a_cancelled_sender_passes_its_wake_up_on() {
    let (root, _cancel) = Context::root();
    for _ in 0..200 {
        let (ctx, cancel) = root.with_cancel();
        let (tx, mut rx) = make(1, SlowReceiver::Block);
        tx.try_send(0).unwrap();
        thread::scope(|s| {
            let first = s.spawn(|| tx.send(&ctx, 1).is_ok());
            until(|| tx.stats().blocked_senders == 1);
            let second = s.spawn(|| tx.send(&root, 2).is_ok());
            until(|| tx.stats().blocked_senders == 2);
            s.spawn(|| cancel.cancel());
            assert_eq!(rx.recv(&root), Ok(0));
            if first.join().unwrap() {
                assert_eq!(rx.recv(&root), Ok(1));
            }
            assert!(second.join().unwrap());
            assert_eq!(rx.recv(&root), Ok(2));
        });
    }
}

// ===== the user's code =====

/// Uses the channel whenever it is cloned or dropped: with the lock held this would hang.
struct Nosy(Option<Broadcaster<Nosy>>, Arc<AtomicUsize>);

impl Nosy {
    fn look(&self) {
        if let Some(tx) = &self.0 {
            assert!(tx.stats().ledger.is_balanced());
        }
    }
}

impl Clone for Nosy {
    fn clone(&self) -> Self {
        self.look();
        self.1.fetch_add(1, Ordering::Relaxed);
        Nosy(self.0.clone(), self.1.clone())
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

#[test]
fn clones_and_drops_run_outside_of_the_lock_and_the_last_reader_clones_nothing() {
    let (tx, mut rx) = make(1, SlowReceiver::Lag);
    let clones = Arc::new(AtomicUsize::new(0));
    let nosy = || Nosy(Some(tx.clone()), clones.clone());
    assert!(tx.try_send(nosy()).is_ok());
    assert!(tx.try_send(nosy()).is_ok()); // Drops the oldest.
    assert!(matches!(rx.try_recv(), Err(BroadcastTryRecvError::Lagged(1))));
    assert!(rx.try_recv().is_ok()); // Drops the message.
    assert_eq!(clones.load(Ordering::Relaxed), 0);
    let mut other = tx.subscribe();
    assert!(tx.try_send(nosy()).is_ok());
    assert!(other.try_recv().is_ok());
    assert_eq!(clones.load(Ordering::Relaxed), 1);
    drop(rx); // Drops what it has not read.
    drop(other);
    assert!(tx.try_send(nosy()).is_ok()); // Drops what nobody sees.
}

// ===== against a sequential model =====

#[derive(Debug, Clone)]
enum Step {
    Send(u32),
    Recv(usize),
    Subscribe,
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u32>().prop_map(Step::Send),
        8 => (0..4usize).prop_map(Step::Recv),
        1 => Just(Step::Subscribe),
        1 => (0..4usize).prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The model: each subscriber has a queue and a count of what it has missed.
    #[test]
    fn behaves_like_a_queue_for_each_subscriber(lag in any::<bool>(), capacity in 1..4usize, steps in steps()) {
        let slow = if lag { SlowReceiver::Lag } else { SlowReceiver::Block };
        let (tx, first) = make(capacity, slow);
        let mut subscribers = vec![(first, Vec::new(), 0)];
        for step in steps {
            match step {
                Step::Send(v) => {
                    let full = subscribers.iter().any(|(_, queue, _)| queue.len() == capacity);
                    if full && !lag {
                        prop_assert_eq!(tx.try_send(v), Err(TrySendError::Full(v)));
                        continue;
                    }
                    prop_assert_eq!(tx.try_send(v), Ok(subscribers.len()));
                    for (_, queue, missed) in &mut subscribers {
                        if queue.len() == capacity {
                            queue.remove(0);
                            *missed += 1;
                        }
                        queue.push(v);
                    }
                }
                Step::Recv(i) if i < subscribers.len() => {
                    let (rx, queue, missed) = &mut subscribers[i];
                    let expected = match std::mem::take(missed) {
                        0 if queue.is_empty() => Err(BroadcastTryRecvError::Empty),
                        0 => Ok(queue.remove(0)),
                        missed => Err(BroadcastTryRecvError::Lagged(missed)),
                    };
                    prop_assert_eq!(rx.try_recv(), expected);
                    prop_assert_eq!(rx.len(), queue.len());
                }
                Step::Subscribe => subscribers.push((tx.subscribe(), Vec::new(), 0)),
                Step::Leave(i) if i < subscribers.len() => drop(subscribers.remove(i)),
                Step::Recv(_) | Step::Leave(_) => {}
            }
            let stats = tx.stats();
            prop_assert!(stats.ledger.is_balanced());
            let unread: usize = subscribers.iter().map(|(_, queue, _)| queue.len()).sum();
            let longest = subscribers.iter().map(|(_, queue, _)| queue.len()).max();
            prop_assert_eq!(stats.ledger.in_flight, unread as u64);
            prop_assert_eq!(stats.depth, longest.unwrap_or(0));
        }
    }
}
