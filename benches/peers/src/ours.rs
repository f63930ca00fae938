//! Our side of each case, and nothing else: the one file that knows the API of ironsys.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ironsys::channel::{self, Receiver, Reply, Sender};
use ironsys::limit::Semaphore;
use ironsys::pool::Pool;
use ironsys::resilience::{
    Breaker, Bulkhead, CallError, Fallback, Policy, Retry, SingleFlight, Timeout, Trip,
};
use ironsys::session::{Cx, Manager, Session};
use ironsys::threads::ThreadCache;
use ironsys::{Context, Stop};

use crate::allocs;
use crate::cases::{resilience, session};
use crate::harness::{ns_each, us_each};
use crate::tally::Tally;
use crate::wires::Wire;

// ===== context =====

/// Nanoseconds for one check of a context that is not stopped and has no deadline.
pub(crate) fn check(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    ns_each(n, || {
        for _ in 0..n {
            black_box(&ctx).check().expect("not stopped");
        }
    })
}

/// Nanoseconds that a blocking wait pays for noting what it waits for, and since when.
pub(crate) fn noting(n: u64) -> f64 {
    let rounds = u32::try_from(n).expect("a count of rounds");
    ironsys::testing::inner::time_noting(rounds).as_secs_f64() * 1e9 / n as f64
}

// ===== channel =====

/// Our channel, on which every call is a cancel point.
pub(crate) struct Ours;

/// One end of a channel and the context under which it is used.
#[derive(Clone)]
pub(crate) struct Under<T> {
    ctx: Context,
    end: T,
}

impl Wire for Ours {
    type Tx = Under<Sender<u64>>;
    type Rx = Under<Receiver<u64>>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(capacity);
        (Under { ctx: ctx.clone(), end: tx }, Under { ctx, end: rx })
    }

    fn send(tx: &Self::Tx, value: u64) {
        tx.end.send(&tx.ctx, value).expect("receivers live");
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        rx.end.recv(&rx.ctx).ok()
    }
}

/// From one cancel until `threads` threads blocked in a receive have been joined.
pub(crate) fn cancel_blocked(threads: usize, settle: Duration) -> Duration {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded::<u64>(1);
    let ready = Barrier::new(threads + 1);
    let took = thread::scope(|s| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                s.spawn(|| {
                    ready.wait();
                    rx.recv(&ctx).is_err()
                })
            })
            .collect();
        ready.wait();
        thread::sleep(settle);
        let start = Instant::now();
        cancel.cancel();
        assert!(all.into_iter().all(|thread| thread.join().expect("no panic")));
        start.elapsed()
    });
    drop(tx);
    took
}

// ===== scope =====

/// A root context, with or without warm threads.
pub(crate) fn context(warm_threads: Option<usize>) -> Context {
    match warm_threads {
        None => Context::root().0,
        Some(threads) => {
            let cache = ThreadCache::new(threads);
            Context::builder().value(cache).build().0
        }
    }
}

/// Microseconds for a scope of trivial tasks, each on a thread of its own.
pub(crate) fn scope(ctx: &Context, tasks: u64, n: u64) -> f64 {
    scope_limited(ctx, tasks, ironsys::scope::DEFAULT_LIMIT, n)
}

/// Microseconds for a scope of trivial tasks on at most `limit` threads.
pub(crate) fn scope_limited(ctx: &Context, tasks: u64, limit: usize, n: u64) -> f64 {
    let hits = AtomicU64::new(0);
    let each = us_each(n, || {
        for _ in 0..n {
            ironsys::scope::options()
                .limit(limit)
                .run(ctx, |s| {
                    for _ in 0..tasks {
                        s.execute(|_| {
                            hits.fetch_add(1, Ordering::Relaxed);
                            Ok::<_, Stop>(())
                        });
                    }
                    Ok(())
                })
                .expect("no task fails");
        }
    });
    assert_eq!(hits.into_inner(), tasks * n);
    each
}

// ===== pool =====

static TALLY: Tally = Tally::new();

/// Nanoseconds a job for `n` jobs through a pool with a bounded queue, until all are done. As with the
/// peers, nobody asks for the results.
pub(crate) fn pool_noop(workers: usize, queue: usize, n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let pool = Pool::builder("bench").workers(workers).queue(queue).build().expect("valid");
    let each = ns_each(n, || {
        for i in 0..n {
            pool.execute(&ctx, move |_| TALLY.add(i)).expect("open");
        }
        assert_eq!(pool.drain(&ctx).done, n);
    });
    assert_eq!(TALLY.take(), n * (n - 1) / 2);
    each
}

