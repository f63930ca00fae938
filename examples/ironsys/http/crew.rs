//! The threads: a few watch, and whoever has to wait for something else hands the watch to another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use ironsys::channel::{self, Sender};
use ironsys::scope::Scope;
use ironsys::{Context, Stop};

use super::connection::{CHUNK, Connection, Look};
use super::server::{Handler, Limits, ServerStats};
use super::watch::{Knock, Watch};

/// Threads without work that wait for some; more end.
const SPARE: usize = 64;

pub(super) struct Crew<'a, H> {
    handler: &'a H,
    intake: &'a Context,
    limits: &'a Limits,
    stats: &'a ServerStats,
    watches: Vec<Watch<'a>>,
    /// Where to reach the threads that have no work, the one that had some last on top: it is warm.
    spare: Mutex<Vec<(usize, Sender<usize>)>>,
    threads: AtomicUsize,
    /// Which watch the next connection goes to.
    turn: AtomicUsize,
}

impl<'a, H: Handler> Crew<'a, H> {
    pub(super) fn new(
        handler: &'a H,
        intake: &'a Context,
        limits: &'a Limits,
        stats: &'a ServerStats,
    ) -> std::io::Result<Self> {
        // What a thread does that watches takes no waiting: one for each core.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let watches = (0..cores).map(|_| Watch::new()).collect::<Result<_, _>>()?;
        let (spare, threads, turn) = Default::default();
        Ok(Crew { handler, intake, limits, stats, watches, spare, threads, turn })
    }

    /// Begins to watch; what it returns wakes all who do.
    pub(super) fn start<'env>(&'env self, s: &Scope<'_, 'env, Stop>) -> Vec<Knock> {
        for watch in 0..self.watches.len() {
            self.hire(s, watch);
        }
        self.watches.iter().map(Watch::knocker).collect()
    }

    /// Takes a new connection.
    pub(super) fn take(&self, connection: Connection<'a>) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        drop(self.watches[turn % self.watches.len()].add(connection)); // After a drain: none is taken.
        if self.stats.open.load(Ordering::SeqCst) == 1 {
            self.watches.iter().for_each(|watch| watch.knocker().knock());
        }
    }

    fn hire<'env>(&'env self, s: &Scope<'_, 'env, Stop>, watch: usize) {
        let me = self.threads.fetch_add(1, Ordering::Relaxed);
        let _ = s.named(format!("http-{me}")).spawn_with(move |s| {
            self.work(s, me, watch);
            Ok(())
        });
    }

    /// Watches until a connection needs a thread; then that is this one, and another watches.
    fn work<'env>(&'env self, s: &Scope<'_, 'env, Stop>, me: usize, mut watch: usize) {
        let (give, work) = channel::bounded(1);
        let mut chunk = vec![0; CHUNK];
        let stops = [s.ctx(), self.intake];
        // Until either stops: the scope does alone when there was no thread to be had.
        let (rest, end) = s.ctx().with_cancel();
        let _ends = self.intake.on_stop(move |_| {
            end.cancel();
        });
        let open = || self.stats.open.load(Ordering::SeqCst) > 0;
        loop {
            let set = &self.watches[watch];
            let next = set.next(self.handler, &stops, &mut chunk, self.limits.idle, open);
            let Some(connection) = next else { return };
            self.hand_over(s, watch);
            if let Some(connection) = connection.run(self.handler, self.intake, &mut chunk)
                && let Some(mut connection) = set.add(connection)
                && connection.look(self.handler, &mut chunk, Instant::now(), true) == Look::Busy
            {
                // It has asked for more just before the drain.
                drop(connection.run(self.handler, self.intake, &mut chunk));
            }
            {
                let mut spare = self.spare();
                if spare.len() >= SPARE {
                    return;
                }
                spare.push((me, give.clone()));
            }
            watch = match work.recv(&rest) {
                Ok(watch) => watch,
                // Whoever is not among the spare ones any more has been given a watch.
                Err(_) if self.strike(me) => return,
                Err(_) => match work.try_recv() {
                    Ok(watch) => watch,
                    Err(_) => return,
                },
            };
        }
    }

    /// Finds another thread for `watch`.
    fn hand_over<'env>(&'env self, s: &Scope<'_, 'env, Stop>, watch: usize) {
        let mut spare = self.spare();
        // Within the lock: who finds that it is not spare any more finds its watch in the channel.
        if let Some((_, thread)) = spare.pop() {
            // There is room for one, and it is the only one.
            let _ = thread.try_send(watch);
            return;
        }
        drop(spare);
        self.hire(s, watch);
    }

    /// Whether the thread was spare; it is not any more.
    fn strike(&self, me: usize) -> bool {
        let mut spare = self.spare();
        let before = spare.len();
        spare.retain(|(thread, _)| *thread != me);
        spare.len() < before
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<(usize, Sender<usize>)>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
