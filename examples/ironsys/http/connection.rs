//! One connection: requests one after the other, each within its time.

use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ironsys::Context;
use ironsys::context::{Canceller, OnStop};
use ironsys::limit::Permit;
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags};

use super::body::Dechunk;
use super::head::{self, Framing, Head};
use super::response::{After, Date};
use super::server::{Handler, Limits, ServerStats};
use super::{Refused, Response};

/// What is read at a time.
pub(super) const CHUNK: usize = 16 * 1024;
/// Answers to pipelined requests are gathered up to this.
pub(super) const GATHER: usize = 64 * 1024;

pub(super) struct Connection<'a> {
    pub(super) ctx: Context,
    pub(super) socket: Arc<TcpStream>,
    peer: IpAddr,
    pub(super) limits: &'a Limits,
    pub(super) stats: &'a ServerStats,
    /// What has been read and not been answered.
    pub(super) buf: Vec<u8>,
    /// Answers that have not been sent.
    pub(super) out: Vec<u8>,
    pub(super) date: Date,
    /// The request whose head is here and whose body is not, or that needs a thread.
    begun: Option<(Head, Dechunk)>,
    /// How long a read waits, as the socket knows it.
    pub(super) patience: Duration,
    /// When it was looked at last.
    pub(super) since: Instant,
    _ends: (OnStop, Canceller),
    _room: Permit,
}

/// What a look at a connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// All is answered: it waits for the next request.
    Waits,
    /// Something has begun that needs a thread.
    Busy,
    /// It is to be closed.
    Over,
}

/// What comes of looking at what has been read.
pub(super) enum Next {
    /// A request has been answered; whether the connection goes on.
    Answered(bool),
    /// More must be read.
    More,
    /// It can be answered, and that may take waiting.
    Busy,
}

impl<'a> Connection<'a> {
    /// A connection with its place among the others, which ends with `ctx`.
    pub(super) fn new(
        ctx: &Context,
        stream: TcpStream,
        peer: IpAddr,
        room: Permit,
        limits: &'a Limits,
        stats: &'a ServerStats,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limits.request))?;
        let socket = Arc::new(stream);
        // Below it the requests get their deadlines: in a context that no other connection uses, they do
        // not meet in its lock.
        let (ctx, cancel) = ctx.with_cancel();
        let end = socket.clone();
        let ends = ctx.on_stop(move |_| drop(end.shutdown(Shutdown::Both)));
        stats.open.fetch_add(1, Ordering::SeqCst);
        Ok(Connection {
            ctx,
            socket,
            peer,
            limits,
            stats,
            buf: Vec::new(),
            out: Vec::with_capacity(1024),
            date: Date::default(),
            begun: None,
            patience: Duration::ZERO,
            since: Instant::now(),
            _ends: (ends, cancel),
            _room: room,
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Reads what has come, and answers what takes no waiting; after `last` nothing is kept.
    pub(super) fn look<H: Handler>(
        &mut self,
        handler: &H,
        chunk: &mut [u8],
        now: Instant,
        last: bool,
    ) -> Look {
        self.since = now;
        match net::recv(&*self.socket, &mut *chunk, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Look::Over,
            Ok((n, _)) => self.buf.extend_from_slice(&chunk[..n]),
            Err(Errno::AGAIN | Errno::INTR) if !last => return Look::Waits,
            Err(_) => return Look::Over,
        }
        while !last && !self.buf.is_empty() {
            match self.next(handler, None) {
                Ok(Next::Answered(true)) if self.out.len() < GATHER => {}
                // A refusal is found again by the thread.
                _ => return Look::Busy,
            }
        }
        if last {
            return Look::Busy;
        }
        match net::send(&*self.socket, &self.out, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(n) if n == self.out.len() => {
                self.out.clear();
                Look::Waits
            }
            Ok(n) => {
                self.out.drain(..n);
                Look::Busy
            }
            Err(Errno::AGAIN | Errno::INTR) => Look::Busy,
            Err(_) => Look::Over,
        }
    }

    /// Answers the first request in the buffer, if it is complete. Without `intake` only one that takes no
    /// waiting.
    pub(super) fn next<H: Handler>(
        &mut self,
        handler: &H,
        intake: Option<&Context>,
    ) -> Result<Next, Refused> {
        if self.begun.is_none() && self.buf == b"\r\n" {
            // Some clients send one line too many behind a body.
            self.buf.clear();
        }
        if self.buf.is_empty() {
            return Ok(Next::More);
        }
        let (head, mut chunks) = match self.begun.take() {
            Some(begun) => begun,
            None => match head::parse(&self.buf)? {
                Some(head) => (head, Dechunk::default()),
                None => return Ok(Next::More),
            },
        };
        if intake.is_none() && (head.framing != Framing::Length(0) || !head.keep_alive) {
            self.begun = Some((head, chunks));
            return Ok(Next::Busy);
        }
        let most = self.limits.body;
        let complete = match head.framing {
            Framing::Length(len) if len > most => {
                return Err(Refused::new(413, "the body is too large"));
            }
            Framing::Length(len) => {
                (self.buf.len() - head.len >= len).then_some((len, head.len + len))
            }
            Framing::Chunked => {
                let end = chunks.go_on(&mut self.buf, head.len, most)?;
                end.map(|end| (chunks.len, end))
            }
        };
        let Some((body, end)) = complete else {
            // Some clients wait for a word before they send the body.
            if head.expects && self.buf.len() == head.len {
                self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            self.begun = Some((head, chunks));
            return Ok(Next::More);
        };
        let (before, rest) = self.buf.split_at(head.len);
        let request = head.request(before, &rest[..body], self.peer)?;
        let answer = catch_unwind(AssertUnwindSafe(|| match intake {
            Some(_) => {
                let ctx = self.ctx.with_timeout(self.limits.request);
                Some(handler.answer(&ctx, &request))
            }
            None => handler.at_once(&request),
        }));
        let Some(answer) =
            answer.unwrap_or_else(|_| Some(Response::error(500, "the handler panicked")))
        else {
            self.begun = Some((head, chunks));
            return Ok(Next::Busy);
        };
        let keep_alive = head.keep_alive && !intake.is_some_and(Context::is_stopped);
        let after = match (keep_alive, head.newer) {
            (false, _) => After::Closed,
            (true, true) => After::Kept,
            (true, false) => After::KeptForOld,
        };
        answer.write(&mut self.out, &mut self.date, head.is_head(), after);
        self.buf.drain(..end);
        Ok(Next::Answered(keep_alive))
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.stats.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Says that there is no room, in whatever the socket takes at once.
pub(super) fn turn_away(stream: &TcpStream) {
    let mut out = Vec::new();
    let answer = Response::later(503, "too many connections", Duration::from_secs(1));
    answer.write(&mut out, &mut Date::default(), false, After::Closed);
    if stream.set_nonblocking(true).is_ok() {
        let _ = (&*stream).write(&out);
    }
    let _ = stream.shutdown(Shutdown::Write);
}
