//! Where parallel workers leave their results, in the order of the items.
//!
//! Workers take numbered runs from a link and publish the results of each run under the number of its
//! first item; the reader takes runs in the order of their numbers. Nothing here waits for room: what
//! is on the board counts as held in the link, so the link's capacity bounds both.

use super::super::cx::Cx;
use super::super::link::{Link, Reader};
use super::super::monitor::LinkMeter;
use super::super::stage::{Halt, Pull, Step};
use crate::context::{Canceller, Op};
use crate::panics;
use crate::sync::{self, Arc, AtomicBool, LeakTrack, MODEL, Mutex, Ordering, SpinPlace};
use crate::wait::{Place, Site, WaitKind, WaitQueue, Waiter, Wakes};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

pub(super) struct Board<U> {
    /// Guards the runs and who waits for them.
    state: Mutex<State<U>>,
    /// A hint for workers: the reader waits for the next run, so what is done is better published.
    hungry: AtomicBool,
    /// A hint for spinning: the next run may be there.
    ready: AtomicBool,
    spins: SpinPlace,
    meter: Arc<LinkMeter>,
    _leak: LeakTrack,
}

struct State<U> {
    /// The number of the first item of the run that comes next.
    next: u64,
    done: BTreeMap<u64, Run<U>>,
    /// Workers that have not ended.
    workers: usize,
    broken: bool,
    /// The reader is gone: results are dropped.
    gone: bool,
    waiting: WaitQueue,
    was_hungry: bool,
    accepted: u64,
    dropped: u64,
    /// How many results lie here.
    depth: usize,
}

/// The results of some items in a row.
struct Run<U> {
    items: usize,
    out: VecDeque<U>,
}

impl<U> State<U> {
    fn is_ready(&self) -> bool {
        let next = self.done.first_key_value().is_some_and(|(first, _)| *first == self.next);
        next || self.broken || self.workers == 0
    }
}

impl<U: Send> Board<U> {
    pub(super) fn new(meter: Arc<LinkMeter>, workers: usize) -> Arc<Board<U>> {
        Arc::new(Board {
            state: Mutex::new(State {
                next: 0,
                done: BTreeMap::new(),
                workers,
                broken: false,
                gone: false,
                waiting: WaitQueue::default(),
                was_hungry: false,
                accepted: 0,
                dropped: 0,
                depth: 0,
            }),
            hungry: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            spins: SpinPlace::default(),
            meter,
            _leak: LeakTrack::new(),
        })
    }

    /// Runs one critical section, gives the hints out, then wakes whom it chose.
    fn with<R>(&self, f: impl FnOnce(&mut State<U>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        self.meter.accepted(0, state.accepted);
        self.meter.level(state.depth, state.dropped);
        let ready = state.is_ready();
        let hungry = !ready && state.waiting.len() != 0;
        if std::mem::replace(&mut state.was_hungry, hungry) != hungry {
            // Relaxed: a hint. A worker that misses it publishes at the end of its run.
            self.hungry.store(hungry, Ordering::Relaxed);
        }
        if !MODEL {
            // loom: unreached: a model never spins.
            self.ready.store(ready, Ordering::Relaxed);
        }
        drop(state);
        wakes.wake();
        out
    }
}

/// One worker's side of the board. Dropped without [`finish`](Worker::finish) it breaks the board.
pub(super) struct Worker<U: Send> {
    board: Arc<Board<U>>,
    /// The number of the first item whose result is in `out`, and how many items there were.
    first: u64,
    items: usize,
    out: VecDeque<U>,
    finished: bool,
    /// When results were handed over last.
    since: Option<Instant>,
}

/// How long results are kept back while the reader waits for them.
const KEPT_BACK: Duration = Duration::from_micros(100);
/// How many results apart the clock is looked at for that.
const LOOK_EVERY: usize = 4;

impl<U: Send> Worker<U> {
    /// One of the workers the board was made for.
    pub(super) fn new(board: Arc<Board<U>>) -> Self {
        Worker { board, first: 0, items: 0, out: VecDeque::new(), finished: false, since: None }
    }

    /// Keeps the result of an item, the next of its run; none if there is nothing to yield for it.
    #[inline]
    pub(super) fn push(&mut self, number: u64, out: Option<U>) {
        if self.items == 0 {
            self.first = number;
        }
        self.items += 1;
        self.out.extend(out);
    }

    /// Whether the reader has waited for results so long that those of half a run will do. Runs are
    /// short as far as the pace of the items tells; this is for those that turn out not to be.
    #[inline]
    pub(super) fn is_wanted(&mut self) -> bool {
        // Relaxed: see `Board::with`.
        (MODEL || self.items.is_multiple_of(LOOK_EVERY))
            // loom: unreached: a run of a model has one item, and is over before this is asked.
            && self.board.hungry.load(Ordering::Relaxed)
            && self.is_late()
    }

    #[cold]
    fn is_late(&mut self) -> bool {
        let now = if MODEL { return true } else { sync::time::now() };
        now.saturating_duration_since(*self.since.get_or_insert(now)) > KEPT_BACK
    }

    /// Hands the results over. Never waits.
    pub(super) fn publish(&mut self) {
        let items = std::mem::take(&mut self.items);
        if items == 0 {
            return;
        }
        let out = std::mem::take(&mut self.out);
        let first = self.first;
        self.since = None;
        let late = self.board.with(|state, wakes| {
            state.accepted += out.len() as u64;
            if state.gone {
                state.dropped += out.len() as u64;
                return Some(out);
            }
            state.depth += out.len();
            state.done.insert(first, Run { items, out });
            if state.is_ready() {
                state.waiting.notify_one(wakes);
            }
            None
        });
        panics::discard(late);
    }

