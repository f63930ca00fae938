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
use crate::wait::{self, On, Place, Site, WaitKind, Waiter, key};
use std::collections::VecDeque;

/// A message that was taken.
pub(super) struct Sent<S: Session> {
    /// By whom, as waits name it.
    by: usize,
    /// Who has become ready, and has to be scheduled. Most are already, and cost no reference.
    ready: Option<(Then, Arc<Cell<S>>)>,
}

impl<S: Session> Sent<S> {
    fn new(then: Then, cell: Arc<Cell<S>>) -> Self {
        let by = key(&*cell);
        Sent { by, ready: (then != Then::Nothing).then_some((then, cell)) }
    }

    #[inline]
    fn to(then: Then, cell: &Arc<Cell<S>>) -> Self {
        Sent { by: key(&**cell), ready: (then != Then::Nothing).then(|| (then, cell.clone())) }
    }
}

/// A message that was offered: it was taken, or to whom it was offered, and what that did.
enum Offered<S: Session> {
    Sent(Sent<S>),
    Else(Arc<Cell<S>>, Pushed<S::Msg>),
}

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
        match self.offer(id, msg) {
            Ok(Offered::Sent(sent)) => Ok(sent),
            Ok(Offered::Else(cell, pushed)) => self.send_slow(ctx, cell, pushed, true),
            Err(msg) => Err(TellError::Closed(msg)),
        }
    }

    /// Schedules a session that a message has made ready.
    #[inline]
    pub(super) fn after(self: &Arc<Self>, sent: Sent<S>) {
        if let Some((then, cell)) = sent.ready {
            self.rouse(then, cell);
        }
    }

    /// Offers a message to the session with this id. If there is none, it is made with the message in
    /// its mailbox, so that the message cannot come too late for it. An error: the directory is closed.
    #[inline]
    fn offer(self: &Arc<Self>, id: &S::Id, msg: S::Msg) -> Result<Offered<S>, S::Msg> {
        let hash = self.directory.hash(id);
        let rank = self.rank(&msg);
        let entries = self.directory.entries(hash);
        if let Some(cell) = entries.find(id, hash) {
            return Ok(match self.push_ranked(cell, msg, rank) {
                Pushed::Taken(then, None) => Offered::Sent(Sent::to(then, cell)),
                pushed => Offered::Else(cell.clone(), pushed),
            });
        }
        drop(entries);
        self.offer_new(id, hash, msg, rank)
    }

    fn offer_new(
        self: &Arc<Self>,
        id: &S::Id,
        hash: u64,
        msg: S::Msg,
        rank: Option<i64>,
    ) -> Result<Offered<S>, S::Msg> {
        let own = self.shards.is_empty();
        let new = Arc::new(Cell::new(id.clone(), hash, own));
        let Pushed::Taken(_, None) = self.push_ranked(&new, msg, rank) else {
            unreachable!("a new mailbox has room for one")
        };
        let there = self.directory.find_or_insert(new.clone());
        if let Some((cell, true)) = there {
            let then = if own { Then::Call } else { Then::Schedule };
            return Ok(Offered::Sent(Sent::new(then, cell)));
        }
        // Somebody was faster, or it is over. Nobody else has seen the new one.
        let msg = new.with(|mail, _| mail.queue.remove(0)).expect("it was put there above");
        let Some((cell, _)) = there else { return Err(msg) };
        let pushed = self.push_ranked(&cell, msg, rank);
        Ok(Offered::Else(cell, pushed))
    }

    /// Sends to the session in this cell; `anew` if another one may take its place when it has ended.
    #[inline]
    pub(super) fn send(
        self: &Arc<Self>,
        ctx: Option<&Context>,
        cell: &Arc<Cell<S>>,
        msg: S::Msg,
        anew: bool,
    ) -> Result<Sent<S>, TellError<S::Msg>> {
        match self.push(cell, msg) {
            Pushed::Taken(then, None) => Ok(Sent::to(then, cell)),
            pushed => self.send_slow(ctx, cell.clone(), pushed, anew),
        }
    }

    #[cold]
    pub(super) fn send_slow(
        self: &Arc<Self>,
        ctx: Option<&Context>,
        mut cell: Arc<Cell<S>>,
        mut pushed: Pushed<S::Msg>,
        anew: bool,
    ) -> Result<Sent<S>, TellError<S::Msg>> {
        loop {
            let msg = match pushed {
                Pushed::Taken(then, victim) => {
                    if let Some(victim) = victim {
                        self.config.hooks.dead(&cell.id, Some(victim), Died::Overflow);
                    }
                    return Ok(Sent::new(then, cell));
                }
                Pushed::Full(msg) => match (ctx, &self.config.overflow) {
                    (Some(ctx), Overflow::Block) => {
                        pushed = self.wait_for_room(ctx, &cell, msg)?;
                        continue;
                    }
                    _ => return Err(TellError::Full(msg)),
                },
                Pushed::Gone(msg) if anew => msg,
                Pushed::Ending(msg) | Pushed::Gone(msg) => return Err(TellError::Ended(msg)),
                Pushed::Passivated(msg) => msg,
            };
            // Whoever meets a session that is gone takes it out of the directory.
            self.directory.retire(&cell);
            let msg = checked(ctx, msg)?;
            match self.offer(&cell.id, msg).map_err(TellError::Closed)? {
                Offered::Sent(sent) => return Ok(sent),
                Offered::Else(next, what) => (cell, pushed) = (next, what),
            }
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
        let site = site.on(On::Thing(key(&**cell)));
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
        let Sent { by: asked, ready } = send(make(reply))?;
        match ready {
            Some((Then::Schedule, cell)) if self.config.caller_runs => {
                worker::as_guest(self, || self.turn(&cell, &mut VecDeque::new()));
            }
            Some((then, cell)) => self.rouse(then, cell),
            None => {}
        }
        answer.spin();
        match answer.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(AskError::Dropped),
            // The message in hand would have to end first.
            Err(TryRecvError::Empty) if wait::serves(asked) => return Err(AskError::Itself),
            Err(TryRecvError::Empty) => worker::step_aside(),
        }
        answer.recv_from(ctx, &self.config.name, asked).map_err(|e| match e {
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
