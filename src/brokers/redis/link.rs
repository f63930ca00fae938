//! One connection. What ends a wait in it: the answer, the context, the server's time limit.
//!
//! 1. A stop shuts the socket down; whoever is blocked in it wakes at once.
//! 2. After an error, or when the context stopped while a call was under way, the link is done for:
//!    nobody knows what is still to come through it.

use crate::brokers::dial;
use crate::context::{Context, OnStop, Stop};
use crate::sync::Arc;
use crate::time::Clock;
use redis::{Cmd, ConnectionAddr, ErrorKind, Parser, Pipeline, RedisError, Value};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A call that has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl From<io::Error> for LinkError {
    fn from(e: io::Error) -> Self {
        LinkError::Redis(e.into())
    }
}

impl From<redis::ParsingError> for LinkError {
    fn from(e: redis::ParsingError) -> Self {
        LinkError::Redis(e.into())
    }
}

impl LinkError {
    /// Whether another try may do, without anybody changing anything.
    pub(super) fn is_passing(&self) -> bool {
        let LinkError::Redis(e) = self else { return false };
        e.kind() == ErrorKind::Io || e.code().is_some_and(|code| PASSING.contains(&code))
    }

    /// The code of what the server answered.
    pub(super) fn code(&self) -> Option<&str> {
        let LinkError::Redis(e) = self else { return None };
        e.code()
    }
}

/// A connection that works.
#[derive(Debug)]
pub(super) struct Link {
    socket: Arc<Socket>,
    parser: Parsing,
    timeout: Duration,
    is_broken: bool,
}

impl Link {
    /// Connects in `limit` for each address of the host; answers may take `timeout`.
    pub(super) fn open(
        ctx: &Context,
        addr: &ConnectionAddr,
        limit: Duration,
        timeout: Duration,
    ) -> io::Result<Link> {
        let socket = Arc::new(Socket::connect(ctx, addr, limit)?);
        socket.limit_writes(timeout)?;
        Ok(Link { socket, parser: Parsing(Parser::new()), timeout, is_broken: false })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// One command, one answer; a server's error is an error.
    pub(super) fn call(&mut self, ctx: &Context, cmd: &Cmd) -> Result<Value, LinkError> {
        self.call_for(ctx, cmd, Duration::ZERO)
    }

    /// Like `call`, for a command that may take `longer` by itself.
    pub(super) fn call_for(
        &mut self,
        ctx: &Context,
        cmd: &Cmd,
        longer: Duration,
    ) -> Result<Value, LinkError> {
        let mut answers = self.exchange(ctx, &cmd.get_packed_command(), 1, longer)?;
        Ok(answers.pop().unwrap_or_default().extract_error()?)
    }

    /// Commands in one go; the first error of the server's is the error.
    pub(super) fn pipeline(&mut self, ctx: &Context, pipe: &Pipeline) -> Result<(), LinkError> {
        let count = pipe.cmd_iter().count();
        for answer in self.exchange(ctx, &pipe.get_packed_pipeline(), count, Duration::ZERO)? {
            answer.extract_error()?;
        }
        Ok(())
    }

    /// Sends what is packed, and takes `count` answers as they are.
    pub(super) fn exchange(
        &mut self,
        ctx: &Context,
        packed: &[u8],
        count: usize,
        longer: Duration,
    ) -> Result<Vec<Value>, LinkError> {
        let hook = self.begin(ctx)?;
        let taken = self.take(ctx.clock(), packed, count, longer);
        drop(hook);
        // If it has not stopped by now, the hook is taken back and will never run.
        self.is_broken = taken.is_err() || ctx.is_stopped();
        match (taken, ctx.check()) {
            (Ok(answers), _) => Ok(answers),
            (Err(_), Err(stop)) => Err(stop.into()),
            (Err(e), Ok(())) => Err(e.into()),
        }
    }

    fn begin(&mut self, ctx: &Context) -> Result<OnStop, Stop> {
        ctx.check()?;
        let socket = self.socket.clone();
        Ok(ctx.on_stop(move |_| socket.shut()))
    }

    fn take(
        &mut self,
        clock: &Clock,
        packed: &[u8],
        count: usize,
        longer: Duration,
    ) -> Result<Vec<Value>, RedisError> {
        (&*self.socket).write_all(packed)?;
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let until = clock.now().checked_add(self.timeout.saturating_add(longer));
            let mut input = Input { socket: &self.socket, clock, until };
            answers.push(self.parser.0.parse_value(&mut input)?);
        }
        Ok(answers)
    }
}

/// A parser with a name for `Debug`.
struct Parsing(Parser);

impl std::fmt::Debug for Parsing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parser")
    }
}

/// The socket until one answer is there: also one that drips has to come in time.
struct Input<'a> {
    socket: &'a Socket,
    clock: &'a Clock,
    until: Option<Instant>,
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.until.map(|until| until.saturating_duration_since(self.clock.now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.limit_reads(left)?;
        let mut socket = self.socket;
        match socket.read(buf)? {
            0 if !buf.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    fn connect(ctx: &Context, addr: &ConnectionAddr, limit: Duration) -> io::Result<Socket> {
        match addr {
            ConnectionAddr::Tcp(host, port) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                for addr in (host.as_str(), *port).to_socket_addrs()? {
                    match dial::tcp(ctx, addr, limit) {
                        Ok(stream) => return Ok(Socket::Tcp(stream)),
                        Err(e) if ctx.is_stopped() => return Err(e),
                        Err(e) => last = e,
                    }
                }
                Err(last)
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => dial::unix(ctx, path, limit).map(Socket::Unix),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_read_timeout(limit),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.set_read_timeout(limit),
        }
    }

    fn limit_writes(&self, limit: Duration) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_write_timeout(Some(limit)),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.set_write_timeout(Some(limit)),
        }
    }

    /// Ends every read and write. A socket that is not connected any more says so; that is as good.
    fn shut(&self) {
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).read(buf),
            #[cfg(unix)]
            Socket::Unix(stream) => (&*stream).read(buf),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write(buf),
            #[cfg(unix)]
            Socket::Unix(stream) => (&*stream).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The codes of errors that go away by themselves. `NOGROUP`: a source makes its group when it connects.
const PASSING: &[&str] =
    &["LOADING", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "OOM", "MISCONF", "NOGROUP"];
