//! The owner, and the handle that only calls.

use super::builder::Builder;
use super::call::{Asked, Cell, Message, Told};
use super::errors::{CallError, IntoInnerError, TellError, TryTellError};
use super::thread::{Counted, Counts};
use crate::channel::{self, AnswerError, SendError, Sender, TrySendError, oneshot};
use crate::context::{Context, Stop};
use crate::error::BuildError;
use crate::observe::Ledger;
use crate::panics::{self, Panicked};
use crate::sync::Arc;
use crate::threads::{Owned, is_current};
use crate::wait::key;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;

/// A value on a thread of its own, and the right to end it.
///
/// Calls are run one after the other, in the order in which they were accepted. The value is made on
/// its thread and need not be `Send`; if it is, [`into_inner`](Self::into_inner) brings it back. To call
/// from elsewhere clone a [`Caller`]; an `Owner` is one itself.
///
/// [`close`](Self::close) runs what is queued. **Dropping** the owner cancels it: the call under way is
/// finished, the others are refused, the value is dropped on its thread, and that is joined. What a call
/// that panics does to the value is said by [`OnPanic`](super::OnPanic).
///
/// ```
/// use ironsys::{Context, owner::Owner};
/// use std::{cell::RefCell, rc::Rc};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let log = Owner::start("log", |_| Rc::new(RefCell::new(Vec::new())))?; // not `Send`
/// log.tell(&ctx, |lines| lines.borrow_mut().push("one"))?;
/// log.tell(&ctx, |lines| lines.borrow_mut().push("two"))?;
/// assert_eq!(log.call(&ctx, |lines| lines.borrow().len()).unwrap(), 2);
/// log.close(&ctx)?;
/// # Ok(()) }
/// ```
pub struct Owner<T> {
    caller: Caller<T>,
    thread: Owned<()>,
}

/// Calls an owner without keeping it alive. Cheap to clone. Made by [`Owner::caller`].
pub struct Caller<T> {
    name: Arc<str>,
    tx: Sender<Message<T>>,
    counts: Arc<Counts>,
    thread: u64,
}

/// An owner at one moment; exact when nothing is under way.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Stats {
    /// Calls and tells: `done` ran to their end, `failed` panicked, `cancelled` were given up by their
    /// callers, `dropped` had no turn before the end, `in_flight` are queued or running.
    pub ledger: Ledger,
    /// The queue.
    pub queue: channel::Stats,
}

impl<T: 'static> Owner<T> {
    /// Starts a thread with this name, which makes the value; see [`Builder::start`].
    ///
    /// # Errors
    /// As [`Builder::start`].
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let sum = Owner::start("sum", |_| 7)?;
    /// assert_eq!(sum.into_inner(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn start(
        name: impl Into<String>,
        init: impl FnOnce(&Context) -> T + Send + 'static,
    ) -> Result<Owner<T>, BuildError> {
        Builder::new(name.into()).start(init)
    }
}

impl Owner<()> {
    /// Starts to build an owner, of whatever [`start`](Builder::start) makes.
    ///
    /// ```
    /// use ironsys::owner::{OnPanic, Owner};
    /// let counter = Owner::builder("counter").queue(8).on_panic(OnPanic::Keep).start(|_| 0)?;
    /// # let _: Owner<i32> = counter;
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }
}

impl<T> Owner<T> {
    pub(super) fn new(
        name: Arc<str>,
        tx: Sender<Message<T>>,
        counts: Arc<Counts>,
        thread: Owned<()>,
    ) -> Self {
        let caller = Caller { name, tx, counts, thread: thread.number() };
        Owner { caller, thread }
    }

