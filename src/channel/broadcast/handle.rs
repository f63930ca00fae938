//! The two ends of a broadcast.

use super::SlowReceiver;
use super::errors::{BroadcastRecvError, BroadcastTryRecvError};
use super::state::{BroadcastStats, Read, State};
use crate::channel::{SendError, TrySendError};
use crate::context::{Context, Op};
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::wait::{Place, Site, WaitKind, Waiter, Wakes};
use std::fmt;

pub(super) struct Shared<T> {
    /// Guards the whole channel.
    state: Mutex<State<T>>,
    name: Option<Arc<str>>,
    _leak: LeakTrack,
}

impl<T> Shared<T> {
    pub(super) fn ends(
        capacity: usize,
        slow: SlowReceiver,
        name: Option<Arc<str>>,
    ) -> (Broadcaster<T>, Subscriber<T>) {
        let state = Mutex::new(State::new(capacity, slow));
        let shared = Arc::new(Shared { state, name, _leak: LeakTrack::new() });
        (Broadcaster { shared: shared.clone() }, Subscriber { shared, next: 0 })
    }

    /// Runs one critical section, then wakes whom it chose.
    fn with<R>(&self, f: impl FnOnce(&mut State<T>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        drop(state);
        wakes.wake();
        out
    }

    fn close(&self) -> bool {
        self.with(|state, wakes| {
            let first = !std::mem::replace(&mut state.closed, true);
            if first {
                state.tell_everybody(wakes);
            }
            first
        })
    }
}

// ===== impl Broadcaster =====

/// The sending end of a broadcast. Clones send to the same subscribers; it closes when the last is
/// gone.
pub struct Broadcaster<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Broadcaster<T> {
    /// Sends to everybody who is subscribed now, and returns how many that are; with 0 the value is
    /// dropped.
    ///
    /// With [`SlowReceiver::Block`] it waits while the slowest subscriber has `capacity` messages to
    /// read; with [`SlowReceiver::Lag`] it never waits.
    ///
    /// # Cancellation
    /// A stopped context fails the send at once. A send cut short has not happened: the value is in
    /// the error, and nobody has seen it.
    ///
    /// # Errors
    /// [`Closed`](SendError::Closed) or [`Stopped`](SendError::Stopped), with the value.
    ///
    /// ```
    /// use ironsys::{Context, channel};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::broadcast(1).build()?;
    /// assert_eq!(tx.send(&ctx, 1)?, 1);
    /// drop(rx);
    /// assert_eq!(tx.send(&ctx, 2)?, 0); // nobody is there
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn send(&self, ctx: &Context, value: T) -> Result<usize, SendError<T>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value, stop });
        }
        let value = match self.try_send(value) {
            Ok(seen_by) => return Ok(seen_by),
            Err(TrySendError::Closed(value)) => return Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let mut op = Write { shared: &self.shared, place: Place::default(), value: Some(value) };
        match ctx.block(Site::new(WaitKind::Send, self.shared.name.clone()), &mut op) {
            Ok(sent) => sent.map_err(SendError::Closed),
            Err(stop) => match op.value {
                Some(value) => Err(SendError::Stopped { value, stop }),
                None => Ok(0), // Not reached: a send that was withdrawn has its value.
            },
        }
    }

    /// Sends if that needs no waiting, and returns to how many. It does not overtake a sender that
    /// waits.
    ///
    /// # Errors
    /// [`Full`](TrySendError::Full) (only with [`SlowReceiver::Block`]) or
    /// [`Closed`](TrySendError::Closed), with the value.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, _rx) = channel::broadcast(1).build()?;
    /// assert_eq!(tx.try_send(1)?, 1);
    /// assert!(tx.try_send(2).unwrap_err().is_full());
    /// # Ok(()) }
    /// ```
    pub fn try_send(&self, value: T) -> Result<usize, TrySendError<T>> {
        let sent = self.shared.with(|state, wakes| {
            if state.closed {
                Err(TrySendError::Closed(value))
            } else if !state.has_room() || state.writers.len() != 0 {
                Err(TrySendError::Full(value))
            } else {
                Ok(state.push(value, wakes))
            }
        });
        sent.map(|(seen_by, _dropped_here)| seen_by)
    }

    /// Makes a subscriber that gets everything sent from now on.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, _rx) = channel::broadcast(2).build()?;
    /// tx.try_send("before")?;
    /// let mut late = tx.subscribe();
    /// tx.try_send("after")?;
    /// assert_eq!(late.try_recv()?, "after");
    /// # Ok(()) }
    /// ```
    #[must_use = "it holds senders up or lags behind if nobody reads from it"]
    pub fn subscribe(&self) -> Subscriber<T> {
        let next = self.shared.with(|state, _| {
            state.subscribers += 1;
            state.end()
        });
        Subscriber { shared: self.shared.clone(), next }
    }

    /// Closes the channel for all senders; what was sent can still be read. Returns whether this
    /// call closed it.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (tx, _rx) = channel::broadcast::<u32>(1).build().unwrap();
    /// assert!(tx.close() && !tx.close());
    /// ```
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Returns whether the channel is closed.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (tx, _rx) = channel::broadcast::<u32>(1).build().unwrap();
    /// tx.close();
    /// assert!(tx.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.with(|state, _| state.closed)
    }

    /// Returns the counts of the channel.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (tx, _rx) = channel::broadcast(1).build().unwrap();
    /// tx.try_send(7).unwrap();
    /// assert_eq!(tx.stats().sent, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> BroadcastStats {
        self.shared.with(|state, _| state.stats())
    }
}

