//! A rate limit that processes share.

use super::bucket::{Answer, Bucket, Slot};
use super::limit_builder::SharedLimitBuilder;
use super::link::LinkError;
use super::server::Server;
use crate::channel::{self, Receiver, RecvError, Sender};
use crate::context::{Context, Stop};
use crate::limit::{Keyed, Rate, TokenBucket};
use redis::RedisError;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A token bucket for each key, kept in Redis, so that all processes together stay within the rate.
///
/// A script in the server decides, by the server's clock; so neither the clocks nor the number of the
/// processes matter. In any stretch of time at most `rate * time + burst` pass for a key; with
/// [leases](SharedLimitBuilder::lease) of `k`, `rate * time + burst + k`. A key that is not used for the
/// time that fills its bucket takes no memory in Redis. A server that comes back without its data begins
/// with full buckets.
///
/// **When Redis is away**, does not answer in [`timeout`](SharedLimitBuilder::timeout), or answers
/// with an error, [`WhenAway`] decides. Whether that has happened is in each answer. For
/// [`retry_every`](SharedLimitBuilder::retry_every) after it, calls do not try Redis at all.
///
/// Clones share the connections.
///
/// ```no_run
/// use ironsys::{Context, brokers::redis::{Server, SharedLimit, WhenAway}, limit::Rate};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let server = Server::new("redis://127.0.0.1:6379")?;
/// let limit = SharedLimit::builder(&server, "api", Rate::per_second(100), 10)
///     .when_away(WhenAway::Local { instances: 4 })
///     .build()?;
/// match limit.try_acquire(&ctx, "user-7", 1) {
///     Ok(_) => println!("200"),
///     Err(e) => println!("429, retry after {:?}", e.retry_after()),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SharedLimit {
    server: Server,
    bucket: Bucket,
    away: Away,
    burst: u32,
    retry_every: Duration,
    /// The connections that nobody uses.
    idle: (Sender<Slot>, Receiver<Slot>),
}

/// What happens when Redis is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenAway {
    /// Everything passes: the limit protects from waste, not from harm. There is no bound while it
    /// lasts.
    FailOpen,
    /// Nothing passes, but what is leased already: [`SharedLimitError::Away`].
    FailClosed,
    /// Each process goes by a limit of its own, of `rate / instances` and `burst / instances`, rounded
    /// up. If there are as many processes as that, an outage lets at most `2 * burst + instances` more
    /// pass than `rate * time + burst`: the local buckets are full when it begins, and the one in Redis
    /// when it ends; and `rate * retry_every` while not all connections have seen that it has ended. With
    /// more processes, the local part is that many times more. A call for more than its share of the
    /// burst is refused.
    Local {
        /// How many processes share the limit. 0 is an error.
        instances: u32,
    },
}

#[derive(Clone)]
pub(super) enum Away {
    Open,
    Closed,
    Local(Keyed<Vec<u8>, TokenBucket>),
}

/// Who let it pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passed {
    /// Redis, now.
    Shared,
    /// Redis, earlier: it was leased.
    Leased,
    /// Redis is away, and [`WhenAway`] let it pass.
    Away,
}

/// A call that a [`SharedLimit`] did not let pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedLimitError {
    /// Not now; if nobody else comes, `wait` from now.
    #[error("not for another {wait:?}")]
    NotYet {
        /// How long until it could pass.
        wait: Duration,
    },
    /// More was asked for than can ever pass at once.
    #[error("{asked} asked for, {burst} pass at the most")]
    TooMany {
        /// How many were asked for.
        asked: u32,
        /// How many pass at once at the most.
        burst: u32,
    },
    /// Redis is away, and the local limit has no place for another key, or not for so many at once; or
    /// [`WhenAway::FailClosed`] is set.
    #[error("the shared limit is away: {0}")]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl SharedLimitError {
    /// Returns how long until it could pass, if time is all that it takes: what a service answers in
    /// `Retry-After`.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// let not_yet = SharedLimitError::NotYet { wait: Duration::from_secs(2) };
    /// assert_eq!(not_yet.retry_after(), Some(Duration::from_secs(2)));
    /// assert_eq!(SharedLimitError::TooMany { asked: 9, burst: 5 }.retry_after(), None);
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SharedLimitError::NotYet { wait } => Some(*wait),
            _ => None,
        }
    }

    /// Returns whether Redis is the reason.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// assert!(SharedLimitError::Away("no route to host".into()).is_away());
    /// assert!(!SharedLimitError::TooMany { asked: 9, burst: 5 }.is_away());
    /// ```
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, SharedLimitError::Away(_))
    }
}

