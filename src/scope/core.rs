//! The queue of a scope and the threads that serve it. `README.md` has the protocol.

use super::handle::Scope;
use super::state::{Call, Failure, Found, Idle, Job, MAX_QUEUED, Next, State};
use crate::context::{Canceller, Context, Op, Stop};
use crate::observe::{Mark, TaskId};
use crate::panics;
use crate::sync::{
    Arc, AtomicBool, LeakTrack, Mutex, Ordering, Start, catch_unwind, planted, spin,
};
use crate::time::Token;
use crate::wait::{On, Place, Site, WaitKind, Waiter, Wakes};

pub(super) struct Core<'env, E> {
    pub(super) ctx: Context,
    pub(super) cancel: Canceller,
    /// Where daemons run: stopped when the tasks have ended.
    pub(super) daemon_ctx: Context,
    daemon_cancel: Canceller,
    pub(super) name: Option<Arc<str>>,
    pub(super) id: Option<TaskId>,
    limit: usize,
    /// Guards the queues, the count of threads, and the first failure.
    state: Mutex<State<'env, E>>,
    /// A hint for a thread that lingers: whether to look again. Written under the lock.
    look: AtomicBool,
    _leak: LeakTrack,
}

impl<'env, E: Send + 'env> Core<'env, E> {
    pub(super) fn new(
        parent: &Context,
        name: Option<Arc<str>>,
        id: Option<TaskId>,
        limit: usize,
    ) -> Self {
        let (ctx, cancel) = parent.with_cancel();
        let (daemon_ctx, daemon_cancel) = ctx.with_cancel();
        Core {
            ctx,
            cancel,
            daemon_ctx,
            daemon_cancel,
            name,
            id,
            limit,
            state: Mutex::new(State::default()),
            look: AtomicBool::new(false),
            _leak: LeakTrack::new(),
        }
    }

    /// Queues a task and sees to it that a thread comes for it. A job that is refused is dropped.
    pub(super) fn add(&self, start: &dyn Start, job: Job<'env, E>, daemon: bool) {
        if self.ctx.is_stopped() {
            self.state.lock().unserved = true;
            return;
        }
        let mut state = self.state.lock();
        let queue = if daemon { &mut state.daemons } else { &mut state.tasks };
        if queue.len() >= MAX_QUEUED {
            state.unserved = true;
            drop(state);
            self.cancel.cancel_with(format!("more than {MAX_QUEUED} tasks wait in one scope"));
            return;
        }
        queue.push_back(job);
        self.look.store(true, Ordering::Relaxed);
        let call = state.call_another(self.limit, self.ctx.clock());
        drop(state);
        self.call(start, call);
    }

    fn call(&self, start: &dyn Start, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Parked(waiter) => waiter.wake(),
            Call::Fresh => self.start_another(start),
        }
    }

    #[cold]
    fn start_another(&self, start: &dyn Start) {
        let name = self.name.as_deref().unwrap_or("scope");
        if let Err(e) = start.start(name) {
            log::error!("ironsys: scope `{name}` cannot start a thread: {e}");
            self.cancel.cancel_with(format!("scope `{name}` cannot start a thread: {e}"));
            // Perhaps no thread will ever come for what is queued, and somebody waits for it.
            let (tasks, daemons, arriving) = {
                let mut state = self.state.lock();
                state.threads -= 1;
                state.coming = false;
                state.unserved |= !state.tasks.is_empty() || !state.daemons.is_empty();
                let tasks = std::mem::take(&mut state.tasks);
                (tasks, std::mem::take(&mut state.daemons), state.arriving.take())
            };
            drop(arriving);
            tasks.into_iter().chain(daemons).for_each(|job| self.guard(|| drop(job)));
        }
    }

    /// Runs what runs code of the user's outside of a task: a panic there, in the `drop` of a value
    /// or a closure, is a panic of the scope, and must not keep a thread from its books.
    fn guard(&self, f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(f) {
            self.fail(Failure::Panic(payload), "the drop of a value");
        }
    }

    /// What every thread of the scope does: run tasks until there is none. Before it goes it lingers
    /// for a moment as the one who is coming, so that a burst of short tasks does not call a thread
    /// for each. If its stack is kept until the scope ends anyway, it stays and parks.
    pub(super) fn serve(&self, start: &dyn Start) {
        let mut mark = Mark::default();
        let waiter = start.stays().then(Waiter::current);
        let idle = Idle { lingers: true, parks: waiter.as_ref() };
        let (mut next, token) = self.arrive(idle);
        let _seat = token.as_ref().map(Token::sit);
        loop {
            next = match next {
                Next::Run(found) => self.perform(start, found, true, idle, &mut mark),
                Next::Linger => {
                    spin(|| self.look.load(Ordering::Relaxed)); // loom: unreached: a model never spins.
                    self.arrive(idle).0
                }
                Next::Park => {
                    mark.clear();
                    if !waiter.as_ref().is_some_and(|waiter| self.park(waiter)) {
                        return;
                    }
                    self.arrive(idle).0
                }
                Next::Leave => return,
            }
        }
    }

    /// A thread that was called, or has lingered, looks for work. It does not linger again.
    fn arrive(&self, idle: Idle<'_>) -> (Next<'env, E>, Option<Token>) {
        let mut state = self.state.lock();
        state.coming = false;
        let token = state.arriving.take();
        let idle = Idle { lingers: false, ..idle };
        (state.next(self.limit, true, idle, self.ctx.clock()), token)
    }

    /// Waits to be called for a task; `false` if the scope has ended instead.
    fn park(&self, waiter: &Arc<Waiter>) -> bool {
        let site = Site::new(WaitKind::Work, self.name.clone());
        loop {
            waiter.wait(self.ctx.clock(), None, &site);
            if let Some(called) = self.state.lock().called(waiter) {
                return called;
            }
        }
    }

    /// The owner helps while there is room for one more at work.
    fn help(&self, start: &dyn Start) {
        let mut mark = Mark::default();
        let idle = Idle { lingers: false, parks: None };
        let mut next = {
            let mut state = self.state.lock();
            if !state.take_place(self.limit) {
                return;
            }
            state.next(self.limit, false, idle, self.ctx.clock())
        };
        while let Next::Run(found) = next {
            next = self.perform(start, found, false, idle, &mut mark);
        }
    }

    /// Runs a task; then, in one critical section, takes it off the books and looks for the next.
    fn perform(
        &self,
        start: &dyn Start,
        found: Found<'env, E>,
        daemons: bool,
        idle: Idle<'_>,
        mark: &mut Mark,
    ) -> Next<'env, E> {
        let Found { job, daemon, call } = found;
        self.call(start, call);
        // Nothing new begins once the scope has stopped; whoever waits for the task is told.
        let begins = !self.ctx.is_stopped();
        self.guard(|| if begins { job(&Scope::new(self, start), mark) } else { drop(job) });
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        state.unserved |= !begins;
        let left = if daemon { &mut state.running_daemons } else { &mut state.running };
        *left -= 1;
        if *left == 0 {
            state.owner.notify_one(&mut wakes);
        }
        let next = state.next(self.limit, daemons, idle, self.ctx.clock());
        if matches!(next, Next::Linger) {
            // loom: unreached: a model never spins.
            self.look.store(state.ended, Ordering::Relaxed);
        }
        drop(state);
        wakes.wake();
        next
    }

    /// Runs the body, then waits until every task has ended, and says how it went.
    pub(super) fn run<R>(
        &self,
        start: &dyn Start,
        body: impl FnOnce(&Scope<'_, 'env, E>) -> Result<R, E>,
    ) -> Result<R, Failure<E>> {
        let token = Token::of(self.ctx.clock());
        let _seat = token.sit(); // The body is a task too.
        let out = match catch_unwind(|| body(&Scope::new(self, start))) {
            Ok(Ok(out)) => Some(out),
            Ok(Err(error)) => {
                self.fail(Failure::Error(error), "the body");
                None
            }
            Err(payload) => {
                self.fail(Failure::Panic(payload), "the body");
                None
            }
        };
        self.help(start);
        self.wait(false);
        self.daemon_cancel.cancel_with("the tasks of the scope have ended");
        let mut wakes = Wakes::default();
        let too_late = {
            let mut state = self.state.lock();
            state.end(&mut wakes);
            self.look.store(true, Ordering::Relaxed);
            std::mem::take(&mut state.daemons)
        };
        wakes.wake();
        too_late.into_iter().for_each(|job| self.guard(|| drop(job)));
        self.wait(true);
        let (failure, unserved) = {
            let mut state = self.state.lock();
            (state.failure.take(), state.unserved)
        };
        match (failure, out, self.ctx.check()) {
            (Some(failure), ..) => Err(failure),
            (None, Some(_), Err(stop)) if unserved => Err(Failure::Stopped(stop)),
            (None, Some(out), _) => Ok(out),
            (None, None, _) => unreachable!("a body without a value has failed"),
        }
    }

    /// Waits until no task (or daemon) is left. Joining cannot be cut short: the tasks borrow.
    fn wait(&self, daemons: bool) {
        let mut op = Ended { core: self, daemons, place: Place::default() };
        let site = Site::new(WaitKind::Join, self.name.clone());
        self.ctx.block_to_the_end(site.on(On::Tasks { daemons }), &mut op);
    }

    /// Records how the scope failed, then cancels: in this order, so that a sibling's "cancelled"
    /// never hides the reason. A panic is more than an error; of several, the first counts.
    pub(super) fn fail(&self, failure: Failure<E>, who: &str) {
        let why = match &failure {
            Failure::Error(_) => format!("{who} failed"),
            Failure::Panic(_) => format!("{who} panicked"),
            Failure::Stopped(stop) => format!("{who}: {stop}"),
        };
        if planted("record_after_cancel") {
            self.cancel.cancel_with(why.clone());
        }
        let dropped = {
            let mut state = self.state.lock();
            match (&state.failure, &failure) {
                (None, _) | (Some(Failure::Error(_)), Failure::Panic(_)) => {
                    state.failure.replace(failure)
                }
                _ => Some(failure),
            }
        };
        self.cancel.cancel_with(why);
        if let Some(Failure::Panic(payload)) = &dropped {
            let text = panics::message(&**payload);
            log::error!("ironsys: {who} panicked too: {text}");
        }
        panics::discard(dropped);
    }

    /// What a task that failed tells whoever waits for it: the reason is the scope's to return.
    pub(super) fn stop(&self) -> Stop {
        self.ctx.check().err().unwrap_or(Stop::DeadlineExceeded)
    }
}

/// The owner's wait for the last task.
struct Ended<'a, 'env, E> {
    core: &'a Core<'env, E>,
    daemons: bool,
    place: Place,
}

impl<E> Op for Ended<'_, '_, E> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut state = self.core.state.lock();
        let left =
            if self.daemons { state.running_daemons } else { state.tasks.len() + state.running };
        if left == 0 {
            state.owner.leave(&mut self.place);
            return Some(());
        }
        state.owner.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        // loom: unreached: the end of a scope cannot be given up.
        self.core.state.lock().owner.leave(&mut self.place);
        None
    }
}