impl<T> Clone for Broadcaster<T> {
    fn clone(&self) -> Self {
        self.shared.with(|state, _| state.senders += 1);
        Broadcaster { shared: self.shared.clone() }
    }
}

impl<T> Drop for Broadcaster<T> {
    fn drop(&mut self) {
        self.shared.with(|state, wakes| {
            state.senders -= 1;
            if state.senders == 0 {
                state.tell_everybody(wakes);
            }
        });
    }
}

impl<T> fmt::Debug for Broadcaster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcaster").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A send under way.
struct Write<'a, T> {
    shared: &'a Shared<T>,
    place: Place,
    value: Option<T>,
}

impl<T> Op for Write<'_, T> {
    type Out = Result<usize, T>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let Write { shared, place, value } = self;
        let sent = shared.with(|state, wakes| {
            // A newcomer goes to the end of the line, whatever room there is.
            let my_turn = place.is_taken() || state.writers.len() == 0;
            let may_send = state.has_room() && my_turn;
            if !state.closed && !may_send {
                state.writers.enter(place, waiter);
                return None;
            }
            let value = value.take()?;
            let sent = if state.closed { Err(value) } else { Ok(state.push(value, wakes)) };
            state.writers.leave(place);
            state.pass_on(wakes);
            Some(sent)
        });
        sent.map(|sent| sent.map(|(seen_by, _dropped_here)| seen_by))
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let Write { shared, place, .. } = self;
        shared.with(|state, wakes| {
            state.writers.leave(place);
            state.pass_on(wakes);
        });
        None
    }
}

// ===== impl Subscriber =====

/// A receiving end of a broadcast: it has its own place among the messages. Made by [`broadcast()`]
/// and [`Broadcaster::subscribe`]; dropping it ends the subscription.
///
/// [`broadcast()`]: super::broadcast()
pub struct Subscriber<T> {
    shared: Arc<Shared<T>>,
    next: u64,
}

