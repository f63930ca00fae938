//! Too large for loom, which holds five threads: shuttle's schedules, and real threads.
#![cfg(not(any(loom, ironsys_loom)))]

use ironsys::channel::{self, Overflow, RecvError};
use ironsys::limit::Semaphore;
use ironsys::pool::Pool;
use ironsys::sync::{Arc, AtomicUsize, Ordering, thread};
use ironsys::testing::Model;
use ironsys::{Context, Stop, scope, select};

/// A number that the tasks share.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self, n: usize) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// One more is inside; returns how many were.
    fn enter(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
enum Failed {
    Stopped,
    Planned,
}

impl From<Stop> for Failed {
    fn from(_: Stop) -> Self {
        Failed::Stopped
    }
}

/// Six senders, four receivers, three places: every message arrives once.
#[test]
fn many_to_many() {
    Model::new("big::many_to_many").check(|| {
        let (ctx, _cancel) = Context::root();
        let (sent, received) = (Count::default(), Count::default());
        scope(&ctx, |s| {
            let (tx, rx) = channel::bounded(3);
            for _ in 0..6 {
                let (tx, sent) = (tx.clone(), sent.clone());
                let _ = s.spawn(move |ctx| {
                    for n in 1..=5 {
                        tx.send(ctx, n).map_err(|_| Failed::Stopped)?;
                        sent.add(n);
                    }
                    Ok::<_, Failed>(())
                });
            }
            for _ in 0..4 {
                let (rx, received) = (rx.clone(), received.clone());
                let _ = s.spawn(move |ctx| {
                    rx.iter(ctx).for_each(|n| received.add(n));
                    Ok(())
                });
            }
            Ok(())
        })
        .expect("nobody fails");
        assert_eq!((sent.get(), received.get()), (90, 90));
    });
}

/// Five senders to three receivers without a buffer.
#[test]
fn many_to_many_rendezvous() {
    Model::new("big::many_to_many_rendezvous").check(|| {
        let (ctx, _cancel) = Context::root();
        let received = Count::default();
        scope(&ctx, |s| {
            let (tx, rx) = channel::bounded(0);
            for n in 1..=5 {
                let tx = tx.clone();
                let _ = s.spawn(move |ctx| {
                    tx.send(ctx, n).map_err(|_| Failed::Stopped)?;
                    tx.send(ctx, n).map_err(|_| Failed::Stopped)
                });
            }
            for _ in 0..3 {
                let (rx, received) = (rx.clone(), received.clone());
                let _ = s.spawn(move |ctx| {
                    while let Ok(n) = rx.recv(ctx) {
                        received.add(n);
                    }
                    Ok(())
                });
            }
            Ok(())
        })
        .expect("nobody fails");
        assert_eq!(received.get(), 30);
    });
}

/// Eight users of two permits, one cancelled, one failing: no permit is lost.
#[test]
fn cancel_storm() {
    Model::new("big::cancel_storm").check(|| {
        let (ctx, _cancel) = Context::root();
        let (slots, inside) = (Semaphore::new(2), Count::default());
        let out = scope(&ctx, |s| {
            for i in 0..8 {
                let (slots, inside) = (slots.clone(), inside.clone());
                let _ = s.spawn(move |ctx| {
                    let (own, cancel) = ctx.with_cancel();
                    for _ in 0..3 {
                        if i == 7 {
                            cancel.cancel();
                        }
                        let Ok(permit) = slots.acquire(&own, 1) else { return Ok(()) };
                        assert!(inside.enter() < 2, "three were inside");
                        inside.leave();
                        drop(permit);
                    }
                    if i == 3 { Err(Failed::Planned) } else { Ok(()) }
                });
            }
            Ok(())
        });
        assert!(matches!(out, Err(Failed::Planned)), "{out:?}");
        assert_eq!((slots.available(), slots.waiting()), (2, 0));
        assert!(slots.stats().ledger.is_balanced());
    });
}

/// Sixteen workers on one channel, each receive under a context of its own that is cancelled now and
/// then: every message arrives, whoever is cancelled.
#[test]
fn sixteen_workers_with_their_own_cancels() {
    const WORKERS: usize = 16;
    const MESSAGES: usize = 48;
    Model::new("big::sixteen_workers_with_their_own_cancels").runs(100).check(|| {
        let (ctx, _cancel) = Context::root();
        let received = Count::default();
        let (tx, rx) = channel::bounded(4);
        let (cancels, to_cancel) = channel::bounded(usize::MAX);
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (ctx, rx, cancels) = (ctx.clone(), rx.clone(), cancels.clone());
                let received = received.clone();
                thread::spawn("worker", move || {
                    loop {
                        let (own, cancel) = ctx.with_cancel();
                        cancels.try_send(cancel).expect("it is never full");
                        match rx.recv(&own) {
                            Ok(n) => received.add(n),
                            Err(RecvError::Closed) => return,
                            Err(e) => assert!(e.stop().is_some()),
                        }
                    }
                })
                .expect("the system has a thread left")
            })
            .collect();
        drop(cancels);
        for i in 0..MESSAGES {
            if i % 3 == 0
                && let Ok(cancel) = to_cancel.try_recv()
            {
                cancel.cancel();
            }
            tx.send(&ctx, 1).expect("the workers live");
        }
        drop(tx);
        for worker in workers {
            worker.join().expect("a worker does not panic");
        }
        assert_eq!(received.get(), MESSAGES);
    });
}

