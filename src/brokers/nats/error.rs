//! What can go wrong with a server.

use crate::context::Stop;
use std::io;

/// A call that did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// The connection is gone, or could not be made. The next call makes a new one.
    #[error("{server}: {error}")]
    Io {
        /// The server's address.
        server: String,
        /// What the operating system or TLS said.
        error: io::Error,
    },
    /// What came is not what a server says. The connection is given up.
    #[error("{server} does not speak NATS: {what}")]
    Protocol {
        /// The server's address.
        server: String,
        /// What is wrong.
        what: String,
    },
    /// The server refuses: who one is, or what one may.
    #[error("{server} refuses: {what}")]
    Refused {
        /// The server's address.
        server: String,
        /// Its words.
        what: String,
    },
    /// Nobody is there to answer a request: no subscriber, no JetStream, no such stream.
    #[error("nobody answers at `{subject}`")]
    NoResponders {
        /// Where it was sent.
        subject: String,
    },
    /// JetStream says no.
    #[error("JetStream: {description} ({code})")]
    JetStream {
        /// Its number of the error.
        code: u64,
        /// Its words.
        description: String,
    },
    /// The options or arguments cannot be used.
    #[error("{0}")]
    Misused(String),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl NatsError {
    /// Returns whether another try, later, may do better.
    ///
    /// ```
    /// # use ironsys::brokers::nats::NatsError;
    /// assert!(NatsError::NoResponders { subject: "time".into() }.is_temporary());
    /// assert!(!NatsError::Misused("`no subject` cannot be a subject".into()).is_temporary());
    /// ```
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, NatsError::Io { .. } | NatsError::NoResponders { .. })
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, brokers::nats::NatsError};
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// let error = NatsError::from(ctx.check().unwrap_err());
    /// assert!(error.stop().is_some_and(|stop| stop.is_cancelled()));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            NatsError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}
