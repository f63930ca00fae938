//! What the handles and threads of a manager share, and how a session gets its turn.

use super::cell::{Cell, Order, Phase, Pushed, Then, rank};
use super::config::Config;
use super::directory::Directory;
use super::model::{Reason, Session};
use super::shards::Shard;
use super::slowest::Slowest;
use super::store::Store;
use super::sweep::Idlers;
use super::watch::Watch;
use super::worker;
use crate::context::{Context, Op, Stop};
use crate::panics;
use crate::sync::{Arc, AtomicBool, AtomicUsize, LeakTrack, Mutex, Ordering};
use crate::threads::ThreadCache;
use crate::time::Token;
use crate::wait::{On, Place, Site, WaitKind, WaitQueue, Waiter, Wakes, key};
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Sessions that a report names at most.
pub(super) const MOST_NAMED: usize = 100;

/// Why a session has ended, if it was said.
pub(super) type Ended<S> = Option<Reason<<S as Session>::Error>>;

pub(super) struct Core<S: Session> {
    pub(super) config: Config<S>,
    /// Under which sessions run; its stop ends them all.
    pub(super) ctx: Context,
    /// For what has to be done all the same: final states, waiting for work to finish.
    pub(super) after: Context,
    pub(super) directory: Directory<S>,
    /// Empty if every session has a thread of its own.
    pub(super) shards: Box<[Shard<S>]>,
    pub(super) idlers: Idlers<S>,
    /// Parked shard threads: a hint for who has more than it can do.
    pub(super) parked: AtomicUsize,
    pub(super) watch: Watch,
    /// There if turns are to be observed.
    pub(super) slowest: Option<Slowest<S>>,
    /// Raised once, when everything was told to end at once.
    aborting: AtomicBool,
    pub(super) threads: ThreadCache,
    pub(super) alive: Alive,
    pub(super) at: &'static Location<'static>,
    /// The zero of `Mail::used`.
    pub(super) epoch: Instant,
    pub(super) has_store: bool,
    kept: Mutex<Kept<S::Id>>,
    _leak: LeakTrack,
}

/// What becomes of last states.
struct Kept<I> {
    /// Where they go, until the manager has ended: handles that outlive it keep no file open.
    store: Option<Arc<dyn Store<I>>>,
    unsaved: Unsaved,
}

/// The last states that could not be saved: how many, and the first ids, by name.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) count: u64,
    pub(super) ids: Vec<String>,
}

impl<S: Session> Core<S> {
    pub(super) fn new(
        mut config: Config<S>,
        ctx: Context,
        threads: ThreadCache,
        at: &'static Location<'static>,
    ) -> Self {
        let store = config.store.take();
        let shards = (0..config.shards).map(|_| Shard::new()).collect();
        Core {
            after: ctx.shielded(Duration::MAX),
            epoch: ctx.clock().now(),
            has_store: store.is_some(),
            kept: Mutex::new(Kept { store, unsaved: Unsaved::default() }),
            directory: Directory::new(),
            shards,
            idlers: Idlers::new(config.shards.max(1), config.idle_after, config.live_limit),
            parked: AtomicUsize::new(0),
            watch: Watch::new(),
            slowest: config.observed.map(Slowest::new),
            aborting: AtomicBool::new(false),
            threads,
            alive: Alive::new(),
            at,
            config,
            ctx,
            _leak: LeakTrack::new(),
        }
    }

    pub(super) fn store(&self) -> Option<Arc<dyn Store<S::Id>>> {
        self.kept.lock().store.clone()
    }

    /// Nobody is left who would load or save.
    pub(super) fn drop_store(&self) {
        let store = self.kept.lock().store.take();
        panics::discard(store);
    }

    /// The last state of a session could not be saved.
    pub(super) fn lost(&self, id: &S::Id) {
        let name = panics::name(id);
        // loom: unreached: a model's store does not fail.
        let unsaved = &mut self.kept.lock().unsaved;
        unsaved.count += 1;
        if unsaved.ids.len() < MOST_NAMED {
            unsaved.ids.push(name);
        }
    }

    /// Who was lost since this was last asked.
    pub(super) fn take_lost(&self) -> Unsaved {
        std::mem::take(&mut self.kept.lock().unsaved)
    }

    #[inline]
    pub(super) fn shard_of(&self, cell: &Cell<S>) -> usize {
        // The top bits choose; a multiplication spreads them over any number of shards.
        ((u128::from(cell.hash) * self.shards.len() as u128) >> 64) as usize
    }

