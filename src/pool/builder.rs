//! Building a pool.

use super::handle::Pool;
use super::worker::Crew;
use crate::channel;
use crate::context::Context;
use crate::error::BuildError;
use crate::sync::{Arc, next_number, thread};
use crate::threads::ThreadCache;
use std::panic::Location;

/// Builds a [`Pool`]. Made by [`Pool::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    name: String,
    workers: usize,
    queue: usize,
    parent: Option<Context>,
}

/// Above this a "number of workers" is a mistake.
const MAX_WORKERS: usize = 1 << 16;

impl Builder {
    pub(super) fn new(name: String) -> Self {
        Builder { name, workers: thread::available_parallelism(), queue: 256, parent: None }
    }

    /// Sets how many threads work. The default is one for each processor.
    pub fn workers(mut self, threads: usize) -> Self {
        self.workers = threads;
        self
    }

    /// Sets how many jobs may wait. The default is 256. With 0 a job is accepted when a worker is
    /// there to take it.
    pub fn queue(mut self, jobs: usize) -> Self {
        self.queue = jobs;
        self
    }

    /// Makes the pool stop with `ctx`, on its clock, under its registry, and on the threads of its
    /// [`ThreadCache`] if it has one. The default is a root of its own.
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `workers`: 0, or more than 65,536, or the system has no thread
    /// left to give; those that were started are stopped and joined.
    #[track_caller]
    pub fn build(self) -> Result<Pool, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("pool", field, problem));
        if self.name.contains('\0') {
            return wrong("name", "holds a zero byte".into());
        }
        if self.workers == 0 || self.workers > MAX_WORKERS {
            let problem = format!("must be between 1 and {MAX_WORKERS}, not {}", self.workers);
            return wrong("workers", problem);
        }
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        let cache = parent.value::<ThreadCache>().cloned();
        let (ctx, cancel) = parent.with_cancel();
        let name: Arc<str> = self.name.into();
        let (tx, rx) = channel::builder(self.queue).name(&*name).build()?;
        let at = Location::caller();
        let crew = Crew::new(next_number(), name.clone(), at, ctx, rx, self.workers);
        let mut pool = Pool::new(Arc::new(crew), tx, cancel);
        for me in 0..self.workers {
            if let Err(e) = pool.start(me, cache.as_ref()) {
                for _ in me..self.workers {
                    pool.crew().alive.left();
                }
                let problem = format!("{me} of {} could be started: {e}", self.workers);
                return wrong("workers", problem); // Dropping the pool joins them.
            }
        }
        Ok(pool)
    }
}
