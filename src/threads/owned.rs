//! A thread that belongs to a handle: it does one thing until the handle ends it.
//!
//! Two locks, never held together: the one here guards whether the thread has ended, what it left
//! and who waits for that; the other is the context's. The end is told under the lock and once, so
//! whoever tests and registers under it sees it or is told.

use super::cache::ThreadCache;
use crate::context::{Canceller, Context, Op, Stop};
use crate::observe::{self, TaskKind};
use crate::panics::{self, Panicked};
use crate::sync::{Arc, LeakTrack, Mutex, catch_unwind, next_number, thread};
use crate::time::Token;
use crate::wait::{On, Place, Site, WaitKind, WaitQueue, Waiter, Wakes, key};
use std::cell::Cell;
use std::io;
use std::panic::Location;

/// A thread and what it leaves. Dropping it cancels the thread's context and joins.
///
/// Dropped on that very thread, it lets the thread end by itself.
pub(crate) struct Owned<R> {
    shared: Arc<Shared<R>>,
    ctx: Context,
    cancel: Canceller,
    /// `None` for a warm thread, and once it was joined.
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared<R> {
    number: u64,
    name: Arc<str>,
    /// Guards the end of the thread.
    end: Mutex<End<R>>,
    _leak: LeakTrack,
}

struct End<R> {
    ended: bool,
    left: Option<Result<R, Panicked>>,
    waiters: WaitQueue,
}

crate::sync::thread_local_in_build! {
    /// Which of the owned threads this is.
    static ME: Cell<u64> = Cell::new(0);
}

/// Whether the calling thread is the owned one of that number.
pub(crate) fn is_current(number: u64) -> bool {
    ME.try_with(Cell::get).is_ok_and(|me| me == number)
}

impl<R: Send + 'static> Owned<R> {
    /// Runs `work` on a thread of its own, or on a warm one if `parent` has a cache, under a context
    /// below `parent`.
    pub(crate) fn start(
        parent: &Context,
        name: Arc<str>,
        at: &'static Location<'static>,
        work: impl FnOnce(&Context) -> R + Send + 'static,
    ) -> io::Result<Owned<R>> {
        let (ctx, cancel) = parent.with_cancel();
        let end = Mutex::new(End { ended: false, left: None, waiters: WaitQueue::default() });
        let leak = LeakTrack::new();
        let number = next_number();
        let shared = Arc::new(Shared { number, name, end, _leak: leak });
        // At work from now on, so that an autojumping clock stands still until it is there.
        let token = Token::of(ctx.clock());
        let live = {
            let (shared, ctx) = (shared.clone(), ctx.clone());
            move || {
                let token = token;
                let seat = token.sit();
                ME.with(|me| me.set(shared.number));
                let left = catch_unwind(|| {
                    let name = Some(shared.name.clone());
                    let (registry, serves) = (ctx.registry(), key(&*shared));
                    let _running =
                        observe::begin_for(registry, TaskKind::Worker, name, at, None, serves);
                    work(&ctx)
                });
                ME.with(|me| me.set(0));
                drop(ctx); // Whoever joins finds that the thread has let go of it.
                drop(seat);
                shared.end(left.map_err(|payload| Panicked::new(&*shared.name, at, payload)));
                panics::discard(shared); // With what the thread left, if nobody is there to take it.
            }
        };
        let thread = match parent.value::<ThreadCache>() {
            Some(cache) => cache.run(Box::new(live)).map(|()| None)?,
            None => Some(thread::spawn(&shared.name, live)?),
        };
        Ok(Owned { shared, ctx, cancel, thread })
    }
}

impl<R> Owned<R> {
    /// The context that the thread works under.
    pub(crate) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// Cancels the thread's context.
    pub(crate) fn cancel(&self, why: String) {
        self.cancel.cancel_with(why);
    }

    /// What tells the thread from every other.
    pub(crate) fn number(&self) -> u64 {
        self.shared.number
    }

    fn is_current(&self) -> bool {
        is_current(self.shared.number)
    }

    /// Waits for the thread to end, as long as `ctx` lets it.
    #[track_caller]
    pub(crate) fn wait(&self, ctx: &Context) -> Result<(), Stop> {
        let mut op = Ended { shared: &self.shared, place: Place::default() };
        ctx.block(self.site(), &mut op)
    }

    /// Waits for the thread to end, whatever happens, and takes what it left; `None` if that was
    /// taken before, or if this is the thread itself.
    pub(crate) fn join(&mut self) -> Option<Result<R, Panicked>> {
        if self.is_current() {
            self.thread = None;
            return None;
        }
        let mut op = Ended { shared: &self.shared, place: Place::default() };
        self.ctx.block_to_the_end(self.site(), &mut op);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It does not unwind.
        }
        self.shared.end.lock().left.take()
    }

    #[track_caller]
    fn site(&self) -> Site {
        let site = Site::new(WaitKind::Join, Some(self.shared.name.clone()));
        site.on(On::Thing(key(&*self.shared)))
    }
}

impl<R> Shared<R> {
    fn end(&self, left: Result<R, Panicked>) {
        let mut wakes = Wakes::default();
        let mut end = self.end.lock();
        end.ended = true;
        end.left = Some(left);
        end.waiters.notify_all(&mut wakes);
        drop(end);
        wakes.wake();
    }
}

impl<R> Drop for Owned<R> {
    fn drop(&mut self) {
        self.cancel.cancel_with("its handle was dropped");
        panics::discard(self.join());
    }
}

/// A wait for the end.
struct Ended<'a, R> {
    shared: &'a Shared<R>,
    place: Place,
}

impl<R> Op for Ended<'_, R> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut end = self.shared.end.lock();
        if end.ended {
            end.waiters.leave(&mut self.place);
            return Some(());
        }
        end.waiters.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        self.shared.end.lock().waiters.leave(&mut self.place);
        None
    }
}
