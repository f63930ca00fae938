//! The loop: one `poll` for everything that can happen.
//!
//! The order of what is looked at does not matter, since every state is looked at again each time
//! round: a wake-up is never the only trace of what it tells.

use super::command::{Command, Config};
use super::group::Group;
use super::intake::{Intake, Look, OnLine};
use super::output::{OnExcess, Output, ProcessError, Stream};
use crate::context::{Context, OnStop, Stop};
use crate::sync::Arc;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::process::Signal;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

pub(super) fn run(
    mut command: Command,
    ctx: &Context,
    on_line: OnLine<'_>,
) -> Result<Output, ProcessError> {
    ctx.check().map_err(ProcessError::NotStarted)?;
    let Command { program, inner, stdin, config } = &mut command;
    inner.stdout(Stdio::piped()).stderr(Stdio::piped());
    inner.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let group = Group::spawn(inner);
    let group = group.map_err(|source| ProcessError::Spawn { program: program.clone(), source })?;
    let wake = Wake::new().map_err(|e| ProcessError::io("eventfd", e))?;
    let run = Run::new(group, stdin.take(), *config, on_line, wake);
    run.map_err(|e| ProcessError::io("fcntl", e))?.run(ctx)
}

struct Run<'a> {
    stdout: Intake,
    stderr: Intake,
    stdin: Option<Feed>,
    config: Config,
    on_line: OnLine<'a>,
    wake: Wake,
    /// Why it is to end, and the time it has for that.
    ending: Option<(Stop, Context, OnStop)>,
    /// Last, so that the pipes are closed before it is waited for.
    group: Group,
}

/// What is left to be written to the child.
struct Feed {
    pipe: OwnedFd,
    bytes: Vec<u8>,
    done: usize,
}

/// What happened.
struct Ready {
    ended: bool,
    stdout: bool,
    stderr: bool,
    stdin: bool,
}

impl<'a> Run<'a> {
    fn new(
        mut group: Group,
        stdin: Option<Vec<u8>>,
        config: Config,
        on_line: OnLine<'a>,
        wake: Wake,
    ) -> io::Result<Self> {
        let child = &mut group.child;
        let stdout = Intake::new(Stream::Stdout, child.stdout.take(), config.stdout_limit)?;
        let stderr = Intake::new(Stream::Stderr, child.stderr.take(), config.stderr_limit)?;
        let mut feed = None;
        if let (Some(bytes), Some(pipe)) = (stdin, child.stdin.take()) {
            let pipe = OwnedFd::from(pipe);
            ioctl_fionbio(&pipe, true)?;
            feed = Some(Feed { pipe, bytes, done: 0 });
        }
        Ok(Run { stdout, stderr, stdin: feed, config, on_line, wake, ending: None, group })
    }

    fn run(mut self, ctx: &Context) -> Result<Output, ProcessError> {
        let _hook = self.wake.on_stop(ctx);
        loop {
            if self.stdin.as_ref().is_some_and(|feed| feed.done == feed.bytes.len()) {
                self.stdin = None; // The child reads to the end.
            }
            let ready = self.wait().map_err(|e| ProcessError::io("poll", e))?;
            if ready.ended {
                return self.finish();
            }
            self.obey(ctx);
            let Run { stdout, stderr, on_line, .. } = &mut self;
            for (ready, intake) in [(ready.stdout, stdout), (ready.stderr, stderr)] {
                if ready {
                    intake.look(on_line).map_err(|e| ProcessError::io("read", e))?;
                }
            }
            // What came first counts: one that is ended already says so.
            if let Some(stream) = self.excess().filter(|_| self.ending.is_none()) {
                return self.fail(stream);
            }
            if ready.stdin {
                self.feed().map_err(|e| ProcessError::io("write", e))?;
            }
        }
    }

    /// Sleeps until something happens.
    fn wait(&self) -> io::Result<Ready> {
        let (input, output) = (PollFlags::IN, PollFlags::OUT);
        let mut fds = vec![PollFd::new(&self.group.ended, input), PollFd::new(&self.wake.0, input)];
        let mut add = |fd: Option<_>, flags| {
            let at = fds.len();
            fd.map(|fd| fds.push(PollFd::from_borrowed_fd(fd, flags))).map(|()| at)
        };
        let stdout = add(self.stdout.fd(), input);
        let stderr = add(self.stderr.fd(), input);
        let stdin = add(self.stdin.as_ref().map(|feed| feed.pipe.as_fd()), output);
        while let Err(e) = poll(&mut fds, None) {
            if e != Errno::INTR {
                return Err(e.into());
            }
        }
        let is = |at: Option<usize>| at.is_some_and(|at| !fds[at].revents().is_empty());
        self.wake.clear();
        Ok(Ready { ended: is(Some(0)), stdout: is(stdout), stderr: is(stderr), stdin: is(stdin) })
    }

