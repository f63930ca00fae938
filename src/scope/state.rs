//! What the lock of a scope guards: what is queued, and who serves it. No code of the user's runs here.

use super::handle::Scope;
use crate::context::Stop;
use crate::observe::Mark;
use crate::sync::{Arc, MODEL};
use crate::time::{Clock, Token};
use crate::wait::{WaitQueue, Waiter, Wakes};
use std::any::Any;
use std::collections::VecDeque;

/// A task that has not been run: it stores its own result, catches its own panic, and when dropped
/// instead says so to whoever waits for it.
pub(super) type Job<'env, E> = Box<dyn FnOnce(&Scope<'_, 'env, E>, &mut Mark) + Send + 'env>;

/// How a scope failed.
pub(super) enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
    /// The context stopped before every task had begun.
    Stopped(Stop),
}

/// Tasks that may wait in one scope: a bound on memory, far above what a scope should hold.
pub(super) const MAX_QUEUED: usize = 1 << 20;

/// So many threads of its own a scope starts before those without work stay, parked. A scope of a few
/// tasks never pays for a wake-up at its end; one that spawns for ever does not pile up stacks.
const MAX_ENDED: usize = if MODEL { 0 } else { 32 };

pub(super) struct State<'env, E> {
    pub(super) tasks: VecDeque<Job<'env, E>>,
    pub(super) daemons: VecDeque<Job<'env, E>>,
    /// Threads at work or asked to come, the owner among them while it helps.
    pub(super) threads: usize,
    /// One has been asked to come and has not arrived: at most one at a time.
    pub(super) coming: bool,
    /// The place of a fresh one in the count of an autojumping clock: it is at work from the call on.
    pub(super) arriving: Option<Token>,
    pub(super) running: usize,
    pub(super) running_daemons: usize,
    /// Threads without work that wait to be called, the last one first.
    parked: Vec<Arc<Waiter>>,
    /// How many threads have been started.
    started: usize,
    /// Nothing is left to wait for.
    pub(super) ended: bool,
    /// Some task never ran.
    pub(super) unserved: bool,
    pub(super) failure: Option<Failure<E>>,
    pub(super) owner: WaitQueue,
}

impl<E> Default for State<'_, E> {
    fn default() -> Self {
        State {
            tasks: VecDeque::new(),
            daemons: VecDeque::new(),
            threads: 0,
            coming: false,
            arriving: None,
            running: 0,
            running_daemons: 0,
            parked: Vec::new(),
            started: 0,
            ended: false,
            unserved: false,
            failure: None,
            owner: WaitQueue::default(),
        }
    }
}

/// Who is called for what is queued, once the lock is released.
#[must_use = "a task would wait for ever"]
pub(super) enum Call {
    Nobody,
    Parked(Arc<Waiter>),
    Fresh,
}

/// What a thread does next.
pub(super) enum Next<'env, E> {
    Run(Found<'env, E>),
    /// Stand in awake, for a moment, as the one who is coming.
    Linger,
    /// Wait to be called.
    Park,
    Leave,
}

/// A task for a thread that looks for work.
pub(super) struct Found<'env, E> {
    pub(super) job: Job<'env, E>,
    pub(super) daemon: bool,
    pub(super) call: Call,
}

/// What a thread without work may do but leave.
#[derive(Clone, Copy)]
pub(super) struct Idle<'a> {
    pub(super) lingers: bool,
    pub(super) parks: Option<&'a Arc<Waiter>>,
}

impl<'env, E> State<'env, E> {
    /// Whether one more thread is to be asked to come; if so it counts from now on.
    pub(super) fn call_another(&mut self, limit: usize, clock: &Clock) -> Call {
        let work = !self.tasks.is_empty() || !self.daemons.is_empty();
        if !work || self.coming || !self.take_place(limit) {
            return Call::Nobody;
        }
        self.coming = true;
        match self.parked.pop() {
            Some(waiter) => Call::Parked(waiter), // Its wake-up puts it back into the clock's count.
            None => {
                self.started += 1;
                self.arriving = Some(Token::of(clock));
                Call::Fresh
            }
        }
    }

    /// Daemons work on top of the limit: they would keep the tasks out for ever.
    pub(super) fn take_place(&mut self, limit: usize) -> bool {
        let daemons = self.daemons.len() + self.running_daemons;
        let room = self.threads < limit.saturating_add(daemons);
        self.threads += usize::from(room);
        room
    }

    /// The next task for a thread at work; without one the thread is taken off the count. A thread
    /// that came for a daemon may find the limit's share of tasks at work.
    pub(super) fn next(
        &mut self,
        limit: usize,
        daemons: bool,
        idle: Idle<'_>,
        clock: &Clock,
    ) -> Next<'env, E> {
        let first = if daemons { self.daemons.pop_front() } else { None };
        let (job, daemon) = match first {
            Some(job) => (job, true),
            None => match (self.running < limit).then(|| self.tasks.pop_front()).flatten() {
                Some(job) => (job, false),
                None => return self.without_work(limit, idle),
            },
        };
        if daemon {
            self.running_daemons += 1;
        } else {
            self.running += 1;
        }
        let call = self.call_another(limit, clock);
        Next::Run(Found { job, daemon, call })
    }

    fn without_work(&mut self, limit: usize, idle: Idle<'_>) -> Next<'env, E> {
        self.threads -= 1;
        if idle.lingers && !MODEL && !self.ended && !self.coming && self.take_place(limit) {
            self.coming = true;
            return Next::Linger;
        }
        match idle.parks {
            Some(waiter) if self.started > MAX_ENDED && !self.ended => {
                self.parked.push(waiter.clone());
                Next::Park
            }
            _ => Next::Leave,
        }
    }

    /// What became of a thread that parked: `true` if it was called, `false` if the scope has ended,
    /// `None` if neither.
    pub(super) fn called(&mut self, waiter: &Arc<Waiter>) -> Option<bool> {
        let Some(i) = self.parked.iter().position(|parked| Arc::ptr_eq(parked, waiter)) else {
            return Some(true);
        };
        self.ended.then(|| {
            self.parked.swap_remove(i);
            false
        })
    }

    /// The end of the scope: sends home who is parked.
    pub(super) fn end(&mut self, wakes: &mut Wakes) {
        self.ended = true;
        self.parked.iter().for_each(|waiter| wakes.add(waiter.clone()));
    }
}
