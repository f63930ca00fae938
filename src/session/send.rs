//! Putting a message into a mailbox: the loop behind `tell`, `try_tell` and `ask`.

use super::cell::{Cell, Order, Phase, Pushed, Then};
use super::config::Died;
use super::core::Core;
use super::errors::{AskError, TellError};
use super::model::Session;
use super::worker;
use crate::channel::{self, Overflow, Reply, TryRecvError};
use crate::context::{Context, Op};
use crate::sync::Arc;
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::collections::VecDeque;

/// A message that was taken: by whom, and what follows.
type Sent<S> = (Arc<Cell<S>>, Then);

/// How often a message is offered to a session that is started for it, before its sender is told that
/// there is none.
const MAX_AGAIN: u32 = 16;

impl<S: Session> Core<S> {
    /// Sends to the session with this id, which is started if there is none.
    #[inline]
    pub(super) fn tell(
        self: &Arc<Self>,
        ctx: Option<&Context>,
        id: &S::Id,
        msg: S::Msg,
    ) -> Result<Sent<S>, TellError<S::Msg>> {
        let msg = checked(ctx, msg)?;
        match self.open(id) {
            Some(cell) => self.send(ctx, cell, msg, true),
            None => Err(TellError::Closed(msg)),
        }
    }

    /// Sends to the session in this cell; `anew` if another one may take its place when it has ended.
    #[inline]
    pub(super) fn send(
        self: &Arc<Self>,
        ctx: Option<&Context>,
        cell: Arc<Cell<S>>,
        msg: S::Msg,
        anew: bool,
    ) -> Result<Sent<S>, TellError<S::Msg>> {
        match self.push(&cell, msg) {
            Pushed::Taken(then, None) => Ok((cell, then)),
            pushed => self.send_slow(ctx, cell, pushed, anew),
        }
    }

    #[cold]
    fn send_slow(
        self: &Arc<Self>,
        ctx: Option<&Context>,
        mut cell: Arc<Cell<S>>,
        mut pushed: Pushed<S::Msg>,
        anew: bool,
    ) -> Result<Sent<S>, TellError<S::Msg>> {
        let mut again = 0;
        loop {
            let msg = match pushed {
                Pushed::Taken(then, victim) => {
                    if let Some(victim) = victim {
                        self.config.hooks.dead(&cell.id, Some(victim), Died::Overflow);
                    }
                    return Ok((cell, then));
                }
                Pushed::Full(msg) => match (ctx, &self.config.overflow) {
                    (Some(ctx), Overflow::Block) => {
                        pushed = self.wait_for_room(ctx, &cell, msg)?;
                        continue;
                    }
                    _ => return Err(TellError::Full(msg)),
                },
                // One that ends again and again before the message is in does not start at all.
                Pushed::Gone(msg) if anew && again < MAX_AGAIN => msg,
                Pushed::Ending(msg) | Pushed::Gone(msg) => return Err(TellError::Ended(msg)),
                Pushed::Passivated(msg) => msg,
            };
            // Whoever meets a session that is gone takes it out of the directory.
            self.directory.retire(&cell);
            let msg = checked(ctx, msg)?;
            let Some(next) = self.open(&cell.id) else { return Err(TellError::Closed(msg)) };
            cell = next;
            again += 1;
            pushed = self.push(&cell, msg);
        }
    }

    fn wait_for_room(
        self: &Arc<Self>,
        ctx: &Context,
        cell: &Arc<Cell<S>>,
        msg: S::Msg,
    ) -> Result<Pushed<S::Msg>, TellError<S::Msg>> {
        worker::step_aside();
        let site = Site::new(WaitKind::Send, Some(self.config.name.clone()));
        let capacity = self.config.mailbox;
        let mut op = Room { cell, msg: Some(msg), capacity, place: Place::default() };
        match (ctx.block(site, &mut op), op.msg) {
            (Ok(pushed), _) => Ok(pushed),
            (Err(stop), Some(msg)) => Err(TellError::Stopped { msg, stop }),
            (Err(_), None) => unreachable!("a message is given away only with success"),
        }
    }

    /// Waits for the answer to a question that was taken.
    pub(super) fn ask<T>(
        self: &Arc<Self>,
        ctx: &Context,
        make: impl FnOnce(Reply<T>) -> S::Msg,
        send: impl FnOnce(S::Msg) -> Result<Sent<S>, TellError<S::Msg>>,
    ) -> Result<T, AskError<S::Msg>> {
        let (reply, mut answer) = channel::oneshot();
        let (cell, then) = send(make(reply))?;
        if self.config.caller_runs && then == Then::Schedule {
            self.turn(&cell, &mut VecDeque::new());
        } else {
            self.then(then, &cell);
        }
        drop(cell);
        answer.spin();
        match answer.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(AskError::Dropped),
            Err(TryRecvError::Empty) => worker::step_aside(),
        }
        answer.recv(ctx).map_err(|e| match e {
            channel::AnswerError::Stopped(stop) => AskError::Stopped(stop),
            channel::AnswerError::Dropped => AskError::Dropped,
        })
    }
}

/// A stopped context takes nothing more.
#[inline]
fn checked<M>(ctx: Option<&Context>, msg: M) -> Result<M, TellError<M>> {
    match ctx.map(Context::check) {
        Some(Err(stop)) => Err(TellError::Stopped { msg, stop }),
        _ => Ok(msg),
    }
}

/// The wait for room in a mailbox.
struct Room<'a, S: Session> {
    cell: &'a Cell<S>,
    msg: Option<S::Msg>,
    capacity: usize,
    place: Place,
}

impl<S: Session> Op for Room<'_, S> {
    type Out = Pushed<S::Msg>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        self.cell.with(|mail, wakes| {
            let msg = self.msg.take()?;
            let out = match mail.phase {
                Phase::Gone => Pushed::Gone(msg),
                Phase::Passivated => Pushed::Passivated(msg),
                _ if mail.order >= Order::Drain => Pushed::Ending(msg),
                _ if mail.queue.len() < self.capacity => {
                    mail.push_past(msg, None);
                    Pushed::Taken(mail.rouse(), None)
                }
                _ => {
                    self.msg = Some(msg);
                    mail.enter_senders(&mut self.place, waiter);
                    return None;
                }
            };
            mail.leave_senders(&mut self.place, self.capacity, wakes);
            Some(out)
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        self.cell.with(|mail, wakes| mail.leave_senders(&mut self.place, self.capacity, wakes));
        None
    }
}