    /// Ends the group, in two steps, if the context says so.
    fn obey(&mut self, ctx: &Context) {
        match &self.ending {
            None => {
                let Err(stop) = ctx.check() else { return };
                self.group.signal(Signal::TERM);
                let grace = ctx.shielded(self.config.grace);
                let hook = self.wake.on_stop(&grace);
                self.stdin = None;
                self.ending = Some((stop, grace, hook));
            }
            Some((_, grace, _)) if grace.is_stopped() => self.group.signal(Signal::KILL),
            Some(_) => {}
        }
    }

    fn feed(&mut self) -> io::Result<()> {
        let Some(feed) = &mut self.stdin else { return Ok(()) };
        match write(&feed.pipe, &feed.bytes[feed.done..]) {
            Ok(done) => feed.done += done,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::PIPE) => self.stdin = None, // It does not want more.
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    fn excess(&self) -> Option<Stream> {
        match self.config.on_excess {
            OnExcess::Truncate => None,
            OnExcess::Fail if self.stdout.excess > 0 => Some(Stream::Stdout),
            OnExcess::Fail => (self.stderr.excess > 0).then_some(Stream::Stderr),
        }
    }

    /// The child has ended: its group is killed, and what is in the pipes is read. That is bounded,
    /// also if somebody who got away writes on.
    fn finish(mut self) -> Result<Output, ProcessError> {
        let status = self.group.reap().map_err(|e| ProcessError::io("wait", e))?;
        for intake in [&mut self.stdout, &mut self.stderr] {
            let mut left = LARGEST_PIPE;
            while let Look::Bytes(got) =
                intake.look(&mut self.on_line).map_err(|e| ProcessError::io("read", e))?
            {
                left = left.saturating_sub(got);
                if left == 0 {
                    break;
                }
            }
            intake.finish(&mut self.on_line);
        }
        match (self.ending.take(), self.excess()) {
            (Some((stop, ..)), _) => {
                Err(ProcessError::Stopped { stop, output: Box::new(self.output(status)) })
            }
            (None, Some(stream)) => self.fail_with(stream, status),
            (None, None) => Ok(self.output(status)),
        }
    }

    fn fail(mut self, stream: Stream) -> Result<Output, ProcessError> {
        let status = self.group.reap().map_err(|e| ProcessError::io("wait", e))?;
        self.fail_with(stream, status)
    }

    fn fail_with(
        self,
        stream: Stream,
        status: std::process::ExitStatus,
    ) -> Result<Output, ProcessError> {
        let limit = match stream {
            Stream::Stdout => self.config.stdout_limit,
            Stream::Stderr => self.config.stderr_limit,
        };
        Err(ProcessError::Excess { stream, limit, output: Box::new(self.output(status)) })
    }

    fn output(mut self, status: std::process::ExitStatus) -> Output {
        let (stdout_excess, stderr_excess) = (self.stdout.excess, self.stderr.excess);
        let stdout = std::mem::take(&mut self.stdout.kept);
        let stderr = std::mem::take(&mut self.stderr.kept);
        Output { status, stdout, stderr, stdout_excess, stderr_excess }
    }
}

/// Wakes the loop from other threads.
struct Wake(Arc<OwnedFd>);

impl Wake {
    fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Wake(Arc::new(fd)))
    }

    fn on_stop(&self, ctx: &Context) -> OnStop {
        let fd = self.0.clone();
        ctx.on_stop(move |_| {
            // It fails only if it is full of wake-ups.
            let _ = write(&*fd, &1_u64.to_ne_bytes());
        })
    }

    fn clear(&self) {
        let _ = read(&*self.0, &mut [0; 8]); // Or it was not written.
    }
}

/// What may be in a pipe that nobody writes to any more.
const LARGEST_PIPE: usize = 1 << 20;