    /// Returns a handle that calls and does not keep the owner alive.
    ///
    /// ```
    /// # use ironsys::owner::Owner;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = Owner::start("sum", |_| 7)?;
    /// let caller = sum.caller();
    /// drop(sum);
    /// assert!(caller.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn caller(&self) -> Caller<T> {
        self.caller.clone()
    }

    /// Accepts no more calls, and returns when those accepted have run, the value is dropped, on its
    /// thread, and that is gone. It may be called again. One of its own calls only closes it.
    ///
    /// # Cancellation
    /// The owner stays closed and goes on: call again, or drop it.
    ///
    /// # Errors
    /// Why `ctx` stopped.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.tell(&ctx, |n| *n += 1)?;
    /// sum.close(&ctx)?;
    /// assert_eq!(sum.stats().ledger.done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close(&self, ctx: &Context) -> Result<(), Stop> {
        self.caller.tx.close();
        if is_current(self.thread.number()) { Ok(()) } else { self.thread.wait(ctx) }
    }

    /// Runs what is queued, and brings the value back.
    ///
    /// # Cancellation
    /// When `ctx` stops, the owner is dropped: it is cancelled, and the value is gone.
    ///
    /// # Errors
    /// [`Gone`](IntoInnerError::Gone), also when one of its own calls asks for it, and
    /// [`Stopped`](IntoInnerError::Stopped).
    ///
    /// ```
    /// use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let sum = Owner::start("sum", |_| 1)?;
    /// sum.tell(&ctx, |n| *n += 2)?;
    /// assert_eq!(sum.into_inner(&ctx)?, 3);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn into_inner(mut self, ctx: &Context) -> Result<T, IntoInnerError>
    where
        T: Send + 'static,
    {
        if is_current(self.thread.number()) {
            return Err(IntoInnerError::Gone("a call of the owner cannot wait for itself".into()));
        }
        let (reply, mut answer) = oneshot();
        let last = Message::Last(Box::new(move |value| {
            if let Err(unwanted) = reply.send(value) {
                panics::discard(unwanted);
            }
        }));
        let sent = self.caller.tx.send(ctx, last).map_err(|e| e.stop().cloned());
        let out = sent.and_then(|()| {
            let counts = key(&*self.caller.counts);
            answer.recv_from(ctx, &self.caller.name, counts).map_err(|e| match e {
                AnswerError::Stopped(stop) => Some(stop),
                AnswerError::Dropped => None,
            })
        });
        match out {
            Ok(value) => Ok(value),
            Err(Some(stop)) => {
                self.thread.cancel(format!("the owner was to end, but was stopped: {stop}"));
                let _ = self.thread.join();
                // It may have been on its way.
                answer.try_recv().map_err(|_| IntoInnerError::Stopped(stop))
            }
            Err(None) => Err(IntoInnerError::Gone(match self.thread.join() {
                Some(Err(panicked)) => panicked.to_string(),
                _ => "a call panicked, or it was closed".into(),
            })),
        }
    }
}

impl<T> Deref for Owner<T> {
    type Target = Caller<T>;

    fn deref(&self) -> &Caller<T> {
        &self.caller
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.caller.tx.close();
        self.thread.cancel("the owner was dropped".into());
        if let Some(Err(panicked)) = self.thread.join() {
            log::error!("ironsys: {panicked}");
            panics::discard(panicked);
        }
    }
}

impl<T> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("name", &self.caller.name).finish_non_exhaustive()
    }
}

// ===== impl Caller =====