impl<T: Clone> Subscriber<T> {
    /// Receives the next message, waiting for one if need be. The last to read a message gets the
    /// original, the others a clone, made outside of all locks.
    ///
    /// # Cancellation
    /// A stopped context fails the receive at once, also when a message is there. A receive cut
    /// short took nothing.
    ///
    /// # Errors
    /// [`Lagged`](BroadcastRecvError::Lagged) once after messages were missed,
    /// [`Closed`](BroadcastRecvError::Closed) when nothing is left and none will come,
    /// [`Stopped`](BroadcastRecvError::Stopped).
    ///
    /// ```
    /// use ironsys::{Context, channel::{self, BroadcastRecvError, SlowReceiver}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, mut rx) = channel::broadcast(2).slow_receiver(SlowReceiver::Lag).build()?;
    /// for n in 1..=5 {
    ///     tx.send(&ctx, n)?;
    /// }
    /// assert_eq!(rx.recv(&ctx), Err(BroadcastRecvError::Lagged(3)));
    /// assert_eq!(rx.recv(&ctx), Ok(4));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn recv(&mut self, ctx: &Context) -> Result<T, BroadcastRecvError> {
        ctx.check()?;
        let site = Site::new(WaitKind::Recv, self.shared.name.clone());
        let Subscriber { shared, next } = self;
        let message = ctx.block(site, &mut Next { shared, next, place: Place::default() })??;
        Ok(Arc::unwrap_or_clone(message))
    }

    /// Receives if a message is there now.
    ///
    /// # Errors
    /// [`Empty`](BroadcastTryRecvError::Empty), [`Lagged`](BroadcastTryRecvError::Lagged),
    /// [`Closed`](BroadcastTryRecvError::Closed).
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (tx, mut rx) = channel::broadcast(1).build().unwrap();
    /// tx.try_send(7).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(7));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, BroadcastTryRecvError> {
        let read = self.shared.with(|state, wakes| state.read(&mut self.next, wakes));
        match read {
            Read::Message(message) => Ok(Arc::unwrap_or_clone(message)),
            Read::Lagged(missed) => Err(BroadcastTryRecvError::Lagged(missed)),
            Read::Nothing => Err(BroadcastTryRecvError::Empty),
            Read::Over => Err(BroadcastTryRecvError::Closed),
        }
    }

    /// Returns an iterator that receives until the end or until the context stops; which of the two,
    /// [`Context::check`] tells. Its only error is [`Lagged`](BroadcastRecvError::Lagged).
    ///
    /// ```
    /// use ironsys::{Context, channel};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, mut rx) = channel::broadcast(4).build()?;
    /// tx.send(&ctx, 1)?;
    /// tx.send(&ctx, 2)?;
    /// drop(tx);
    /// let all: Result<Vec<_>, _> = rx.iter(&ctx).collect();
    /// assert_eq!(all?, [1, 2]);
    /// # Ok(()) }
    /// ```
    pub fn iter<'a>(&'a mut self, ctx: &'a Context) -> Feed<'a, T> {
        Feed { subscriber: self, ctx }
    }
}

impl<T> Subscriber<T> {
    /// Returns how many messages it has yet to read; those it has missed do not count.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (tx, rx) = channel::broadcast(1).build().unwrap();
    /// tx.try_send(7).unwrap();
    /// assert_eq!(rx.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.with(|state, _| state.unread(self.next))
    }

    /// Returns whether it has read everything.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (_tx, rx) = channel::broadcast::<u32>(1).build().unwrap();
    /// assert!(rx.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the channel for all senders, see [`Broadcaster::close`].
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (tx, rx) = channel::broadcast::<u32>(1).build().unwrap();
    /// rx.close();
    /// assert!(tx.is_closed());
    /// ```
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Returns the counts of the channel.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # let (_tx, rx) = channel::broadcast::<u32>(1).build().unwrap();
    /// assert_eq!(rx.stats().subscribers, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> BroadcastStats {
        self.shared.with(|state, _| state.stats())
    }
}

impl<T> Drop for Subscriber<T> {
    fn drop(&mut self) {
        let unread = self.shared.with(|state, wakes| state.unsubscribe(self.next, wakes));
        drop(unread); // Outside of the lock: it is the user's.
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", &self.shared.name)
            .field("unread", &self.len())
            .finish_non_exhaustive()
    }
}

/// A receive under way.
struct Next<'a, T> {
    shared: &'a Shared<T>,
    next: &'a mut u64,
    place: Place,
}

impl<T> Op for Next<'_, T> {
    type Out = Result<Arc<T>, BroadcastRecvError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let Next { shared, next, place } = self;
        shared.with(|state, wakes| {
            let out = match state.read(next, wakes) {
                Read::Message(message) => Ok(message),
                Read::Lagged(missed) => Err(BroadcastRecvError::Lagged(missed)),
                Read::Over => Err(BroadcastRecvError::Closed),
                Read::Nothing => {
                    state.readers.enter(place, waiter);
                    return None;
                }
            };
            state.readers.leave(place);
            Some(out)
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let Next { shared, place, .. } = self;
        // No baton: a message tells every reader.
        shared.with(|state, _| state.readers.leave(place));
        None
    }
}

/// Receives until the end. Made by [`Subscriber::iter`].
#[derive(Debug)]
pub struct Feed<'a, T> {
    subscriber: &'a mut Subscriber<T>,
    ctx: &'a Context,
}

impl<T: Clone> Iterator for Feed<'_, T> {
    type Item = Result<T, BroadcastRecvError>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        match self.subscriber.recv(self.ctx) {
            Ok(message) => Some(Ok(message)),
            Err(lagged @ BroadcastRecvError::Lagged(_)) => Some(Err(lagged)),
            Err(_) => None,
        }
    }
}
