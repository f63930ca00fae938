//! What subscribers hold.

use super::directory::Directory;
use crate::channel::{self, Receiver};
use crate::context::Context;
use crate::error::BuildError;
use crate::observe::Ledger;
use crate::panics;
use crate::sync::{Arc, Mutex, catch_unwind};
use crate::threads::{Owned, is_current};
use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::panic::Location;

/// A place in the directory, given up when this is dropped.
pub(super) struct Membership {
    name: Arc<str>,
    of: Box<dyn Leave>,
}

trait Leave: Send + Sync {
    fn leave(&self);
}

struct Member<K, M> {
    directory: Arc<Directory<K, M>>,
    topic: K,
    id: u64,
}

impl<K: Eq + Hash + Send + Sync, M: Send> Leave for Member<K, M> {
    fn leave(&self) {
        self.directory.remove(&self.topic, self.id);
    }
}

impl Membership {
    pub(super) fn new<K, M>(directory: Arc<Directory<K, M>>, topic: K, id: u64) -> Self
    where
        K: Eq + Hash + Send + Sync + 'static,
        M: Send + 'static,
    {
        Membership { name: directory.name.clone(), of: Box::new(Member { directory, topic, id }) }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.of.leave();
    }
}

/// A queue of messages of one topic. Made by [`Bus::subscribe`](super::Bus::subscribe); dropping it
/// unsubscribes, and drops what is in the queue.
///
/// It is a [`Receiver`]: receive, iterate, `select!`. When the bus is closed, it is closed and then
/// empty.
pub struct Subscription<M> {
    // Dropped in this order: nobody finds a queue without a receiver in the directory.
    _membership: Membership,
    rx: Receiver<M>,
}

impl<M> Subscription<M> {
    pub(super) fn new(rx: Receiver<M>, membership: Membership) -> Self {
        Subscription { _membership: membership, rx }
    }
}

impl<M> Deref for Subscription<M> {
    type Target = Receiver<M>;

    fn deref(&self) -> &Receiver<M> {
        &self.rx
    }
}

impl<M> fmt::Debug for Subscription<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("bus", &self._membership.name).finish_non_exhaustive()
    }
}

// ===== impl Handler =====

/// A closure subscribed to a topic, and the thread that calls it. Made by
/// [`SubscribeBuilder::handler`](super::SubscribeBuilder::handler).
///
/// **Dropping** it unsubscribes, cancels the context of the call under way, waits for that call, and
/// drops what is in the queue; [`drain`](Self::drain) handles that first. The closure may drop its own
/// handler: then the call under way is the last.
pub struct Handler<M> {
    /// `None` once it was given up.
    membership: Option<Membership>,
    rx: Receiver<M>,
    counts: Arc<Mutex<Counts>>,
    thread: Owned<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    handled: u64,
    panicked: u64,
}

/// A handler at one moment; exact when nothing is under way.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Messages: `done` were handled, `failed` panicked, `dropped` fell to the policy, `in_flight` are
    /// queued or being handled.
    pub ledger: Ledger,
    /// The queue.
    pub queue: channel::Stats,
}

/// What became of a handler's messages.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerDrained<M> {
    /// Messages handled.
    pub handled: u64,
    /// Messages whose call panicked.
    pub panicked: u64,
    /// Messages that had no turn, in order.
    pub undelivered: Vec<M>,
}

/// Starts a handler's thread.
pub(super) fn handle<M: Send + 'static>(
    parent: &Context,
    membership: Membership,
    rx: Receiver<M>,
    at: &'static Location<'static>,
    mut f: impl FnMut(&Context, M) + Send + 'static,
) -> Result<Handler<M>, BuildError> {
    let counts = Arc::new(Mutex::new(Counts::default()));
    let name = membership.name.clone();
    let work = {
        let (rx, counts, name) = (rx.clone(), counts.clone(), name.clone());
        move |ctx: &Context| {
            while let Ok(message) = rx.recv(ctx) {
                let called = catch_unwind(|| f(ctx, message));
                let mut counts = counts.lock();
                *(if called.is_ok() { &mut counts.handled } else { &mut counts.panicked }) += 1;
                drop(counts);
                if let Err(payload) = called {
                    let message = panics::message(&*payload);
                    panics::contain(|| {
                        log::error!("ironsys: a handler of bus `{name}` panicked: {message}");
                    });
                    panics::discard(payload);
                }
            }
            rx.close(); // Its context may have stopped: nobody waits for it any more.
        }
    };
    match Owned::start(parent, name, at, work) {
        Ok(thread) => Ok(Handler { membership: Some(membership), rx, counts, thread }),
        Err(e) => Err(BuildError::new("handler", "thread", format!("could not be started: {e}"))),
    }
}

impl<M> Handler<M> {
    /// Unsubscribes, handles what is in the queue, and ends the thread.
    ///
    /// # Cancellation
    /// When `ctx` stops, the call under way is cancelled and the last one, and the rest is handed back.
    /// Called by the closure itself it does so at once, and does not count the call under way.
    ///
    /// ```
    /// # use ironsys::{Context, bus::Bus};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((ctx, _cancel), bus) = (Context::root(), Bus::new());
    /// let handler = bus.subscriber("news").handler(|_ctx, _message| ())?;
    /// bus.publish(&ctx, &"news", 7)?;
    /// assert_eq!(handler.drain(&ctx).handled, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> HandlerDrained<M> {
        self.membership = None;
        self.rx.close(); // Also for a publisher that is on its way.
        if !is_current(self.thread.number())
            && let Err(stop) = self.thread.wait(ctx)
        {
            self.thread.cancel(format!("the handler was to drain, but was stopped: {stop}"));
        }
        panics::discard(self.thread.join());
        let undelivered = self.rx.drain();
        let Counts { handled, panicked } = self.counted();
        HandlerDrained { handled, panicked, undelivered }
    }

    fn counted(&self) -> Counts {
        *self.counts.lock()
    }

    /// Returns the counts of the handler.
    ///
    /// ```
    /// # use ironsys::{Context, bus::Bus};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((ctx, _cancel), bus) = (Context::root(), Bus::new());
    /// let handler = bus.subscriber("news").handler(|_ctx, _message| ())?;
    /// bus.publish(&ctx, &"news", 7)?;
    /// assert_eq!(handler.stats().ledger.accepted, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> HandlerStats {
        // The ends first: what ends in between then still counts as accepted.
        let Counts { handled, panicked } = self.counted();
        let queue = self.rx.stats();
        let Ledger { accepted, dropped, .. } = queue.ledger;
        let in_flight = accepted - dropped - handled - panicked;
        let ledger =
            Ledger { accepted, done: handled, failed: panicked, cancelled: 0, dropped, in_flight };
        HandlerStats { ledger, queue }
    }
}

impl<M> Drop for Handler<M> {
    fn drop(&mut self) {
        self.membership = None;
        self.thread.cancel("the handler was dropped".into());
        panics::discard(self.thread.join());
    }
}

impl<M> fmt::Debug for Handler<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("subscribed", &self.membership.is_some())
            .finish_non_exhaustive()
    }
}
