//! What keeps the bars.

use super::looks::Looks;
use super::write;
use crate::context::Context;
use crate::error::BuildError;
use crate::export::periodic::Periodic;
use crate::observe::Registry;
use crate::sync::{self, Arc, LeakTrack, Mutex};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Keeps what ran when, and writes it to a file for a trace viewer; see the [module](super). Cheap to
/// clone; all clones keep one trace.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    began: Instant,
    capacity: usize,
    /// Guards everything that was recorded.
    state: Mutex<State>,
    _leak: LeakTrack,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) bars: VecDeque<Bar>,
    pub(super) dropped: u64,
    /// The names of the threads, by number.
    pub(super) threads: HashMap<u64, String>,
    pub(super) looks: Looks,
}

/// A stretch of time on a thread.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) thread: u64,
    pub(super) name: Cow<'static, str>,
    pub(super) what: What,
    pub(super) from: Instant,
    /// Until when it lasted at least.
    pub(super) sure: Instant,
    /// Until when it lasted at most.
    pub(super) to: Instant,
    pub(super) at: &'static Location<'static>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Span,
    Task,
    Wait,
}

/// What [`Tracer::write`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// How many bars are in the file; those of tasks and waits that go on end at the last look.
    pub bars: usize,
    /// How many are not, since newer ones needed their room.
    pub dropped: u64,
}

/// Looks at a registry for a [`Tracer`] until it is dropped, which joins its thread. Made by
/// [`Tracer::watch`].
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct TraceWatch {
    _periodic: Periodic,
}

impl Tracer {
    /// Makes a tracer that keeps the last `capacity` bars; some 150 bytes each. 0 keeps none, and
    /// counts.
    ///
    /// ```
    /// # use ironsys::export::trace::Tracer;
    /// let mut file = Vec::new();
    /// assert_eq!(Tracer::new(100).write(&mut file)?.bars, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let state = Mutex::new(State::default());
        let began = sync::time::now();
        Tracer(Arc::new(Inner { began, capacity, state, _leak: LeakTrack::new() }))
    }

    /// Looks at the registry of `ctx` every `every` on its clock, on a thread of its own, until the
    /// context stops or the watch is dropped.
    ///
    /// # Errors
    /// `every` is 0, or the system has no thread left.
    ///
    /// ```
    /// # use ironsys::export::trace::Tracer;
    /// # let (ctx, _cancel) = ironsys::Context::root();
    /// assert!(Tracer::new(100).watch(&ctx, std::time::Duration::ZERO).is_err());
    /// ```
    #[track_caller]
    pub fn watch(&self, ctx: &Context, every: Duration) -> Result<TraceWatch, BuildError> {
        let registry = ctx.registry().cloned().unwrap_or_default();
        let tracer = self.clone();
        let look = move || tracer.look(&registry);
        let _periodic = Periodic::start("trace-watch", ctx, every, Location::caller(), look)?;
        Ok(TraceWatch { _periodic })
    }

    /// Looks once which tasks run and wait. One tracer looks at one registry.
    ///
    /// # Cost
    /// As [`Registry::tasks`].
    ///
    /// ```
    /// # use ironsys::export::trace::Tracer;
    /// # use ironsys::observe::Registry;
    /// let tracer = Tracer::new(100);
    /// tracer.look(&Registry::new()); // nothing runs
    /// assert_eq!(tracer.write(&mut Vec::new())?.bars, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn look(&self, registry: &Registry) {
        // Whatever is met ran before, or has begun since; whatever is missed has ended after that.
        let before = sync::time::now();
        let tasks = registry.tasks();
        let after = sync::time::now();
        let mut state = self.0.state.lock();
        for task in tasks.as_slice() {
            // The number of its thread is the upper half of its own.
            state.threads.entry(task.id >> 32).or_insert_with(|| task.thread.clone());
        }
        let ended = state.looks.take(&tasks, self.0.began, before, after);
        ended.into_iter().for_each(|bar| state.push(bar, self.0.capacity));
    }

    /// Adds the bar of a span that has ended.
    pub(super) fn add(&self, bar: Bar, thread: impl FnOnce() -> String) {
        let mut state = self.0.state.lock();
        state.threads.entry(bar.thread).or_insert_with(thread);
        state.push(bar, self.0.capacity);
    }

    /// Writes everything that is kept, and keeps it: after an error, or later, it can be written again.
    ///
    /// It copies what is kept, so nobody waits for the file.
    ///
    /// # Errors
    /// Of the writer, also of its `flush`; the file is then not whole.
    ///
    /// ```
    /// # use ironsys::export::trace::Tracer;
    /// let mut file = Vec::new();
    /// Tracer::new(100).write(&mut file)?;
    /// assert!(!file.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self, to: &mut impl io::Write) -> io::Result<Written> {
        let (bars, dropped, threads) = {
            let state = self.0.state.lock();
            let kept = state.bars.iter().cloned().chain(state.looks.open());
            (kept.collect::<Vec<_>>(), state.dropped, state.threads.clone())
        };
        let count = bars.len();
        write::file(to, self.0.began, bars, &threads)?;
        to.flush()?;
        Ok(Written { bars: count, dropped })
    }
}

impl State {
    fn push(&mut self, bar: Bar, capacity: usize) {
        self.bars.push_back(bar);
        while self.bars.len() > capacity {
            self.bars.pop_front();
            self.dropped += 1;
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("capacity", &self.0.capacity).finish_non_exhaustive()
    }
}