/// Four senders that never wait, one receiver: received and dropped add up to what was sent.
#[test]
fn drop_oldest() {
    Model::new("big::drop_oldest").check(|| {
        let (ctx, _cancel) = Context::root();
        let (dropped, received) = (Count::default(), Count::default());
        let lost = dropped.clone();
        let (tx, rx) = channel::builder(2)
            .overflow(Overflow::DropOldest)
            .on_drop(move |n| lost.add(n))
            .build()
            .expect("there is a place to drop from");
        scope(&ctx, |s| {
            for _ in 0..4 {
                let tx = tx.clone();
                let _ = s.spawn(move |ctx| {
                    (1..=5).try_for_each(|n| tx.send(ctx, n).map_err(|_| Failed::Stopped))
                });
            }
            drop(tx);
            let _ = s.spawn(|ctx| {
                rx.iter(ctx).for_each(|n| received.add(n));
                Ok(())
            });
            Ok::<_, Failed>(())
        })
        .expect("nobody fails");
        assert_eq!(received.get() + dropped.get(), 60);
        assert!(rx.stats().ledger.is_balanced());
    });
}

/// Six parties select to send on one rendezvous or receive from it: they pair up, and every value
/// that was sent was received.
#[test]
fn selects_pair_up() {
    Model::new("big::selects_pair_up").check(|| {
        let (ctx, _cancel) = Context::root();
        let (sent, received) = (Count::default(), Count::default());
        scope(&ctx, |s| {
            let (tx, rx) = channel::bounded(0);
            for n in 1..=6 {
                let (tx, rx) = (tx.clone(), rx.clone());
                let (sent, received) = (sent.clone(), received.clone());
                let _ = s.spawn(move |ctx| {
                    let done = select! { ctx;
                        send(tx, n) -> r => { r.expect("a receiver lives"); sent.add(n); },
                        recv(rx) -> m => { received.add(m.expect("a sender lives")); }
                    };
                    done.map_err(Failed::from)
                });
            }
            Ok(())
        })
        .expect("six are three pairs");
        assert_eq!(sent.get(), received.get());
    });
}

/// Three workers, twelve jobs from three submitters, and a shutdown in between: each job has run or
/// was given back.
#[test]
fn pool_shutdown() {
    Model::new("big::pool_shutdown").check(|| {
        let (ctx, _cancel) = Context::root();
        let (ran, refused) = (Count::default(), Count::default());
        let pool = Pool::builder("p").workers(3).queue(2).build().expect("fine numbers");
        let submitters: Vec<_> = (0..3)
            .map(|_| {
                let (ctx, pool) = (ctx.clone(), pool.submitter());
                let (ran, refused) = (ran.clone(), refused.clone());
                thread::spawn("submitter", move || {
                    for _ in 0..4 {
                        let ran = ran.clone();
                        if pool.submit(&ctx, move |_| ran.add(1)).is_err() {
                            refused.add(1);
                        }
                    }
                })
                .expect("the system has a thread left")
            })
            .collect();
        let submitter = pool.submitter();
        let report = pool.drain(&ctx);
        for submitter in submitters {
            submitter.join().expect("a submitter does not panic");
        }
        assert_eq!(ran.get() + refused.get() + report.undelivered.len(), 12);
        assert!(submitter.stats().ledger.is_balanced());
    });
}