    /// Nanoseconds of the manager's time, for who was used when.
    pub(super) fn nanos(&self) -> u64 {
        let since = self.ctx.clock().now().saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The session with this id, made and scheduled if there is none.
    #[inline]
    pub(super) fn open(self: &Arc<Self>, id: &S::Id) -> Option<Arc<Cell<S>>> {
        let hash = self.directory.hash(id);
        match self.directory.find(id, hash) {
            Some(cell) => Some(cell),
            None => self.make(id, hash),
        }
    }

    pub(super) fn make(self: &Arc<Self>, id: &S::Id, hash: u64) -> Option<Arc<Cell<S>>> {
        let cell = Arc::new(Cell::new(id.clone(), hash, self.shards.is_empty()));
        let (cell, new) = self.directory.find_or_insert(cell)?;
        if new {
            let own = self.shards.is_empty();
            self.then(if own { Then::Call } else { Then::Schedule }, &cell);
        }
        Some(cell)
    }

    /// Puts a message into a session's mailbox, if that needs no waiting.
    #[inline]
    pub(super) fn push(&self, cell: &Cell<S>, msg: S::Msg) -> Pushed<S::Msg> {
        let rank = self.rank(&msg);
        self.push_ranked(cell, msg, rank)
    }

    /// The priority of a message, if that counts. The user's code: no lock is held.
    #[inline]
    pub(super) fn rank(&self, msg: &S::Msg) -> Option<i64> {
        rank(&self.config.overflow, msg)
    }

    #[inline]
    pub(super) fn push_ranked(
        &self,
        cell: &Cell<S>,
        msg: S::Msg,
        rank: Option<i64>,
    ) -> Pushed<S::Msg> {
        cell.push(msg, rank, self.config.mailbox, &self.config.overflow)
    }

    /// What a session is called in words.
    pub(super) fn name_of(&self, id: &S::Id) -> String {
        format!("{}-{}", self.config.name, panics::name(id))
    }

    /// What follows from a critical section of `cell`.
    #[inline]
    pub(super) fn then(self: &Arc<Self>, then: Then, cell: &Arc<Cell<S>>) {
        if then != Then::Nothing {
            self.rouse(then, cell.clone());
        }
    }

    /// The same for a session that is ready.
    #[inline]
    pub(super) fn rouse(self: &Arc<Self>, then: Then, cell: Arc<Cell<S>>) {
        match then {
            Then::Nothing => {}
            Then::Schedule => self.enqueue(self.shard_of(&cell), cell),
            Then::Call => self.call_own_thread(&cell),
        }
    }

    /// Wakes or starts the thread of a session that has one of its own.
    fn call_own_thread(self: &Arc<Self>, cell: &Arc<Cell<S>>) {
        let start = cell.with(|mail, wakes| {
            let more = mail.more();
            if let Some(parked) = more.parked.take() {
                wakes.add(parked);
            }
            !std::mem::replace(&mut more.has_thread, true)
        });
        if start {
            let (core, its) = (self.clone(), cell.clone());
            let work = move |token| worker::live_own(core, its, token);
            if let Err(e) = self.start_thread(work) {
                self.no_thread(cell, &e);
            }
        }
    }

    /// A session cannot have the thread it needs: it stays on its shard, or ends, by this one.
    fn no_thread(self: &Arc<Self>, cell: &Arc<Cell<S>>, e: &io::Error) {
        let text = format!("no thread for session {}: {e}", panics::name(&cell.id));
        if !self.shards.is_empty() {
            panics::contain(|| log::warn!("ironsys: {text}; it stays on its shard"));
            // loom: unreached: a model always has a thread to give.
            cell.with(|mail, _| {
                mail.own = false;
                mail.more().has_thread = false;
            });
            return self.then(Then::Schedule, cell);
        }
        let ready = cell.with(|mail, _| {
            // loom: unreached: a model always has a thread to give.
            (mail.phase == Phase::Ready).then(|| {
                mail.phase = Phase::Running;
                mail.state.take()
            })
        });
        if let Some(live) = ready {
            let failure = super::model::Failure::Store(text);
            self.config.hooks.failed(&cell.id, &failure, None);
            let reason = Reason::Failed(Arc::new(failure));
            worker::as_guest(self, || self.finish(cell, live, Some(reason)));
        }
    }

    /// Runs `work` on a thread of the manager.
    pub(super) fn start_thread(&self, work: impl FnOnce(Token) + Send + 'static) -> io::Result<()> {
        if !self.alive.enter(self.config.max_threads) {
            return Err(io::Error::other("the manager has as many threads as it may have"));
        }
        let token = Token::of(self.ctx.clock());
        let started = self.threads.run(Box::new(move || work(token)));
        if started.is_err() {
            self.alive.left();
        }
        started
    }

    /// Ends a session: at once, or after what it has accepted.
    pub(super) fn order(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        order: Order,
        reason: Reason<S::Error>,
    ) {
        if order == Order::Abort {
            cell.mark_aborted();
        }
        let then = cell.with(|mail, wakes| mail.order(order, || reason, wakes));
        self.then(then, cell);
    }

    /// The manager's context has stopped: everybody ends after the message in hand.
    pub(super) fn abort(self: &Arc<Self>, stop: &Stop) {
        if self.aborting.swap(true, Ordering::Relaxed) {
            return; // Only a matter of doing it once: each cell has a lock of its own.
        }
        for cell in self.directory.close() {
            self.order(&cell, Order::Abort, Reason::Cancelled(stop.clone()));
        }
    }

    /// Waits until a session has started; `Some` if it has ended instead.
    pub(super) fn wait_started(
        &self,
        ctx: &Context,
        cell: &Cell<S>,
    ) -> Result<Option<Ended<S>>, Stop> {
        let test = |mail: &mut super::cell::Mail<S>| match mail.phase {
            Phase::Gone if !mail.started => Some(Some(mail.reason.clone())),
            _ => (mail.started || mail.is_over()).then_some(None),
        };
        let site = self.site().on(On::Thing(key(cell)));
        ctx.block(site, &mut Until { cell, place: Place::default(), test })
    }

    /// Waits until a session has ended, or left memory, and all whom that concerns have been told.
    pub(super) fn wait_over(&self, ctx: &Context, cell: &Cell<S>) -> Result<Ended<S>, Stop> {
        let test = |mail: &mut super::cell::Mail<S>| match mail.phase {
            Phase::Gone if mail.told => Some(mail.reason.clone()),
            Phase::Passivated if mail.told => Some(None),
            _ => None,
        };
        let site = self.site().on(On::Thing(key(cell)));
        ctx.block(site, &mut Until { cell, place: Place::default(), test })
    }

    #[track_caller]
    pub(super) fn site(&self) -> Site {
        Site::new(WaitKind::Join, Some(self.config.name.clone()))
    }
}

/// The wait for a change of a session.
struct Until<'a, S: Session, F> {
    cell: &'a Cell<S>,
    place: Place,
    test: F,
}

