//! What came of a command.

use crate::context::Stop;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::ExitStatus;

/// How a command ended, and what it said.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Output {
    /// How the child ended: its code, or the signal that killed it.
    pub status: ExitStatus,
    /// What was kept of its standard output: nothing if it was read by lines.
    pub stdout: Vec<u8>,
    /// What was kept of its standard error: nothing if it was read by lines.
    pub stderr: Vec<u8>,
    /// Bytes of the standard output beyond the limit, which were read and not kept.
    pub stdout_excess: u64,
    /// The same for the standard error.
    pub stderr_excess: u64,
}

/// One of the two pipes that a child writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stream::Stdout => "standard output",
            Stream::Stderr => "standard error",
        })
    }
}

/// A line that a child wrote, without its end. The last one need not have had an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// Where it was written.
    pub stream: Stream,
    /// What it says.
    pub bytes: &'a [u8],
}

/// What is done about a child that writes more than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExcess {
    /// The group is killed, and the call fails with what was read.
    #[default]
    Fail,
    /// The rest is read, counted, and thrown away.
    Truncate,
}

/// A command that did not run to its end.
///
/// A child that ends with a code of its own is no error: see [`Output::status`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It was not started: there is no such program, say.
    #[error("`{}` is not started: {source}", program.display())]
    Spawn {
        /// The program.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// The context was stopped before the start.
    #[error("not started: {0}")]
    NotStarted(Stop),
    /// The context stopped, and the group was ended.
    #[error("ended: {stop}")]
    Stopped {
        /// Why.
        stop: Stop,
        /// How the child ended, and what it had said.
        output: Box<Output>,
    },
    /// It wrote more than the limit, and the group was killed.
    #[error("more than {limit} bytes of {stream}")]
    Excess {
        /// Where.
        stream: Stream,
        /// The limit.
        limit: usize,
        /// What was read.
        output: Box<Output>,
    },
    /// The system failed in the middle, and the group was killed.
    #[error("{call}: {source}")]
    Io {
        /// The call.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ProcessError {
    /// Returns what was read before the end.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let error = Command::new("echo").arg("hello").stdout_limit(2).run(&ctx).unwrap_err();
    /// assert!(error.output().is_some());
    /// ```
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        match self {
            ProcessError::Stopped { output, .. } | ProcessError::Excess { output, .. } => {
                Some(output)
            }
            _ => None,
        }
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let now = ctx.with_timeout(std::time::Duration::ZERO);
    /// let error = Command::new("true").run(&now).unwrap_err();
    /// assert!(error.stop().is_some_and(|stop| stop.is_timeout()));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            ProcessError::Stopped { stop, .. } | ProcessError::NotStarted(stop) => Some(stop),
            _ => None,
        }
    }

    pub(super) fn io(call: &'static str, source: impl Into<io::Error>) -> Self {
        ProcessError::Io { call, source: source.into() }
    }
}
