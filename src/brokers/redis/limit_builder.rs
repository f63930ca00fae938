//! The settings of a shared limit.

use super::bucket::Bucket;
use super::limit::{Away, SharedLimit, WhenAway};
use super::server::Server;
use crate::error::BuildError;
use crate::limit::{Keyed, Rate, TokenBucket};
use std::time::Duration;

/// Builds a [`SharedLimit`]. Made by [`SharedLimit::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SharedLimitBuilder {
    pub(super) server: Server,
    name: String,
    rate: Rate,
    pub(super) burst: u32,
    lease: u32,
    pub(super) connections: usize,
    timeout: Duration,
    pub(super) retry_every: Duration,
    pub(super) when_away: WhenAway,
}

impl SharedLimitBuilder {
    pub(super) fn new(server: &Server, name: String, rate: Rate, burst: u32) -> Self {
        SharedLimitBuilder {
            server: server.clone(),
            name,
            rate,
            burst,
            lease: 1,
            connections: 4,
            timeout: Duration::from_millis(250),
            retry_every: Duration::from_millis(200),
            when_away: WhenAway::FailClosed,
        }
    }

    /// Sets how many tokens are taken at once, to be spent without asking. The default is 1: each call
    /// asks. What is not spent in the time in which `tokens` come in at the rate is given up, so all
    /// processes together pass at most `tokens` more than without leases; but a process that spends
    /// little of what it takes leaves less for the others. Each connection leases for itself.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10);
    /// assert!(api.clone().lease(10).build().is_ok());
    /// assert_eq!(api.lease(11).build().unwrap_err().field(), "lease"); // more than the burst
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn lease(mut self, tokens: u32) -> Self {
        self.lease = tokens;
        self
    }

    /// Sets how many calls may ask Redis at the same time; the others wait. The default is 4.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10);
    /// assert!(api.clone().connections(16).build().is_ok());
    /// assert_eq!(api.connections(0).build().unwrap_err().field(), "connections");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long Redis may take to accept a connection, and to answer, before it counts as away.
    /// The default is 250 ms.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # use ironsys::brokers::redis::{Passed, WhenAway};
    /// # let (ctx, _cancel) = Context::root();
    /// # let server = Server::new("redis://127.0.0.1:1")?;
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10);
    /// let api = api.timeout(Duration::from_millis(20)).build()?;
    /// assert!(api.try_acquire(&ctx, "user-7", 1).unwrap_err().is_away()); // Nobody is there.
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a connection leaves Redis alone after it was found to be away. The default is
    /// 200 ms; 0 tries at each call.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # use ironsys::brokers::redis::{Passed, WhenAway};
    /// # let (ctx, _cancel) = Context::root();
    /// # let server = Server::new("redis://127.0.0.1:1")?;
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10);
    /// let api = api.retry_every(Duration::ZERO).build()?;
    /// assert!(api.try_acquire(&ctx, "user-7", 1).unwrap_err().is_away()); // Nobody is there ...
    /// assert!(api.try_acquire(&ctx, "user-7", 1).unwrap_err().is_away()); // ... and again.
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn retry_every(mut self, time: Duration) -> Self {
        self.retry_every = time;
        self
    }

    /// Sets what happens when Redis is away. The default is [`WhenAway::FailClosed`].
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # use ironsys::brokers::redis::{Passed, WhenAway};
    /// # let (ctx, _cancel) = Context::root();
    /// # let server = Server::new("redis://127.0.0.1:1")?;
    /// let api = SharedLimit::builder(&server, "api", Rate::per_second(100), 10);
    /// let api = api.when_away(WhenAway::FailOpen).build()?;
    /// assert!(matches!(api.try_acquire(&ctx, "user-7", 1), Ok(Passed::Away))); // Nobody is there.
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn when_away(mut self, policy: WhenAway) -> Self {
        self.when_away = policy;
        self
    }

    /// Builds the limit. It connects at the first call.
    ///
    /// # Errors
    /// `name` is empty; `rate` is zero, unlimited, or more than a million a second; `burst` is 0, or
    /// takes more than 30 years to come in; `lease` is 0 or more than `burst`; `connections` is 0 or
    /// more than 1,024; `when_away` with no instances.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, SharedLimit, SharedLimitError};
    /// # use ironsys::{Context, limit::Rate};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let none = SharedLimit::builder(&server, "api", Rate::per_second(100), 0).build();
    /// assert_eq!(none.unwrap_err().field(), "burst");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn build(mut self) -> Result<SharedLimit, BuildError> {
        let each = self.rate.per().as_secs_f64() * 1e6 / f64::from(self.rate.count());
        let wrong = |field, why: &str| Err(BuildError::new("shared limit", field, why));
        if self.name.is_empty() {
            return wrong("name", "must not be empty");
        }
        if !(1.0..f64::INFINITY).contains(&each) {
            return wrong("rate", "must be more than 0, and a million a second at the most");
        }
        if self.burst == 0 || f64::from(self.burst) * each > LONGEST_MICROS {
            return wrong("burst", "must be 1 or more, and come in in 30 years");
        }
        if !(1..=self.burst).contains(&self.lease) {
            return wrong("lease", "must be 1 or more, and `burst` at the most");
        }
        if !(1..=1024).contains(&self.connections) {
            return wrong("connections", "must be between 1 and 1024");
        }
        if self.when_away == (WhenAway::Local { instances: 0 }) {
            return wrong("when_away", "must have 1 instance or more");
        }
        self.server = self.server.timeout(self.timeout);
        let bucket = Bucket::new(&self.name, each, self.burst, self.lease);
        Ok(SharedLimit::new(&self, bucket, self.away()?))
    }

    /// What decides when Redis does not.
    fn away(&self) -> Result<Away, BuildError> {
        Ok(match self.when_away {
            WhenAway::FailOpen => Away::Open,
            WhenAway::FailClosed => Away::Closed,
            WhenAway::Local { instances } => {
                let rate = Rate::new(self.rate.count(), self.rate.per().saturating_mul(instances));
                let share = TokenBucket::new(rate, self.burst.div_ceil(instances));
                Away::Local(Keyed::builder(&share).build()?)
            }
        })
    }
}

/// Beyond this the script's numbers get coarse.
const LONGEST_MICROS: f64 = 30.0 * 365.0 * 86_400.0 * 1e6;