/// Microseconds from submitting a job to an idle pool to having its result.
pub(crate) fn pool_latency(workers: usize, n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let pool = Pool::builder("bench").workers(workers).queue(1024).build().expect("valid");
    let mut sum = 0;
    let each = us_each(n, || {
        for i in 0..n {
            let ticket = pool.submit(&ctx, move |_| i).expect("open");
            sum += ticket.join(&ctx).expect("no panic");
        }
    });
    assert_eq!(sum, n * (n - 1) / 2);
    each
}

// ===== semaphore =====

/// Nanoseconds for acquiring a free permit, as a cancel point, and giving it back. Like the peer's it is
/// borrowed.
pub(crate) fn semaphore(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let semaphore = Semaphore::new(8);
    ns_each(n, || {
        for _ in 0..n {
            drop(black_box(black_box(&semaphore).hold(&ctx, 1).expect("free")));
        }
    })
}

/// The same with a permit that may go anywhere.
pub(crate) fn semaphore_owned(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let semaphore = Semaphore::new(8);
    ns_each(n, || {
        for _ in 0..n {
            drop(black_box(black_box(&semaphore).acquire(&ctx, 1).expect("free")));
        }
    })
}

// ===== resilience =====

/// Nanoseconds for a call through a closed breaker.
pub(crate) fn breaker(trip: resilience::Trip, n: u64, fails_at: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let trip = match trip {
        resilience::Trip::Consecutive => Trip::consecutive(5),
        resilience::Trip::Last => Trip::last(100, 0.5),
    };
    let breaker = Breaker::builder("bench").trip(trip).build().expect("valid");
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            let call = |_: &Context| resilience::call(i, fails_at);
            all += match black_box(&breaker).call(&ctx, call) {
                Ok(i) | Err(CallError::Failed(i)) => i,
                Err(_) => unreachable!("closed"),
            };
        }
    });
    assert_eq!(all, resilience::sum(n));
    each
}

/// Nanoseconds for a call that succeeds at once, under a retry.
pub(crate) fn retry(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let retry = Retry::fixed(Duration::from_secs(1)).max_attempts(3);
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            let call = |_: &Context| resilience::call(i, u64::MAX);
            all += black_box(&retry).call(&ctx, call).expect("it succeeds");
        }
    });
    assert_eq!((all, retry.stats().calls), (resilience::sum(n), n));
    each
}

/// Nanoseconds for a shared call that nobody shares.
pub(crate) fn single_flight_alone(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let flights = SingleFlight::<u64, u64, ()>::new();
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            all += flights.call(&ctx, i % 1000, |_| Ok(black_box(i))).expect("it succeeds");
        }
    });
    assert_eq!((all, flights.stats().made), (resilience::sum(n), n));
    each
}

/// Microseconds from the end of a shared call until all who asked for it have its value.
pub(crate) fn single_flight_hit(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let flights = SingleFlight::<u64, Instant, ()>::new();
    resilience::hand_over(n, |round, call| {
        flights.call(&ctx, round, |_| Ok(call())).expect("it succeeds")
    })
}

/// Nanoseconds for a call under a fallback, a timeout, a bulkhead, a retry and a breaker.
pub(crate) fn policy(n: u64) -> f64 {
    let (ctx, _cancel) = Context::root();
    let policy = Policy::new()
        .fallback(Fallback::value(0))
        .timeout(Timeout::new(Duration::from_secs(10)))
        .bulkhead(&Bulkhead::builder("bench").build().expect("valid"))
        .retry(Retry::fixed(Duration::from_secs(1)).max_attempts(3))
        .breaker(&Breaker::builder("bench").build().expect("valid"));
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            let call = |_: &Context| resilience::call(i, u64::MAX);
            all += black_box(&policy).call(&ctx, call).expect("it succeeds");
        }
    });
    assert_eq!(all, resilience::sum(n));
    each
}

// ===== sessions =====

/// A counter of 64 bytes.
pub(crate) struct Counter {
    count: u64,
    _rest: [u64; 7],
}

