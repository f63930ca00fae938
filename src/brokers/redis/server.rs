//! Where Redis is, and how long it may take.

use super::link::{Link, LinkError};
use crate::context::Context;
use crate::error::BuildError;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, pipe};
use std::fmt;
use std::time::Duration;

/// A Redis server, by its URL. No connection is made before one is needed; each part makes its own.
///
/// `redis://[user:password@]host[:port][/db]`, or on Unix `redis+unix:///path/to/socket[?db=0]`. There
/// is no TLS.
///
/// ```
/// use ironsys::brokers::redis::Server;
/// use std::time::Duration;
/// let server = Server::new("redis://127.0.0.1:6379/2").unwrap().timeout(Duration::from_secs(1));
/// assert!(Server::new("http://127.0.0.1").is_err());
/// # drop(server);
/// ```
#[derive(Clone)]
pub struct Server {
    info: ConnectionInfo,
    timeout: Duration,
}

impl Server {
    /// Makes one from its URL.
    ///
    /// # Errors
    /// `url`: it is none, or not one of a plain Redis.
    ///
    /// ```
    /// # use ironsys::brokers::redis::Server;
    /// assert!(Server::new("redis://ada:secret@broker:6380/2").is_ok());
    /// assert_eq!(Server::new("rediss://broker").unwrap_err().field(), "url"); // no TLS
    /// ```
    pub fn new(url: impl AsRef<str>) -> Result<Server, BuildError> {
        let wrong = |why: String| BuildError::new("redis server", "url", why);
        let info = url.as_ref().into_connection_info().map_err(|e| wrong(e.to_string()))?;
        match info.addr() {
            ConnectionAddr::Tcp(..) => {}
            #[cfg(unix)]
            ConnectionAddr::Unix(_) => {}
            other => return Err(wrong(format!("has an address of a kind that is not: {other}"))),
        }
        Ok(Server { info, timeout: Duration::from_secs(5) })
    }

    /// Sets how long the server may take to accept a connection, and to answer, before it counts as
    /// away. The default is 5 s. A context that stops ends a call earlier, but not the connecting: this
    /// takes as long as the look-up of the host's name, and then so long for each of its addresses.
    ///
    /// ```
    /// # use ironsys::brokers::redis::Server;
    /// # use std::time::Duration;
    /// let server = Server::new("redis://broker")?.timeout(Duration::from_secs(1));
    /// assert!(format!("{server:?}").contains("1s"));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Server {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Connects, logs in, and selects the database.
    pub(super) fn connect(&self, ctx: &Context) -> Result<Link, LinkError> {
        ctx.check()?;
        let limit = ctx.remaining().map_or(self.timeout, |left| left.min(self.timeout));
        let link = Link::open(ctx, self.info.addr(), limit, self.timeout);
        if link.is_err() {
            ctx.check()?; // It is why.
        }
        let mut link = link?;
        let hello = self.hello();
        if !hello.is_empty() {
            link.pipeline(ctx, &hello)?;
        }
        Ok(link)
    }

    fn hello(&self) -> Pipeline {
        let settings = self.info.redis_settings();
        let mut hello = pipe();
        if let Some(password) = settings.password() {
            let auth = hello.cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            auth.arg(password);
        }
        if settings.db() != 0 {
            hello.cmd("SELECT").arg(settings.db());
        }
        hello
    }
}

/// Without the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.info.addr().to_string())
            .field("timeout", &self.timeout)
            .finish()
    }
}
