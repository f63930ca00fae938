//! Putting many messages into mailboxes at once.
//!
//! With a million sessions most of what a message costs is waiting for memory: the place in the map, the
//! session. So a batch looks up some dozens of sessions in a row, and these waits overlap; and what has
//! become ready goes into each run queue together, with one lock and one wake-up.

use super::cell::{Cell, Pushed, Then};
use super::core::Core;
use super::errors::{TellError, Untold};
use super::model::Session;
use crate::context::Context;
use crate::sync::Arc;

/// So many sessions are looked up together.
const TOGETHER: usize = 32;

/// The sessions that a batch has made ready, by shard. The duty to schedule them is done at the latest
/// when this is dropped.
struct Ready<'a, S: Session> {
    core: &'a Arc<Core<S>>,
    shards: Vec<Vec<Arc<Cell<S>>>>,
}

impl<'a, S: Session> Ready<'a, S> {
    fn new(core: &'a Arc<Core<S>>) -> Self {
        Ready { core, shards: core.shards.iter().map(|_| Vec::new()).collect() }
    }

    #[inline]
    fn add(&mut self, then: Then, cell: Arc<Cell<S>>) {
        match then {
            Then::Nothing => {}
            Then::Schedule => self.shards[self.core.shard_of(&cell)].push(cell),
            Then::Call => self.core.rouse(then, cell),
        }
    }

    fn schedule(&mut self) {
        for (shard, cells) in self.shards.iter_mut().enumerate() {
            if !cells.is_empty() {
                self.core.enqueue_all(shard, cells);
            }
        }
    }
}

impl<S: Session> Drop for Ready<'_, S> {
    fn drop(&mut self) {
        self.schedule();
    }
}

impl<S: Session> Core<S> {
    pub(super) fn tell_all(
        self: &Arc<Self>,
        ctx: &Context,
        messages: Vec<(S::Id, S::Msg)>,
    ) -> Result<(), Untold<S::Id, S::Msg>> {
        let mut rest = messages.into_iter();
        let mut ready = Ready::new(self);
        let (mut hashes, mut cells) = (Vec::new(), Vec::new());
        while !rest.as_slice().is_empty() {
            if let Err(stop) = ctx.check() {
                let Some((id, msg)) = rest.next() else { break };
                let error = TellError::Stopped { msg, stop };
                return Err(Untold { id, error, rest: rest.collect() });
            }
            let next = rest.as_slice();
            let next = &next[..next.len().min(TOGETHER)];
            hashes.extend(next.iter().map(|(id, _)| self.directory.hash(id)));
            let find = |((id, _), hash): (&(S::Id, S::Msg), u64)| self.directory.find(id, hash);
            cells.extend(next.iter().zip(hashes.drain(..)).map(find));
            for (cell, (id, msg)) in cells.drain(..).zip(&mut rest) {
                if let Err(error) = self.tell_one(ctx, &mut ready, cell, &id, msg) {
                    return Err(Untold { id, error, rest: rest.collect() });
                }
            }
            ready.schedule();
        }
        Ok(())
    }

    #[inline]
    fn tell_one(
        self: &Arc<Self>,
        ctx: &Context,
        ready: &mut Ready<'_, S>,
        cell: Option<Arc<Cell<S>>>,
        id: &S::Id,
        msg: S::Msg,
    ) -> Result<(), TellError<S::Msg>> {
        let Some(cell) = cell else {
            ready.schedule(); // What comes may block.
            let sent = self.tell(Some(ctx), id, msg)?;
            self.after(sent);
            return Ok(());
        };
        let sent = match self.push(&cell, msg) {
            Pushed::Taken(then, None) => {
                ready.add(then, cell);
                return Ok(());
            }
            pushed => {
                ready.schedule();
                self.send_slow(Some(ctx), cell, pushed, true)?
            }
        };
        self.after(sent);
        Ok(())
    }
}
