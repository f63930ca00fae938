//! One answer to one question.
//!
//! [`Reply`] is linear: it is sent once or dropped, and both are an answer. The one lock guards the
//! value, who waits for it and which ends are left; the value changes hands under it, so a `send`
//! that returned `Ok` is in the hands of a living [`Answer`].

use super::errors::TryRecvError;
use crate::context::{Context, Op, Stop};
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::wait::{On, Site, WaitKind, Waiter};
use std::fmt;

/// Makes the two ends of a single answer: [`Reply`] goes with the question, [`Answer`] stays with
/// whoever asked.
///
/// ```
/// use ironsys::{Context, channel::{self, Reply}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// enum Command { Add(u32), Count(Reply<u32>) }
///
/// let (ctx, _cancel) = Context::root();
/// let (commands, inbox) = channel::bounded(8);
/// let (reply, mut answer) = channel::oneshot();
/// commands.send(&ctx, Command::Add(2))?;
/// commands.send(&ctx, Command::Count(reply))?;
/// # drop(commands);
/// let mut total = 0;
/// for command in inbox.iter(&ctx) {
///     match command {
///         Command::Add(n) => total += n,
///         Command::Count(reply) => assert!(reply.send(total).is_ok()),
///     }
/// }
/// assert_eq!(answer.recv(&ctx)?, 2);
/// # Ok(()) }
/// ```
pub fn oneshot<T>() -> (Reply<T>, Answer<T>) {
    let state = State { value: None, asker: None, reply_left: true, answer_left: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), _leak: LeakTrack::new() });
    (Reply { shared: Some(shared.clone()) }, Answer { shared })
}

struct Shared<T> {
    /// Guards the whole exchange.
    state: Mutex<State<T>>,
    _leak: LeakTrack,
}

struct State<T> {
    value: Option<T>,
    /// The thread blocked in `recv`.
    asker: Option<Arc<Waiter>>,
    reply_left: bool,
    answer_left: bool,
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, AnswerError>> {
        match self.value.take() {
            Some(value) => Some(Ok(value)),
            None if self.reply_left => None,
            None => Some(Err(AnswerError::Dropped)),
        }
    }
}

/// An [`Answer::recv`] that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The [`Reply`] was dropped without an answer, or the answer has been taken before.
    #[error("no answer will come")]
    Dropped,
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl AnswerError {
    /// Returns whether no answer will come.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// # let (ctx, _cancel) = Context::root();
    /// let (reply, mut answer) = channel::oneshot::<u32>();
    /// drop(reply);
    /// assert!(answer.recv(&ctx).unwrap_err().is_dropped());
    /// ```
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        matches!(self, AnswerError::Dropped)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// let (ctx, cancel) = Context::root();
    /// let (_reply, mut answer) = channel::oneshot::<u32>();
    /// cancel.cancel();
    /// assert!(answer.recv(&ctx).unwrap_err().stop().is_some());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            AnswerError::Stopped(stop) => Some(stop),
            AnswerError::Dropped => None,
        }
    }
}

// ===== impl Reply =====

/// The duty to answer once. Made by [`oneshot`].
///
/// Dropping it is an answer too: the asker gets [`AnswerError::Dropped`] at once, so a server that
/// panics or forgets leaves nobody waiting.
#[must_use = "dropping it tells the asker that no answer will come"]
pub struct Reply<T> {
    /// `None` once it was sent.
    shared: Option<Arc<Shared<T>>>,
}

impl<T> Reply<T> {
    /// Answers. Never waits.
    ///
    /// # Errors
    /// The value, if nobody is there to take it: the [`Answer`] is gone.
    ///
    /// ```
    /// use ironsys::channel;
    /// let (reply, answer) = channel::oneshot();
    /// drop(answer);
    /// assert_eq!(reply.send("late"), Err("late"));
    /// ```
    pub fn send(mut self, value: T) -> Result<(), T> {
        match self.shared.take() {
            Some(shared) => shared.end(Some(value)).map_or(Ok(()), Err),
            None => Err(value),
        }
    }

    /// Returns whether somebody still wants the answer: look before a costly one.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (reply, answer) = channel::oneshot::<u32>();
    /// drop(answer);
    /// assert!(!reply.is_wanted());
    /// ```
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.state.lock().answer_left)
    }
}

impl<T> Shared<T> {
    /// The reply goes, with a value or without; the value comes back if nobody is there to take it.
    fn end(&self, value: Option<T>) -> Option<T> {
        let mut state = self.state.lock();
        state.reply_left = false;
        let back =
            if state.answer_left { std::mem::replace(&mut state.value, value) } else { value };
        let asker = state.asker.take();
        drop(state);
        if let Some(asker) = asker {
            asker.wake();
        }
        back
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.end(None);
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("wanted", &self.is_wanted()).finish_non_exhaustive()
    }
}

// ===== impl Answer =====

/// The right to one answer. Made by [`oneshot`]. Dropping it gives the answer up.
pub struct Answer<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Answer<T> {
    /// Waits for the answer.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, also when the answer is there. A call cut short took
    /// nothing: call it again under another context.
    ///
    /// # Errors
    /// [`Dropped`](AnswerError::Dropped) if the [`Reply`] is gone, [`Stopped`](AnswerError::Stopped).
    ///
    /// ```
    /// use ironsys::{Context, channel::{self, AnswerError}};
    /// let (ctx, _cancel) = Context::root();
    /// let (reply, mut answer) = channel::oneshot::<u32>();
    /// drop(reply);
    /// assert_eq!(answer.recv(&ctx), Err(AnswerError::Dropped));
    /// ```
    #[track_caller]
    pub fn recv(&mut self, ctx: &Context) -> Result<T, AnswerError> {
        ctx.check()?;
        ctx.block(Site::new(WaitKind::Recv, None), &mut Recv { shared: &self.shared })?
    }

    /// The same, for an answer that whoever is at work for the thing with this key will give.
    #[track_caller]
    pub(crate) fn recv_from(
        &mut self,
        ctx: &Context,
        name: &Arc<str>,
        key: usize,
    ) -> Result<T, AnswerError> {
        ctx.check()?;
        let site = Site::new(WaitKind::Recv, Some(name.clone()));
        ctx.block(site.on(On::Thing(key)), &mut Recv { shared: &self.shared })?
    }

    /// Spins a little until the reply is gone, sent or dropped. A hint: look under the lock.
    pub(crate) fn spin(&self) -> bool {
        crate::sync::spin(|| Arc::strong_count(&self.shared) == 1)
    }

    /// Takes the answer if it is there.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if it may still come, [`Closed`](TryRecvError::Closed) if not.
    ///
    /// ```
    /// use ironsys::channel::{self, TryRecvError};
    /// let (reply, mut answer) = channel::oneshot();
    /// assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
    /// reply.send(7).unwrap();
    /// assert_eq!(answer.try_recv(), Ok(7));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.shared.state.lock().take() {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let unread = {
            let mut state = self.shared.state.lock();
            state.answer_left = false;
            state.value.take()
        };
        drop(unread); // Outside of the lock: it is the user's.
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// A receive under way.
struct Recv<'a, T> {
    shared: &'a Shared<T>,
}

impl<T> Op for Recv<'_, T> {
    type Out = Result<T, AnswerError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let mut state = self.shared.state.lock();
        let out = state.take();
        if out.is_none() {
            state.asker = Some(waiter.clone());
        }
        out
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let mut state = self.shared.state.lock();
        state.asker = None;
        state.take() // It came at the last moment.
    }
}