impl<S, F, R> Op for Until<'_, S, F>
where
    S: Session,
    F: FnMut(&mut super::cell::Mail<S>) -> Option<R>,
{
    type Out = R;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<R> {
        self.cell.with(|mail, _| {
            let out = (self.test)(mail);
            if out.is_none() {
                mail.more().watching.enter(&mut self.place, waiter);
            } else if self.place.is_taken() {
                mail.more().watching.leave(&mut self.place);
            }
            out
        })
    }

    fn withdraw(&mut self) -> Option<R> {
        self.cell.with(|mail, _| mail.more().watching.leave(&mut self.place));
        None
    }
}

/// How many threads work for the manager, and who waits for the last.
pub(super) struct Alive(Mutex<(usize, WaitQueue)>);

impl Alive {
    fn new() -> Self {
        Alive(Mutex::new((0, WaitQueue::default())))
    }

    /// One more; `false` if there are `most` already.
    fn enter(&self, most: usize) -> bool {
        let mut alive = self.0.lock();
        let room = alive.0 < most;
        alive.0 += usize::from(room);
        room
    }

    pub(super) fn left(&self) {
        let mut wakes = Wakes::default();
        let mut alive = self.0.lock();
        alive.0 -= 1;
        if alive.0 == 0 {
            alive.1.notify_all(&mut wakes);
        }
        drop(alive);
        wakes.wake();
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().0
    }
}

/// The wait for the last thread.
pub(super) struct AllLeft<'a> {
    pub(super) alive: &'a Alive,
    /// 1 on a thread of the manager: it cannot wait for itself.
    pub(super) but: usize,
    pub(super) place: Place,
}

impl Op for AllLeft<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut alive = self.alive.0.lock();
        if alive.0 <= self.but {
            alive.1.leave(&mut self.place);
            return Some(());
        }
        alive.1.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        // loom: unreached: closing that is given up half-way; a pool's is of the same shape, and modelled.
        self.alive.0.lock().1.leave(&mut self.place);
        None
    }
}