impl<T: 'static> Caller<T> {
    /// Runs `call` on the owner's thread and returns what it returns.
    ///
    /// The call has no context of its own: to make it stop with `ctx`, let it capture a clone.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once. While it waits for its turn, it is taken back: it has
    /// not happened, and the closure is in the error. Once it has begun, it runs to its end, and the
    /// error is [`Abandoned`](CallError::Abandoned).
    ///
    /// # Errors
    /// [`Closed`](CallError::Closed), [`Stopped`](CallError::Stopped),
    /// [`Abandoned`](CallError::Abandoned), [`Panicked`](CallError::Panicked), and
    /// [`WouldDeadlock`](CallError::WouldDeadlock) when a call of this owner makes another.
    ///
    /// ```
    /// use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, cancel) = Context::root();
    /// let words = Owner::start("words", |_| vec!["a"])?;
    /// let n = words.call(&ctx, |words| { words.push("b"); words.len() }).unwrap();
    /// assert_eq!(n, 2);
    /// cancel.cancel();
    /// let refused = words.call(&ctx, |words| words.clear()).unwrap_err();
    /// assert!(refused.has_not_happened());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn call<F, R>(&self, ctx: &Context, call: F) -> Result<R, CallError<F>>
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        if is_current(self.thread) {
            return Err(CallError::WouldDeadlock(call));
        }
        let cell = Cell::new(call);
        let (reply, mut answer) = oneshot();
        let (owner, at) = (self.name.clone(), Location::caller());
        let asked = Asked { cell: cell.clone(), reply, owner, at };
        if let Err(e) = self.tx.send(ctx, Message::Call(Box::new(asked))) {
            let call = not_begun(&cell);
            return Err(match e {
                SendError::Stopped { stop, .. } => CallError::Stopped { call, stop },
                _ => CallError::Closed(call),
            });
        }
        let out: Result<R, Panicked> = match answer.recv_from(ctx, &self.name, key(&*self.counts)) {
            Ok(out) => out,
            Err(AnswerError::Dropped) => return Err(CallError::Closed(not_begun(&cell))),
            Err(AnswerError::Stopped(stop)) => match (cell.take(), answer.try_recv()) {
                (Some(call), _) => return Err(CallError::Stopped { call, stop }),
                (None, Ok(out)) => out, // It came at the last moment.
                (None, Err(_)) => return Err(CallError::Abandoned(stop)),
            },
        };
        out.map_err(CallError::Panicked)
    }

    /// Puts `call` into the queue, waiting for room if need be, and does not wait for it to run. Its
    /// panic is logged and counted.
    ///
    /// # Cancellation
    /// Of the wait for room: it has not happened, and the closure is in the error.
    ///
    /// # Errors
    /// [`Closed`](TellError::Closed), [`Stopped`](TellError::Stopped), and
    /// [`WouldDeadlock`](TellError::WouldDeadlock) when a call of this owner finds the queue full.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.tell(&ctx, |n| *n += 1)?;
    /// assert_eq!(sum.into_inner(&ctx)?, 8);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn tell<F>(&self, ctx: &Context, call: F) -> Result<(), TellError<F>>
    where
        F: FnOnce(&mut T) + Send + 'static,
    {
        if is_current(self.thread) {
            if let Err(stop) = ctx.check() {
                return Err(TellError::Stopped { call, stop });
            }
            return self.try_tell(call).map_err(|e| match e {
                TryTellError::Full(call) => TellError::WouldDeadlock(call),
                TryTellError::Closed(call) => TellError::Closed(call),
            });
        }
        let (told, cell) = self.told(call);
        self.tx.send(ctx, told).map_err(|e| {
            let call = not_begun(&cell);
            match e {
                SendError::Stopped { stop, .. } => TellError::Stopped { call, stop },
                _ => TellError::Closed(call),
            }
        })
    }

    /// Puts `call` into the queue if there is room now.
    ///
    /// # Errors
    /// [`Full`](TryTellError::Full), [`Closed`](TryTellError::Closed); with the closure.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// assert!(sum.try_tell(|n| *n += 1).is_ok());
    /// assert_eq!(sum.into_inner(&ctx)?, 8);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn try_tell<F>(&self, call: F) -> Result<(), TryTellError<F>>
    where
        F: FnOnce(&mut T) + Send + 'static,
    {
        let (told, cell) = self.told(call);
        self.tx.try_send(told).map_err(|e| {
            let call = not_begun(&cell);
            match e {
                TrySendError::Full(_) => TryTellError::Full(call),
                TrySendError::Closed(_) => TryTellError::Closed(call),
            }
        })
    }

    #[track_caller]
    fn told<F>(&self, call: F) -> (Message<T>, Arc<Cell<F>>)
    where
        F: FnOnce(&mut T) + Send + 'static,
    {
        let cell = Cell::new(call);
        let (owner, at) = (self.name.clone(), Location::caller());
        (Message::Call(Box::new(Told { cell: cell.clone(), owner, at })), cell)
    }
}

impl<T> Caller<T> {
    /// Returns whether calls are refused.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.close(&ctx)?;
    /// assert!(sum.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Returns the counts of the owner.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.call(&ctx, |n| *n).unwrap();
    /// assert_eq!(sum.stats().ledger.accepted, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        // The ends first: what ends in between then still counts as accepted.
        let Counted { done, failed, cancelled, dropped } = self.counts.with(|counts| *counts);
        let queue = self.tx.stats();
        let accepted = queue.ledger.accepted;
        let in_flight = accepted - done - failed - cancelled - dropped;
        Stats { ledger: Ledger { accepted, done, failed, cancelled, dropped, in_flight }, queue }
    }
}

/// Takes the closure of a call that was refused.
fn not_begun<F>(cell: &Cell<F>) -> F {
    cell.take().unwrap_or_else(|| unreachable!("what was refused has not begun"))
}

impl<T> Clone for Caller<T> {
    fn clone(&self) -> Self {
        Caller {
            name: self.name.clone(),
            tx: self.tx.clone(),
            counts: self.counts.clone(),
            thread: self.thread,
        }
    }
}

impl<T> fmt::Debug for Caller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("owner", &self.name).finish_non_exhaustive()
    }
}
