//! The book under its lock, and the threads that work by it. `README.md` has the protocol.

use super::book::Book;
use super::effects::Effects;
use super::run::Run;
use super::timing::Now;
use crate::context::{Context, Op, Stop};
use crate::panics;
use crate::pool::Submitter;
use crate::sync::{Arc, LeakTrack, Mutex, MutexGuard, next_number, planted};
use crate::wait::{Place, Site, WaitKind, Waiter, Wakes};
use std::cell::RefCell;

pub(super) struct Core {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) ctx: Context,
    /// Guards everything: jobs, times, runs, and who waits for them.
    book: Mutex<Book>,
    _leak: LeakTrack,
}

crate::sync::thread_local_in_build! {
    /// The schedulers and jobs whose runs this thread is inside of: it does not wait for itself.
    static MINE: RefCell<Vec<(u64, u64)>> = RefCell::new(Vec::new());
}

impl Core {
    pub(super) fn new(name: Arc<str>, ctx: Context, book: Book) -> Self {
        let book = Mutex::new(book);
        Core { id: next_number(), name, ctx, book, _leak: LeakTrack::new() }
    }

    /// Both clocks. Call it without the lock.
    pub(super) fn now(&self) -> Now {
        Now { clock: self.ctx.clock().now(), wall: self.ctx.clock().wall() }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }

    /// Changes the book, and does what follows from it when the lock is released.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Book, &mut Effects) -> R) -> R {
        let mut fx = Effects::default();
        let out = change(&mut self.book(), &mut fx);
        fx.apply();
        out
    }

    /// The dispatch thread: starts what is due, then sleeps until something else is.
    pub(super) fn dispatch(&self, ctx: &Context) {
        let site = Site::new(WaitKind::Sleep, Some(self.name.clone()));
        loop {
            let now = self.now();
            let look = self.change(|book, fx| book.look(now, fx));
            if look.closed {
                return;
            }
            let seen = if planted("due_seen_late") { self.book().version } else { look.version };
            let mut op = Earlier { core: self, seen, place: Place::default() };
            if ctx.block_until(look.until, site.clone(), &mut op).is_err() {
                return self.change(|book, fx| book.abandon(fx));
            }
        }
    }

    /// A runner: runs what is ready, or hands it to the pool that is to run it.
    pub(super) fn serve(this: &Arc<Core>, ctx: &Context, pool: Option<&Submitter>) {
        let site = Site::new(WaitKind::Work, Some(this.name.clone()));
        loop {
            let mut op = Ready { core: this, place: Place::default() };
            let run = match ctx.block(site.clone(), &mut op) {
                Ok(Some(run)) => run,
                Ok(None) => return,
                Err(_) => return this.change(|book, fx| book.abandon(fx)),
            };
            let Some(pool) = pool else {
                run.perform(ctx);
                continue;
            };
            let both = ctx.clone();
            let work = move |ctx: &Context| run.perform(&Context::merge(&both, ctx));
            // With a ticket, so that the run is dropped, and ends, if the pool stops before it begins.
            if let Err(e) = pool.submit(ctx, work) {
                let name = &this.name;
                panics::contain(|| {
                    log::error!("ironsys: a run of {name} was not taken by its pool: {e}")
                });
            }
        }
    }

    /// For a thread that is inside of runs and is to wait for the others: performs what is ready, since
    /// nobody else may be there to do so, and gives up what would begin after the thread's own runs.
    pub(super) fn help(this: &Arc<Core>, ctx: &Context) {
        let mine = this.mine();
        if mine.is_empty() {
            return;
        }
        let ctx = Context::merge(ctx, &this.ctx);
        while !ctx.is_stopped() {
            let Some((job, run)) = this.book().next_waiting() else { break };
            Run::new(this.clone(), job, run).perform(&ctx);
        }
        this.change(|book, fx| mine.iter().for_each(|job| book.give_up_pending(*job, fx)));
    }

    /// Waits until every run that was accepted has ended, but for those that the calling thread is
    /// itself inside of. Gives up when the scheduler's own context stops, too: its threads may have
    /// left before they took up their work.
    pub(super) fn wait_for_ends(&self, ctx: &Context) -> Result<(), Stop> {
        let mut op =
            Ended { core: self, accepted: true, but: self.mine().len(), place: Place::default() };
        Context::merge(ctx, &self.ctx)
            .block(Site::new(WaitKind::Join, Some(self.name.clone())), &mut op)
    }

    /// Waits until no run is at work, but for those that the calling thread is itself inside of.
    pub(super) fn wait_for_running(&self) {
        let mut op =
            Ended { core: self, accepted: false, but: self.mine().len(), place: Place::default() };
        self.ctx.block_to_the_end(Site::new(WaitKind::Join, Some(self.name.clone())), &mut op);
    }

    /// The job of each run that the calling thread is inside of.
    fn mine(&self) -> Vec<u64> {
        let of = |mine: &RefCell<Vec<(u64, u64)>>| {
            mine.borrow().iter().filter(|(id, _)| *id == self.id).map(|(_, job)| *job).collect()
        };
        MINE.try_with(of).unwrap_or_default()
    }

    /// Marks the calling thread as inside of a run of `job` while `f` runs. `f` does not unwind.
    pub(super) fn inside<R>(&self, job: u64, f: impl FnOnce() -> R) -> R {
        let _ = MINE.try_with(|mine| mine.borrow_mut().push((self.id, job)));
        let out = f();
        let _ = MINE.try_with(|mine| mine.borrow_mut().pop());
        out
    }
}

/// The dispatch thread's wait for an earlier time than the one it sleeps until.
struct Earlier<'a> {
    core: &'a Core,
    seen: u64,
    place: Place,
}

impl Op for Earlier<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut book = self.core.book();
        if book.version != self.seen {
            book.dispatcher.leave(&mut self.place);
            return Some(());
        }
        book.dispatcher.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        self.core.book().dispatcher.leave(&mut self.place);
        None
    }
}

/// A runner's wait for a run; `None`: there will be no more.
struct Ready<'a> {
    core: &'a Arc<Core>,
    place: Place,
}

impl Ready<'_> {
    /// Leaves, and passes the baton if more is ready.
    fn leave(&mut self, book: &mut Book, wakes: &mut Wakes) {
        book.runners.leave(&mut self.place);
        if !book.ready.is_empty() {
            book.runners.notify_one(wakes);
        }
    }
}

impl Op for Ready<'_> {
    type Out = Option<Run>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Option<Run>> {
        let mut wakes = Wakes::default();
        let mut book = self.core.book();
        let found = match book.ready.pop_front() {
            Some((job, run)) => Some(Run::new(self.core.clone(), job, run)),
            None if book.closed && book.in_flight() == 0 => None,
            None => {
                book.runners.enter(&mut self.place, waiter);
                return None;
            }
        };
        self.leave(&mut book, &mut wakes);
        drop(book);
        wakes.wake();
        Some(found)
    }

    fn withdraw(&mut self) -> Option<Option<Run>> {
        let mut wakes = Wakes::default();
        let mut book = self.core.book();
        self.leave(&mut book, &mut wakes);
        drop(book);
        wakes.wake();
        None
    }
}

/// The wait for the end of runs.
struct Ended<'a> {
    core: &'a Core,
    accepted: bool,
    but: usize,
    place: Place,
}

impl Op for Ended<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut book = self.core.book();
        let left = if self.accepted { book.in_flight() } else { book.running as u64 };
        if left <= self.but as u64 {
            book.ends.leave(&mut self.place);
            return Some(());
        }
        book.ends.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        self.core.book().ends.leave(&mut self.place);
        None
    }
}
