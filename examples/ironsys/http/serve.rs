//! A connection on a thread of its own: what has begun is read to its end, answered and sent, and every wait
//! has its limit.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ironsys::Context;

use super::connection::{Connection, GATHER, Look, Next};
use super::response::After;
use super::server::Handler;
use super::{Refused, Response};

/// How long a thread that has answered waits for the connection's next request. A drain waits as long.
const STAY: Duration = Duration::from_millis(100);

impl Connection<'_> {
    /// Serves what has begun, with waiting; returns the connection when all is answered, or `None` when it is
    /// over.
    pub(super) fn run<H: Handler>(
        mut self,
        handler: &H,
        intake: &Context,
        chunk: &mut [u8],
    ) -> Option<Self> {
        let served = self.serve(handler, intake, chunk);
        if let Err(error) = &served
            && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            self.stats.cut.fetch_add(1, Ordering::Relaxed);
        }
        self.stats.left.fetch_add(u64::from(self.ctx.is_stopped()), Ordering::Relaxed);
        self.since = Instant::now();
        served.unwrap_or(false).then_some(self)
    }

    /// Serves until nothing is left to do (`true`) or there is a reason to close.
    fn serve<H: Handler>(
        &mut self,
        handler: &H,
        intake: &Context,
        chunk: &mut [u8],
    ) -> io::Result<bool> {
        // When the request in `buf` has to be here.
        let mut due = None;
        loop {
            match self.next(handler, Some(intake)) {
                Ok(Next::Answered(true)) => due = None,
                Ok(Next::Answered(false)) => {
                    self.flush()?;
                    self.linger();
                    return Ok(false);
                }
                Ok(Next::More | Next::Busy) => {
                    self.flush()?;
                    if self.buf.is_empty() {
                        match self.stay(intake, chunk)? {
                            Look::Busy => {
                                due = None;
                                continue;
                            }
                            look => return Ok(look == Look::Waits),
                        }
                    }
                    if !self.read(&mut due, handler, chunk)? {
                        return Ok(false);
                    }
                }
                Err(refused) => {
                    self.refuse(&refused, handler);
                    self.flush()?;
                    self.linger();
                    return Ok(false);
                }
            }
            if self.out.len() >= GATHER {
                self.flush()?;
            }
        }
    }

    /// Keeps the thread for the next request, if that comes soon: then it is not one of the watch's, in
    /// front of the limits.
    fn stay(&mut self, intake: &Context, chunk: &mut [u8]) -> io::Result<Look> {
        if intake.is_stopped() {
            return Ok(Look::Waits);
        }
        self.be_patient(STAY)?;
        match (&*self.socket).read(chunk) {
            Ok(0) => Ok(Look::Over),
            Ok(n) => {
                self.buf.extend_from_slice(&chunk[..n]);
                Ok(Look::Busy)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Look::Waits)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads more of what has begun; `false` at the end of what the client sends.
    fn read<H: Handler>(
        &mut self,
        due: &mut Option<Instant>,
        handler: &H,
        chunk: &mut [u8],
    ) -> io::Result<bool> {
        let now = Instant::now();
        let due = *due.get_or_insert(now + self.limits.request);
        let left = due.saturating_duration_since(now);
        if left.is_zero() {
            self.late(handler);
            return Err(ErrorKind::TimedOut.into());
        }
        self.be_patient(left)?;
        match (&*self.socket).read(chunk) {
            Ok(n) => {
                self.buf.extend_from_slice(&chunk[..n]);
                Ok(n > 0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => {
                if error.kind() == ErrorKind::WouldBlock {
                    self.late(handler);
                }
                Err(error)
            }
        }
    }

    fn be_patient(&mut self, time: Duration) -> io::Result<()> {
        if self.patience != time {
            self.socket.set_read_timeout(Some(time))?;
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
            match (&*self.socket).write(&self.out[sent..]) {
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
        let _ = self.socket.shutdown(Shutdown::Write);
        let until = Instant::now() + Duration::from_millis(500);
        let mut waste = [0; 4096];
        for _ in 0..256 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            match (&*self.socket).read(&mut waste) {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
    }
}
