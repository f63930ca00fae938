//! The thread that writes: the only one that touches the sink.

use super::errors::Reason;
use super::ops::Next;
use super::state::{Shared, Task, Timer};
use crate::context::Context;
use crate::panics;
use crate::schedule::Backoff;
use crate::sync::{self, Arc, MODEL, catch_unwind};
use crate::wait::{Place, Site, WaitKind};
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

pub(super) type OnError = Box<dyn FnMut(&io::Error) + Send>;

/// When the timer is up; `None`: beyond the end of time.
type Due = Option<Instant>;

pub(super) struct Thread<W> {
    pub(super) shared: Arc<Shared>,
    pub(super) sink: W,
    pub(super) flush_every: Duration,
    pub(super) retry: Backoff,
    pub(super) on_error: Option<OnError>,
}

impl<W: Write> Thread<W> {
    /// Writes until the writer is closed, or has failed, or `ctx` stops; gives the sink back.
    pub(super) fn run(mut self, ctx: &Context) -> W {
        let mut hand = Vec::new();
        let mut due: Option<Due> = None;
        let site = Site::new(WaitKind::Work, Some(self.shared.name.clone()));
        let end = loop {
            if let Err(stop) = ctx.check() {
                break Err(Reason::Stopped(stop));
            }
            let timer = match due {
                None => Timer::Off,
                Some(None) => Timer::Runs,
                Some(Some(at)) if ctx.clock().now() < at => Timer::Runs,
                Some(Some(_)) => Timer::Up,
            };
            let shared = &self.shared;
            let mut op = Next { shared, hand: &mut hand, timer, place: Place::default() };
            let task = ctx.block_until(due.flatten(), site.clone(), &mut op);
            // What was done wins over a stop; what was only taken does not.
            let done = match ctx.check().and(task) {
                Err(stop) => Err(Reason::Stopped(stop)),
                Ok(None) => Ok(()), // It is time: look again.
                Ok(Some(Task::End)) => break Ok(()),
                Ok(Some(Task::Time)) => {
                    due = Some(ctx.clock().now().checked_add(self.flush_every));
                    Ok(())
                }
                Ok(Some(Task::Flush)) => self.flush(ctx, &mut due),
                Ok(Some(Task::Write { flush })) => match self.write(ctx, &mut hand) {
                    Ok(()) if flush => self.flush(ctx, &mut due),
                    out => out,
                },
            };
            if let Err(reason) = done {
                break Err(reason);
            }
        };
        if let Err(reason) = end {
            self.shared.with(|state, wakes| state.fail(reason, &hand, wakes));
        }
        panics::discard(self.on_error); // Its drop must not take the sink along.
        self.sink
    }

    /// Writes all of `hand` and leaves it empty; or leaves in it what was not written.
    fn write(&mut self, ctx: &Context, hand: &mut Vec<u8>) -> Result<(), Reason> {
        let mut at = 0;
        let mut out = Ok(());
        while out.is_ok() && at < hand.len() {
            let rest = &hand[at..];
            out = self
                .insist(ctx, |sink| match sink.write(rest)? {
                    0 => Err(ErrorKind::WriteZero.into()),
                    n if n > rest.len() => {
                        Err(io::Error::other("the sink says it took more than it was given"))
                    }
                    n => Ok(n),
                })
                .map(|n| {
                    at += n;
                    self.shared.with(|state, wakes| {
                        state.counts.sink_writes += 1;
                        state.wrote(n, wakes);
                    });
                });
        }
        hand.drain(..at);
        out
    }

    fn flush(&mut self, ctx: &Context, due: &mut Option<Due>) -> Result<(), Reason> {
        *due = None;
        let position = self.shared.with(|state, _| state.position());
        self.insist(ctx, |sink| sink.flush())?;
        self.shared.with(|state, wakes| {
            state.counts.sink_flushes += 1;
            state.flushed(position, wakes);
        });
        Ok(())
    }

    /// Calls the sink until it succeeds, or until the retries or the context come to an end.
    fn insist<R>(
        &mut self,
        ctx: &Context,
        mut call: impl FnMut(&mut W) -> io::Result<R>,
    ) -> Result<R, Reason> {
        let mut delays = self.retry.delays();
        loop {
            let since = if MODEL { None } else { Some(sync::time::now()) };
            let called = catch_unwind(|| call(&mut self.sink));
            let took = since.map_or(Duration::ZERO, |at| sync::time::now() - at);
            self.shared.with(|state, _| state.counts.in_sink += took);
            let error = match called {
                Ok(Ok(out)) => return Ok(out),
                Ok(Err(e)) if e.kind() == ErrorKind::Interrupted => {
                    ctx.check().map_err(Reason::Stopped)?;
                    continue;
                }
                Ok(Err(error)) => error,
                Err(payload) => {
                    let message = panics::message(&*payload).into();
                    panics::discard(payload);
                    return Err(Reason::Panicked(message));
                }
            };
            self.shared.with(|state, _| state.counts.sink_errors += 1);
            if let Some(on_error) = &mut self.on_error
                && let Err(payload) = catch_unwind(|| on_error(&error))
            {
                let text = panics::message(&*payload);
                panics::contain(|| log::error!("ironsys: on_error panicked: {text}"));
                panics::discard(payload);
            }
            let Some(delay) = delays.next() else { return Err(Reason::Io(Arc::new(error))) };
            ctx.sleep(delay).map_err(Reason::Stopped)?;
        }
    }
}