    /// No more will come from this worker.
    pub(super) fn finish(&mut self) {
        self.publish();
        self.finished = true;
    }
}

impl<U: Send> Drop for Worker<U> {
    fn drop(&mut self) {
        self.board.with(|state, wakes| {
            state.workers -= 1;
            state.broken |= !self.finished;
            state.accepted += self.out.len() as u64;
            state.dropped += self.out.len() as u64;
            if state.is_ready() {
                state.waiting.notify_all(wakes);
            }
        });
        panics::discard(std::mem::take(&mut self.out));
    }
}

/// Takes the results in order, and gives the room in the link back as they are used.
pub struct BoardReader<T: Send, U: Send> {
    board: Arc<Board<U>>,
    /// The link that the items came through.
    link: Arc<Link<T>>,
    run: VecDeque<U>,
    /// How many items of the link the run stands for.
    credit: usize,
    /// The most items whose results are taken at once.
    most: usize,
    cancel: Canceller,
    open: bool,
    over: bool,
}

/// What the reader found.
#[derive(Clone, Copy)]
enum Found {
    Run,
    Nothing,
    End,
    Broken,
}

impl<T: Send, U: Send> BoardReader<T, U> {
    pub(super) fn new(
        board: Arc<Board<U>>,
        items: &Reader<T>,
        window: usize,
        cancel: Canceller,
    ) -> Self {
        BoardReader {
            board,
            link: items.link().clone(),
            run: VecDeque::new(),
            credit: 0,
            most: window / 4,
            cancel,
            open: true,
            over: false,
        }
    }

    fn look(&mut self, place: &mut Place, waiter: Option<&Arc<Waiter>>) -> Found {
        let used = std::mem::take(&mut self.credit);
        if used > 0 {
            self.link.release_held(used);
        }
        let BoardReader { board, run, credit, most, .. } = self;
        let found = board.with(|state, _| {
            // Runs without results are passed over; small ones are taken together.
            while let Some(entry) = state.done.first_entry()
                && *entry.key() == state.next
                && (run.is_empty() || *credit + entry.get().items <= *most)
            {
                let Run { items, mut out } = entry.remove();
                state.next += items as u64;
                *credit += items;
                state.depth -= out.len();
                if run.is_empty() {
                    std::mem::swap(run, &mut out);
                } else {
                    run.append(&mut out);
                }
            }
            let found = match () {
                () if !run.is_empty() => Found::Run,
                () if state.broken => Found::Broken,
                () if state.workers == 0 => Found::End,
                () => Found::Nothing,
            };
            match (found, waiter) {
                (Found::Nothing, Some(waiter)) => drop(state.waiting.enter(place, waiter)),
                (Found::Nothing, None) => {}
                _ => state.waiting.leave(place),
            }
            found
        });
        if run.is_empty() && self.credit > 0 {
            // Everything was filtered out: the room is free again, and may be what is waited for.
            self.link.release_held(std::mem::take(&mut self.credit));
        }
        found
    }
}

impl<T: Send, U: Send> Pull for BoardReader<T, U> {
    type Item = U;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<U>, Halt> {
        cx.check()?;
        if let Some(out) = self.run.pop_front() {
            return Ok(Step::Item(out));
        }
        match self.look(&mut Place::default(), None) {
            Found::Run => Ok(self.run.pop_front().map_or(Step::Wait, Step::Item)),
            Found::Nothing => Ok(Step::Wait),
            Found::End => {
                self.over = true;
                Ok(Step::End)
            }
            Found::Broken => Err(Halt),
        }
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        if !self.run.is_empty() {
            return Ok(());
        }
        let board = self.board.clone();
        // loom: unreached: a model never spins.
        if board.spins.spin(|| board.ready.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let site = Site::new(WaitKind::Recv, Some(board.meter.name().clone()));
        let mut op = Take { reader: self, place: Place::default() };
        let waited = board.meter.empty(|| cx.ctx.block_until(until, site, &mut op));
        waited.map(drop).map_err(Cx::halt)
    }

    fn close(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let mine = std::mem::take(&mut self.run);
        let left = self.board.with(|state, _| {
            state.gone = true;
            state.dropped += (mine.len() + state.depth) as u64;
            state.depth = 0;
            std::mem::take(&mut state.done)
        });
        self.link.release_held(std::mem::take(&mut self.credit));
        self.link.abandon();
        if !self.over {
            self.cancel.cancel_with("the rest of the flow wants no more");
        }
        let left: Vec<_> = left.into_values().map(|run| run.out).collect();
        panics::discard((mine, left));
    }
}

impl<T: Send, U: Send> Drop for BoardReader<T, U> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T: Send, U: Send> fmt::Debug for BoardReader<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoardReader")
            .field("board", self.board.meter.name())
            .finish_non_exhaustive()
    }
}

/// A wait for the next run.
struct Take<'a, T: Send, U: Send> {
    reader: &'a mut BoardReader<T, U>,
    place: Place,
}

impl<T: Send, U: Send> Op for Take<'_, T, U> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        match self.reader.look(&mut self.place, Some(waiter)) {
            Found::Nothing => None,
            Found::Run | Found::End | Found::Broken => Some(()),
        }
    }

    fn withdraw(&mut self) -> Option<()> {
        let place = &mut self.place;
        self.reader.board.with(|state, _| state.waiting.leave(place));
        None
    }
}
