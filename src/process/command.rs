//! What to run, and under which limits.

use super::output::{Line, OnExcess, Output, ProcessError};
use super::run;
use crate::context::Context;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

/// A program to be run. It gets no standard input unless [`stdin`](Self::stdin) gives it some.
#[derive(Debug)]
#[must_use = "a command does nothing until `run`"]
pub struct Command {
    pub(super) program: OsString,
    pub(super) inner: std::process::Command,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) config: Config,
}

/// The limits, and their defaults.
#[derive(Debug, Clone, Copy)]
pub(super) struct Config {
    pub(super) stdout_limit: usize,
    pub(super) stderr_limit: usize,
    pub(super) on_excess: OnExcess,
    pub(super) grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            stdout_limit: 16 << 20,
            stderr_limit: 1 << 20,
            on_excess: OnExcess::Fail,
            grace: Duration::from_secs(2),
        }
    }
}

impl Command {
    /// Names the program; without a `/` it is looked for in `PATH`. No shell is involved.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert!(Command::new("true").run(&ctx)?.status.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let inner = std::process::Command::new(program);
        Command { program: program.into(), inner, stdin: None, config: Config::default() }
    }

    /// Adds an argument.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Command::new("echo").arg("hello").run(&ctx)?.stdout, b"hello\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Command::new("echo").args(["a", "b"]).run(&ctx)?.stdout, b"a b\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the environment, which is otherwise the caller's.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let shell = Command::new("sh").args(["-c", "echo $COLOUR"]);
    /// assert_eq!(shell.env("COLOUR", "red").run(&ctx)?.stdout, b"red\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Gives it an empty environment, and what [`env`](Self::env) adds after this.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let env = Command::new("/usr/bin/env").env_clear().env("COLOUR", "red");
    /// assert_eq!(env.run(&ctx)?.stdout, b"COLOUR=red\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env_clear(mut self) -> Self {
        self.inner.env_clear();
        self
    }

    /// Sets its working directory.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Command::new("pwd").current_dir("/").run(&ctx)?.stdout, b"/\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Sets what it reads. It need not read all.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Command::new("cat").stdin(*b"hello").run(&ctx)?.stdout, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets how many bytes of its standard output are kept; read by lines, how long a line may be.
    /// The default is 16 MiB; 0 keeps nothing; `usize::MAX` is no limit.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let error = Command::new("echo").arg("hello").stdout_limit(2).run(&ctx).unwrap_err();
    /// assert!(matches!(error, ProcessError::Excess { stream: Stream::Stdout, limit: 2, .. }));
    /// ```
    pub fn stdout_limit(mut self, bytes: usize) -> Self {
        self.config.stdout_limit = bytes;
        self
    }

    /// Sets the same for the standard error. The default is 1 MiB.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let shell = Command::new("sh").args(["-c", "echo hello >&2"]).stderr_limit(2);
    /// assert_eq!(shell.on_excess(OnExcess::Truncate).run(&ctx)?.stderr, b"he");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stderr_limit(mut self, bytes: usize) -> Self {
        self.config.stderr_limit = bytes;
        self
    }

    /// Sets what is done about more than that. The default is to fail.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let echo = Command::new("echo").arg("hello").stdout_limit(2);
    /// let output = echo.on_excess(OnExcess::Truncate).run(&ctx)?;
    /// assert_eq!((&*output.stdout, output.stdout_excess), (&b"he"[..], 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_excess(mut self, what: OnExcess) -> Self {
        self.config.on_excess = what;
        self
    }

    /// Sets how long after the SIGTERM the SIGKILL comes, on the context's clock. The default is
    /// 2 s; zero kills at once; `Duration::MAX` waits for as long as it takes.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// use std::time::Duration;
    /// let soon = ctx.with_timeout(Duration::from_millis(5));
    /// let stubborn = Command::new("sh").args(["-c", "trap '' TERM; while :; do :; done"]);
    /// assert!(stubborn.grace(Duration::ZERO).run(&soon).unwrap_err().stop().is_some());
    /// ```
    pub fn grace(mut self, time: Duration) -> Self {
        self.config.grace = time;
        self
    }

    /// Runs it, and returns when it has ended.
    ///
    /// # Cancellation
    /// The group is told to end, killed after the grace, and reaped; what it had said by then is in the
    /// error. A child that had ended before the stop was noticed has succeeded.
    ///
    /// # Errors
    /// See [`ProcessError`]. A code other than 0 is none.
    ///
    /// ```
    /// # use ironsys::{Context, process::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let output = Command::new("sh").args(["-c", "exit 3"]).run(&ctx)?;
    /// assert_eq!(output.status.code(), Some(3)); // no error
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(self, ctx: &Context) -> Result<Output, ProcessError> {
        run::run(self, ctx, None)
    }

    /// Runs it, and gives every line to `f` as it comes, on this thread. While `f` is busy the child
    /// waits as soon as its pipe is full, and a stop is not noticed. Nothing is kept for the
    /// [`Output`].
    ///
    /// # Cancellation
    /// As for [`run`](Self::run).
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    ///
    /// # Panics
    /// With a panic of `f`; the group is killed and reaped before.
    ///
    /// ```
    /// use ironsys::{Context, process::{Command, Stream}};
    /// # fn main() -> Result<(), ironsys::process::ProcessError> {
    /// let (ctx, _cancel) = Context::root();
    /// let mut lines = Vec::new();
    /// let script = "echo one; echo two; echo oops >&2";
    /// Command::new("sh").args(["-c", script]).run_lines(&ctx, |line| {
    ///     if line.stream == Stream::Stdout {
    ///         lines.push(String::from_utf8_lossy(line.bytes).into_owned());
    ///     }
    /// })?;
    /// assert_eq!(lines, ["one", "two"]);
    /// # Ok(()) }
    /// ```
    pub fn run_lines(
        self,
        ctx: &Context,
        mut f: impl FnMut(Line<'_>),
    ) -> Result<Output, ProcessError> {
        run::run(self, ctx, Some(&mut f))
    }
}