impl SharedLimit {
    /// Starts to build a limit: `burst` at once, and `rate` on the whole, for each key. Limits of one
    /// `name` are one limit; they should have the same numbers.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10).build()?;
    /// assert!(SharedLimit::builder(&server, "", Rate::per_second(100), 10).build().is_err());
    /// # drop(api);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn builder(
        server: &Server,
        name: impl Into<String>,
        rate: Rate,
        burst: u32,
    ) -> SharedLimitBuilder {
        SharedLimitBuilder::new(server, name.into(), rate, burst)
    }

    pub(super) fn new(settings: &SharedLimitBuilder, bucket: Bucket, away: Away) -> SharedLimit {
        let idle = channel::bounded(settings.connections);
        for _ in 0..settings.connections {
            // There is room for all of them, always: each is somewhere once.
            let _ = idle.0.try_send(Slot::new(&settings.server));
        }
        let (burst, retry_every) = (settings.burst, settings.retry_every);
        let server = settings.server.clone();
        SharedLimit { server, bucket, away, burst, retry_every, idle }
    }

    /// Takes `n` tokens of `key`, if there are so many. 0 always passes.
    ///
    /// It waits for a free connection and for the answer of Redis, not for tokens.
    ///
    /// # Cancellation
    /// A stop ends it. Redis may have taken the tokens.
    ///
    /// # Errors
    /// See [`SharedLimitError`].
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// # let (ctx, _cancel) = Context::root();
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10).build()?;
    /// let never = api.try_acquire(&ctx, "user-7", 11).unwrap_err();
    /// assert!(matches!(never, SharedLimitError::TooMany { asked: 11, burst: 10 }));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn try_acquire(
        &self,
        ctx: &Context,
        key: impl AsRef<[u8]>,
        n: u32,
    ) -> Result<Passed, SharedLimitError> {
        ctx.check()?;
        let key = key.as_ref();
        if n == 0 {
            return Ok(Passed::Shared);
        }
        if n > self.burst {
            return Err(SharedLimitError::TooMany { asked: n, burst: self.burst });
        }
        let mut lent = self.lend(ctx)?;
        let slot = lent.slot();
        let now = ctx.clock().now();
        if slot.spend(key, n, now) {
            return Ok(Passed::Leased);
        }
        if let Some(why) = slot.is_away(now) {
            return self.without(key, n, why);
        }
        match self.bucket.take(ctx, slot, key, n) {
            Ok(Answer::Granted) => Ok(Passed::Shared),
            Ok(Answer::NotYet(wait)) => Err(SharedLimitError::NotYet { wait }),
            Err(LinkError::Stopped(stop)) => Err(stop.into()),
            Err(LinkError::Redis(e)) => {
                log::warn!("ironsys: shared limit: {e}");
                let now = ctx.clock().now();
                slot.was_away(now.checked_add(self.retry_every), e.clone());
                self.without(key, n, e)
            }
        }
    }

    fn without(&self, key: &[u8], n: u32, why: RedisError) -> Result<Passed, SharedLimitError> {
        match &self.away {
            Away::Open => Ok(Passed::Away),
            Away::Closed => Err(SharedLimitError::Away(why.into())),
            Away::Local(limits) => match limits.try_acquire(&key.to_vec(), n) {
                Ok(()) => Ok(Passed::Away),
                Err(e) => Err(match e.retry_after() {
                    Some(wait) => SharedLimitError::NotYet { wait },
                    None => SharedLimitError::Away(e.into()),
                }),
            },
        }
    }

    fn lend(&self, ctx: &Context) -> Result<Lent<'_>, SharedLimitError> {
        match self.idle.1.recv(ctx) {
            Ok(slot) => Ok(Lent { slot: Some(slot), of: self }),
            Err(RecvError::Stopped(stop)) => Err(stop.into()),
            Err(e) => Err(SharedLimitError::Away(e.into())), // We hold both ends: it is never closed.
        }
    }
}

/// A connection in use; it goes home whatever happens.
struct Lent<'a> {
    slot: Option<Slot>,
    of: &'a SharedLimit,
}

impl Lent<'_> {
    fn slot(&mut self) -> &mut Slot {
        self.slot.get_or_insert_with(|| Slot::new(&self.of.server))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let _ = self.of.idle.0.try_send(slot); // There is room: it came from there.
        }
    }
}

impl fmt::Debug for SharedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimit").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
