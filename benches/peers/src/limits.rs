//! What the machine itself takes for the parts that no implementation can avoid.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use crossbeam_channel::bounded;
use parking_lot::Mutex;

use crate::harness::{ns_each, us_each};

/// Nanoseconds for one acquire load.
pub(crate) fn load(n: u64) -> f64 {
    let flag = AtomicBool::new(false);
    ns_each(n, || {
        for _ in 0..n {
            assert!(!black_box(&flag).load(Ordering::Acquire));
        }
    })
}

/// Nanoseconds for a call that returns a number, and for adding it up.
pub(crate) fn call(n: u64) -> f64 {
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            all += black_box(i);
        }
    });
    assert_eq!(all, n * (n - 1) / 2);
    each
}

/// Nanoseconds for one look at the clock.
pub(crate) fn clock(n: u64) -> f64 {
    ns_each(n, || {
        for _ in 0..n {
            black_box(Instant::now());
        }
    })
}

/// Nanoseconds for one uncontended lock and unlock.
pub(crate) fn lock(n: u64) -> f64 {
    let sum = Mutex::new(0);
    let each = ns_each(n, || {
        for i in 0..n {
            *black_box(&sum).lock() += i;
        }
    });
    assert_eq!(sum.into_inner(), n * (n - 1) / 2);
    each
}

/// Nanoseconds for a compare-and-swap that takes a permit and one that gives it back.
pub(crate) fn two_cas(n: u64) -> f64 {
    let permits = AtomicU64::new(8);
    let each = ns_each(n, || {
        for _ in 0..n {
            let step = |by: i64| {
                let permits = black_box(&permits);
                permits.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |free| {
                    free.checked_add_signed(by)
                })
            };
            step(-1).and_then(|_| step(1)).expect("free");
        }
    });
    assert_eq!(permits.into_inner(), 8);
    each
}

/// Microseconds for starting and joining one thread.
pub(crate) fn thread_start(n: u64) -> f64 {
    let mut sum = 0;
    let each = us_each(n, || {
        for i in 0..n {
            sum += thread::spawn(move || i).join().expect("no panic");
        }
    });
    assert_eq!(sum, n * (n - 1) / 2);
    each
}

/// Microseconds for waking a parked thread that wakes us, who are parked: a round trip. The threads
/// run where the system puts them, or each on its core.
pub(crate) fn wake(cores: Option<[CoreId; 2]>, n: u64) -> f64 {
    let turn = AtomicU64::new(0);
    let take_turns = |first: u64, other: &Thread| {
        let core = cores.map(|cores| cores[first as usize]);
        assert!(core.is_none_or(core_affinity::set_for_current));
        us_each(n, || {
            for i in 0..n {
                while turn.load(Ordering::Acquire) != 2 * i + first {
                    thread::park();
                }
                turn.store(2 * i + first + 1, Ordering::Release);
                other.unpark();
            }
        })
    };
    let take_turns = &take_turns;
    thread::scope(|s| {
        let (tell, told) = bounded(1);
        let near = s.spawn(move || {
            let far: Thread = told.recv().expect("told");
            take_turns(0, &far)
        });
        let to_near = near.thread().clone();
        let far = s.spawn(move || take_turns(1, &to_near));
        tell.send(far.thread().clone()).expect("open");
        near.join().expect("no panic")
    })
}

/// Nanoseconds for boxing a job and passing it through a channel, on one thread.
pub(crate) fn box_and_pass(n: u64) -> f64 {
    let (tx, rx) = bounded::<Box<dyn FnOnce() -> u64 + Send>>(1024);
    let mut sum = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            tx.send(Box::new(move || i)).expect("open");
            sum += rx.recv().expect("open")();
        }
    });
    assert_eq!(sum, n * (n - 1) / 2);
    each
}

/// From waking `threads` parked threads until they have been joined.
pub(crate) fn wake_and_join(threads: usize, settle: Duration) -> Duration {
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                s.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        thread::park();
                    }
                })
            })
            .collect();
        thread::sleep(settle);
        let start = Instant::now();
        done.store(true, Ordering::Release);
        all.iter().for_each(|thread| thread.thread().unpark());
        all.into_iter().for_each(|thread| thread.join().expect("no panic"));
        start.elapsed()
    })
}
