//! One connection: requests one after the other, each within its time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ironsys::Context;

use super::body::Dechunk;
use super::head::{self, Framing, Head};
use super::response::{After, Date};
use super::server::{Handler, Limits, ServerStats};
use super::{Refused, Response};

/// What is read at a time.
const CHUNK: usize = 16 * 1024;
/// Answers to pipelined requests are gathered up to this.
const GATHER: usize = 64 * 1024;

pub(super) struct Connection<'a> {
    socket: Arc<Socket>,
    peer: IpAddr,
    limits: &'a Limits,
    stats: &'a ServerStats,
    /// Where a read puts what has come.
    chunk: Box<[u8]>,
    /// What has been read and not been answered.
    buf: Vec<u8>,
    /// Answers that have not been sent.
    out: Vec<u8>,
    date: Date,
    /// The request whose head is here and whose body is not.
    begun: Option<(Head, Dechunk)>,
    /// How long a read waits, as the socket knows it.
    patience: Duration,
}

struct Socket {
    stream: TcpStream,
    /// No request has begun: a drain may close it.
    idle: AtomicBool,
}

/// What comes of looking at what has been read.
enum Next {
    /// A request has been answered; whether the connection goes on.
    Answered(bool),
    /// More must be read.
    More,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        stream: TcpStream,
        peer: IpAddr,
        limits: &'a Limits,
        stats: &'a ServerStats,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limits.idle))?;
        stream.set_write_timeout(Some(limits.request))?;
        let socket = Arc::new(Socket { stream, idle: AtomicBool::new(true) });
        let (chunk, buf, out) = (vec![0; CHUNK].into(), Vec::new(), Vec::with_capacity(1024));
        let (date, patience) = (Date::default(), limits.idle);
        Ok(Connection { socket, chunk, peer, limits, stats, buf, out, date, begun: None, patience })
    }

    pub(super) fn run<H: Handler>(mut self, ctx: &Context, intake: &Context, handler: &H) {
        // Below it the requests get their deadlines: in a context that no other connection uses, they do
        // not meet in its lock.
        let (ctx, _cancel) = &ctx.with_cancel();
        let socket = self.socket.clone();
        let _ends = ctx.on_stop(move |_| drop(socket.stream.shutdown(Shutdown::Both)));
        let socket = self.socket.clone();
        let _drains = intake.on_stop(move |_| {
            if socket.idle.load(Ordering::SeqCst) {
                // What has arrived can be read even so.
                let _ = socket.stream.shutdown(Shutdown::Read);
            }
        });
        let ended = self.serve(ctx, intake, handler);
        if let Err(error) = ended
            && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            self.stats.cut.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Serves until there is a reason to close.
    fn serve<H: Handler>(
        &mut self,
        ctx: &Context,
        intake: &Context,
        handler: &H,
    ) -> io::Result<()> {
        // When the request in `buf` has to be here.
        let mut due = None;
        loop {
            match self.next(ctx, intake, handler) {
                Ok(Next::Answered(true)) => due = None,
                Ok(Next::Answered(false)) => {
                    self.flush()?;
                    self.linger();
                    return Ok(());
                }
                Ok(Next::More) => {
                    self.flush()?;
                    if !self.read(intake, &mut due, handler)? {
                        return Ok(());
                    }
                }
                Err(refused) => {
                    self.refuse(&refused, handler);
                    self.flush()?;
                    self.linger();
                    return Ok(());
                }
            }
            if self.out.len() >= GATHER {
                self.flush()?;
            }
        }
    }

    /// Answers the first request in the buffer, if it is complete.
    fn next<H: Handler>(
        &mut self,
        ctx: &Context,
        intake: &Context,
        handler: &H,
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
        let ctx = ctx.with_timeout(self.limits.request);
        let answer = catch_unwind(AssertUnwindSafe(|| handler.answer(&ctx, &request)));
        let answer = answer.unwrap_or_else(|_| Response::error(500, "the handler panicked"));
        let keep_alive = head.keep_alive && !intake.is_stopped();
        let after = match (keep_alive, head.newer) {
            (false, _) => After::Closed,
            (true, true) => After::Kept,
            (true, false) => After::KeptForOld,
        };
        answer.write(&mut self.out, &mut self.date, head.is_head(), after);
        self.buf.drain(..end);
        Ok(Next::Answered(keep_alive))
    }

    /// Reads some more; `false` at the end of what the client sends, or of the time it had.
    fn read<H: Handler>(
        &mut self,
        intake: &Context,
        due: &mut Option<Instant>,
        handler: &H,
    ) -> io::Result<bool> {
        let idle = self.buf.is_empty();
        if idle {
            self.socket.idle.store(true, Ordering::SeqCst);
            if intake.is_stopped() {
                return Ok(false);
            }
            self.be_patient(self.limits.idle)?;
        } else {
            let now = Instant::now();
            let due = *due.get_or_insert(now + self.limits.request);
            let left = due.saturating_duration_since(now);
            if left.is_zero() {
                self.late(handler);
                return Err(ErrorKind::TimedOut.into());
            }
            self.be_patient(left)?;
        }
        let read = (&self.socket.stream).read(&mut self.chunk);
        self.buf.extend_from_slice(&self.chunk[..*read.as_ref().unwrap_or(&0)]);
        if idle {
            self.socket.idle.store(false, Ordering::SeqCst);
        }
        match read {
            Ok(n) => Ok(n > 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) if !idle && error.kind() == ErrorKind::WouldBlock => {
                self.late(handler);
                Err(error)
            }
            // Nothing was asked: closing is no news.
            Err(error) if idle && error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn be_patient(&mut self, time: Duration) -> io::Result<()> {
        if self.patience != time {
            self.socket.stream.set_read_timeout(Some(time))?;
            self.patience = time;
        }
        Ok(())
    }

    fn late<H: Handler>(&mut self, handler: &H) {
        self.refuse(&Refused::new(408, "the request took too long to come"), handler);
        let _ = self.flush();
    }

    fn refuse<H: Handler>(&mut self, refused: &Refused, handler: &H) {
        handler.refused(refused);
        let answer = Response::error(refused.status, refused.why);
        let head = self.buf.starts_with(b"HEAD ");
        answer.write(&mut self.out, &mut self.date, head, After::Closed);
    }

    /// Sends all answers, within the time of a request.
    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let mut sent = 0;
        while sent < self.out.len() {
            match (&self.socket.stream).write(&self.out[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if sent < self.out.len() && began.elapsed() > self.limits.request {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        self.out.clear();
        // What was large once does not stay so.
        self.out.shrink_to(GATHER);
        self.buf.shrink_to(GATHER);
        Ok(())
    }

    /// Reads over what the client still sends, so that it gets to read the answer, but not for long.
    fn linger(&mut self) {
        let _ = self.socket.stream.shutdown(Shutdown::Write);
        let until = Instant::now() + Duration::from_millis(500);
        let mut waste = [0; 4096];
        for _ in 0..256 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.socket.stream.set_read_timeout(Some(left)).is_err() {
                return;
            }
            match (&self.socket.stream).read(&mut waste) {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
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
