//! Sessions that are told what a Zipf distribution with exponent 1 draws, unscrambled.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use ironsys::Context;
use ironsys::session::{Cx, Idle, Manager, MemoryStore, Session, Snapshot};

use crate::harness::ns_each;
use crate::ours::{Cmd, Counter, counters};

/// The draws of two senders.
pub(crate) struct Draws([Vec<u64>; 2]);

impl Draws {
    /// `n` draws of the numbers below `of`.
    pub(crate) fn new(n: u64, of: u64) -> Self {
        let mut sum = 0.0;
        let weigh = |rank: u64| {
            sum += 1.0 / (rank + 1) as f64;
            sum
        };
        let sums: Vec<f64> = (0..of).map(weigh).collect();
        let whole = sums.last().copied().expect("there are sessions");
        Draws([1, 2].map(|seed: u64| {
            let mut seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let draw = |_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let at = (seed >> 11) as f64 / (1_u64 << 53) as f64 * whole;
                sums.partition_point(|sum| *sum < at) as u64
            };
            (0..n / 2).map(draw).collect()
        }))
    }

    /// Nanoseconds for each draw, when two threads work them off.
    fn each(&self, work: impl Fn(&[u64]) + Sync, wait: impl FnOnce(u64)) -> f64 {
        let n = self.0.iter().map(Vec::len).sum::<usize>() as u64;
        ns_each(n, || {
            thread::scope(|s| {
                for draws in &self.0 {
                    let work = &work;
                    s.spawn(move || work(draws));
                }
            });
            wait(n);
        })
    }
}

/// A manager with many sessions.
pub(crate) struct Crowd(Manager<Counter>);

impl Crowd {
    pub(crate) fn new(sessions: u64) -> Self {
        let manager = counters();
        for id in 0..sessions {
            manager.try_get_or_start(&id).expect("the manager is open");
        }
        Crowd(manager)
    }

    /// Nanoseconds for each message, told one by one or in batches of so many.
    pub(crate) fn tell(&self, draws: &Draws, batch: Option<usize>) -> f64 {
        let (ctx, _cancel) = Context::root();
        let handled = || self.0.loads().iter().map(|shard| shard.handled).sum::<u64>();
        let before = handled();
        let one_by_one = |ids: &[u64]| {
            for id in ids {
                self.0.tell(&ctx, id, Cmd::Add(1)).expect("it lives");
            }
        };
        let work = |ids: &[u64]| match batch {
            None => one_by_one(ids),
            Some(batch) => ids.chunks(batch).for_each(|ids| {
                let messages = ids.iter().map(|id| (*id, Cmd::Add(1))).collect();
                self.0.tell_all(&ctx, messages).expect("they live");
            }),
        };
        draws.each(work, |n| {
            while handled() < before + n {
                thread::yield_now();
            }
        })
    }
}

/// What a message cannot do without: its sender finds the session and locks it, and then somebody
/// locks its state. Each is a place in memory that the one before leads to.
#[expect(clippy::vec_box, reason = "each is an allocation of its own, as a session is")]
pub(crate) struct Places(Vec<Box<Mutex<(usize, u64)>>>);

impl Places {
    pub(crate) fn new(sessions: u64) -> Self {
        let n = sessions as usize;
        // A session's place leads to its state, which is somewhere else.
        let place = |i: usize| Box::new(Mutex::new((n + (i + n / 2) % n, 0)));
        Places((0..n).map(place).chain((0..n).map(|_| Box::new(Mutex::new((0, 0))))).collect())
    }

    /// Nanoseconds for each draw.
    pub(crate) fn touch(&self, draws: &Draws) -> f64 {
        let work = |ids: &[u64]| {
            let mut last = 0;
            for id in ids {
                // What was read last, a zero, is needed for the next, as if that were a call of its own.
                let at = *id as usize + last;
                let state = self.0[at].lock().expect("no panic").0;
                let mut state = self.0[state].lock().expect("no panic");
                state.1 += 1;
                last = state.0;
            }
        };
        draws.each(work, |_| ())
    }
}

/// Keeps 8 bytes when it leaves memory.
struct Kept {
    count: u64,
    _rest: [u64; 7],
}

impl Session for Kept {
    type Id = u64;
    type Msg = u64;
    type Error = std::convert::Infallible;

    fn start(_: &u64, _: &mut Cx<'_, Self>) -> Result<Self, Self::Error> {
        Ok(Kept { count: 0, _rest: [0; 7] })
    }

    fn handle(&mut self, n: u64, _: &mut Cx<'_, Self>) -> Result<(), Self::Error> {
        self.count += n;
        Ok(())
    }

    fn idle(&mut self, _: &mut Cx<'_, Self>) -> Idle {
        Idle::Passivate
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, self.count.to_le_bytes()))
    }
}

/// Creates `n` sessions by telling each something, with all of them in memory at once; then all leave
/// it. Returns the most memory that the process had, in GiB, the store in memory included.
pub(crate) fn passivate(n: u64) -> f64 {
    // Resets the peak.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let store = std::sync::Arc::new(MemoryStore::<u64>::new());
    let manager = Manager::<Kept>::builder("kept").sharded(2).store(store.clone());
    let manager = manager.build().expect("fine numbers");
    let (ctx, _cancel) = Context::root();
    let begun = Instant::now();
    for id in 0..n {
        manager.tell(&ctx, &id, 1).expect("the manager is open");
    }
    while manager.live() < n as usize {
        thread::yield_now();
    }
    for id in 0..n {
        assert!(manager.passivate(&id));
    }
    while !manager.is_empty() {
        thread::yield_now();
    }
    eprintln!("{n} sessions in and out: {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(store.len() as u64, n);
    assert_eq!(manager.close(&ctx).ledger.done, n);
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / f64::from(1 << 20)
}
