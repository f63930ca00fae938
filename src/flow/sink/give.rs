//! Everything out of the flow: into a channel, or a writer.

use super::super::cx::Cx;
use super::super::error::FlowError;
use super::super::fault::{Fails, Fault, Joins};
use super::super::handle::Flow;
use super::super::stage::{ErrorOf, Pull, Stage, Step};
use crate::channel::{SendError, Sender};
use crate::context::Context;
use std::io::{self, Write};

/// How sending a flow into a channel went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent<T> {
    /// How many items were sent.
    pub count: u64,
    /// The item that found the channel closed; `None` if the flow came to its end.
    pub undelivered: Option<T>,
}

/// The error of a flow whose sink writes.
pub type WriteErrorOf<S> = <<<S as Stage>::Fault as Joins<Fails<io::Error>>>::Both as Fault>::Error;

impl<S: Stage> Flow<S> {
    /// Runs the flow and sends its items into a channel, waiting while that is full. Ends early when
    /// the channel is closed, and hands back the item that was not sent. The channel stays open.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold).
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(8);
    /// assert_eq!(Flow::of(0..3).send_to(&ctx, &tx)?.count, 3);
    /// assert_eq!(rx.drain(), [0, 1, 2]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn send_to(
        self,
        ctx: &Context,
        channel: &Sender<S::Item>,
    ) -> Result<Sent<S::Item>, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "send_to", |pull, cx, at| {
            loop {
                match pull.step(cx)? {
                    Step::Item(item) => match channel.send(&cx.ctx, item) {
                        Ok(()) => {
                            at.item += 1;
                            cx.delivered(at.item);
                        }
                        Err(SendError::Stopped { stop, .. }) => return Err(Cx::halt(stop)),
                        Err(refused) => {
                            let undelivered = Some(refused.into_inner());
                            return Ok(Sent { count: at.item, undelivered });
                        }
                    },
                    Step::Wait => pull.wait(cx, None)?,
                    Step::End => return Ok(Sent { count: at.item, undelivered: None }),
                }
            }
        })
    }

    /// Runs the flow and writes its items to `writer`, which is flushed whenever no item is there, and
    /// at the end. Returns how many bytes were written.
    ///
    /// # Cancellation
    /// Looked at before each item. A write that blocks holds the run up.
    ///
    /// # Errors
    /// The first failure of any stage, or of `writer`: with the index of the item, an `io::Error` if
    /// the flow could not fail before, else converted as with `?`.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError}};
    /// # fn main() -> Result<(), FlowError<std::io::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let mut out = Vec::new();
    /// let lines = Flow::of(1..4).map(|n| format!("{n}\n"));
    /// assert_eq!(lines.write_to(&ctx, &mut out)?, 6);
    /// assert_eq!(out, b"1\n2\n3\n");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn write_to<W>(
        self,
        ctx: &Context,
        writer: &mut W,
    ) -> Result<u64, FlowError<WriteErrorOf<S>>>
    where
        W: Write + ?Sized,
        S::Item: AsRef<[u8]>,
        S::Fault: Joins<Fails<io::Error>>,
    {
        let before = |raise: super::super::raise::Raise<WriteErrorOf<S>>| {
            raise.convert(<S::Fault as Joins<Fails<io::Error>>>::left)
        };
        self.run_as(ctx, "write_to", before, |pull, cx, at, raise| {
            let raise = raise.clone().convert(<S::Fault as Joins<Fails<io::Error>>>::right);
            let mut bytes = 0;
            loop {
                let out = match pull.step(cx)? {
                    Step::Item(item) => {
                        let out = at.call(cx, || {
                            let item = item.as_ref();
                            bytes += item.len() as u64;
                            writer.write_all(item)
                        });
                        if out.is_ok() {
                            at.item += 1;
                            cx.delivered(at.item);
                        }
                        out.map(|()| false)
                    }
                    Step::Wait => {
                        let out = at.call(cx, || writer.flush());
                        if out.is_ok() {
                            pull.wait(cx, None)?;
                        }
                        out.map(|()| false)
                    }
                    Step::End => at.call(cx, || writer.flush()).map(|()| true),
                };
                match out {
                    Ok(false) => {}
                    Ok(true) => return Ok(bytes),
                    Err(error) => return Err(raise.error(at, cx, error)),
                }
            }
        })
    }
}