pub(crate) enum Cmd {
    Add(u64),
    Report,
    Get(Reply<u64>),
    Sleep(Duration),
}

impl Session for Counter {
    type Id = u64;
    type Msg = Cmd;
    type Error = Infallible;

    fn start(_: &u64, _: &mut Cx<'_, Self>) -> Result<Self, Infallible> {
        Ok(Counter { count: 0, _rest: [0; 7] })
    }

    fn handle(&mut self, cmd: Cmd, _: &mut Cx<'_, Self>) -> Result<(), Infallible> {
        match cmd {
            Cmd::Add(n) => self.count += n,
            Cmd::Report => {
                session::TALLY.fetch_add(std::mem::take(&mut self.count), Ordering::AcqRel);
            }
            Cmd::Get(reply) => drop(reply.send(self.count)),
            Cmd::Sleep(time) => thread::sleep(time),
        }
        Ok(())
    }
}

pub(crate) fn counters() -> Manager<Counter> {
    Manager::builder("counters").sharded(2).mailbox(64).build().expect("fine numbers")
}

/// Nanoseconds for each of `n` messages from two threads to `sessions`, which they have the addresses
/// of, as the peers' senders have, or look up by their ids.
pub(crate) fn session_tell(n: u64, sessions: u64, by_id: bool) -> f64 {
    let manager = counters();
    let (ctx, _cancel) = Context::root();
    let start = |id| manager.get_or_start(&ctx, &id).expect("it starts");
    let all: Vec<_> = (0..sessions).map(start).collect();
    ns_each(n, || {
        thread::scope(|s| {
            for sender in 0..2 {
                let (manager, ctx, all) = (&manager, &ctx, &all);
                let to = move |i| (i + sender * sessions / 2) % sessions;
                s.spawn(move || {
                    for i in 0..n / 2 {
                        let told = if by_id {
                            manager.tell(ctx, &to(i), Cmd::Add(1))
                        } else {
                            all[to(i) as usize].tell(ctx, Cmd::Add(1))
                        };
                        told.expect("it lives");
                    }
                });
            }
        });
        for counter in &all {
            counter.tell(&ctx, Cmd::Report).expect("it lives");
        }
        session::await_tally(n / 2 * 2);
    })
}

pub(crate) fn session_ask(n: u64, inline: bool) -> f64 {
    let manager = Manager::<Counter>::builder("counters").sharded(2).caller_runs(inline);
    let manager = manager.build().expect("fine numbers");
    let (ctx, _cancel) = Context::root();
    let counter = manager.get_or_start(&ctx, &1).expect("it starts");
    ns_each(n, || {
        for _ in 0..n {
            counter.ask(&ctx, Cmd::Get).expect("it answers");
        }
    })
}

/// Nanoseconds for each of `n` sessions started, until all have.
pub(crate) fn session_start(n: u64) -> f64 {
    let manager = counters();
    ns_each(n, || {
        for id in 0..n {
            manager.try_get_or_start(&id).expect("the manager is open");
        }
        while manager.live() < n as usize {
            thread::yield_now();
        }
    })
}

/// Bytes for each of `n` sessions, all started and told something once, over the 64 of their state.
pub(crate) fn session_idle(n: u64) -> f64 {
    let manager = counters();
    let (ctx, _cancel) = Context::root();
    let ((), bytes) = allocs::left_by(|| {
        for id in 0..n {
            manager.tell(&ctx, &id, Cmd::Add(1)).expect("the manager is open");
        }
        while manager.stats().ledger.done < n {
            thread::yield_now();
        }
    });
    bytes as f64 / n as f64 - 64.0
}

/// While one of 200 sessions sleeps, the others are asked in turn: the 99th percentile in microseconds.
pub(crate) fn session_stuck(sleep: Duration) -> f64 {
    let manager = counters();
    let (ctx, _cancel) = Context::root();
    for id in 0..200 {
        manager.get_or_start(&ctx, &id).expect("it starts");
    }
    manager.tell(&ctx, &0, Cmd::Sleep(sleep)).expect("it lives");
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < sleep {
        let id = 1 + waits.len() as u64 % 199;
        let asked = Instant::now();
        manager.ask(&ctx, &id, Cmd::Get).expect("it answers");
        waits.push(asked.elapsed());
    }
    waits.sort_unstable();
    waits[waits.len() * 99 / 100].as_secs_f64() * 1e6
}
