//! A board: notes on a plane, changed by many, one change at a time.
//!
//! A change is answered when it is on disk, and the board takes the next one meanwhile: the store
//! answers. So a board that crashes or leaves memory comes back with every change that was answered.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use ironsys::bus::Bus;
use ironsys::channel::Reply;
use ironsys::durable::DiskStore;
use ironsys::session::{Cx, Restore, Session, Snapshot, StoreError};

use crate::codec;

/// What undo goes back at most.
const UNDO: usize = 32;
/// Notes on a board.
pub(crate) const NOTES: usize = 64;
/// What a board panics with.
pub(crate) const CRASH: &str = "somebody pressed the crash button";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    Put(u32, Note),
    Move(u32, i32, i32),
    Remove(u32),
}

/// A change that is on disk: the board's count of changes, and the sum over all of them in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) trail: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no note {0}")]
    NoNote(u32),
    #[error("there are {NOTES} notes already")]
    Full,
    #[error("there is nothing to undo")]
    NothingToUndo,
    #[error(transparent)]
    NotSaved(#[from] StoreError),
}

pub(crate) enum Msg {
    Edit(Edit, Reply<Result<Change, Refused>>),
    Undo(Reply<Result<Change, Refused>>),
    /// How many notes there are.
    View(Reply<usize>),
    Crash,
}

/// What all boards use; they find it in their context.
pub(crate) struct Office {
    pub(crate) store: Arc<DiskStore<u32>>,
    /// Every change of a board, for those who watch it.
    pub(crate) changes: Bus<u32, Change>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Board {
    pub(crate) version: u64,
    pub(crate) trail: u64,
    pub(crate) notes: BTreeMap<u32, Note>,
    pub(crate) undo: VecDeque<Edit>,
}

impl Board {
    /// Does it and returns what would undo it.
    fn apply(&mut self, edit: Edit) -> Result<Edit, Refused> {
        Ok(match edit {
            Edit::Put(id, _) if self.notes.len() >= NOTES && !self.notes.contains_key(&id) => {
                return Err(Refused::Full);
            }
            Edit::Put(id, note) => match self.notes.insert(id, note) {
                Some(before) => Edit::Put(id, before),
                None => Edit::Remove(id),
            },
            Edit::Move(id, x, y) => {
                let note = self.notes.get_mut(&id).ok_or(Refused::NoNote(id))?;
                let before = Edit::Move(id, note.x, note.y);
                (note.x, note.y) = (x, y);
                before
            }
            Edit::Remove(id) => Edit::Put(id, self.notes.remove(&id).ok_or(Refused::NoNote(id))?),
        })
    }

    fn edit(&mut self, edit: Edit) -> Result<(), Refused> {
        let text = codec::edit(&edit);
        let back = self.apply(edit)?;
        self.undo.push_back(back);
        if self.undo.len() > UNDO {
            self.undo.pop_front();
        }
        self.count(&text);
        Ok(())
    }

    fn go_back(&mut self) -> Result<(), Refused> {
        let back = self.undo.pop_back().ok_or(Refused::NothingToUndo)?;
        let text = codec::edit(&back);
        self.apply(back)?;
        self.count(&text);
        Ok(())
    }

    /// One more change; the trail is FNV-1a over all of them.
    fn count(&mut self, text: &str) {
        self.version += 1;
        let mix = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.trail = text.bytes().fold(self.trail ^ self.version, mix);
    }

    /// Answers when the change is on disk, and tells those who watch.
    fn keep(&self, reply: Reply<Result<Change, Refused>>, cx: &Cx<'_, Self>) {
        let id = *cx.id();
        let change = Change { version: self.version, trail: self.trail };
        let ctx = cx.context().clone();
        let answer = move |saved: Result<(), StoreError>| {
            if saved.is_ok()
                && let Some(office) = ctx.value::<Office>()
            {
                let _ = office.changes.try_publish(&id, change); // who is too slow misses it
            }
            let _ = reply.send(saved.map(|()| change).map_err(Refused::from));
        };
        if let Some(office) = cx.context().value::<Office>() {
            // Without room in the store's queue the board waits, and so do those who ask it.
            let _ = office.store.save_then(cx.context(), &id, &codec::snapshot(self), answer);
        }
    }
}

impl Session for Board {
    type Id = u32;
    type Msg = Msg;
    type Error = Infallible;

    fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Infallible> {
        Ok(Board::default())
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<'_, Self>) -> Result<(), Infallible> {
        let (done, reply) = match msg {
            Msg::Edit(edit, reply) => (self.edit(edit), reply),
            Msg::Undo(reply) => (self.go_back(), reply),
            Msg::View(reply) => {
                let _ = reply.send(self.notes.len());
                return Ok(());
            }
            Msg::Crash => panic!("{CRASH}"),
        };
        match done {
            Ok(()) => self.keep(reply, cx),
            Err(refused) => drop(reply.send(Err(refused))),
        }
        Ok(())
    }

    fn save(&self) -> Option<Snapshot> {
        Some(codec::snapshot(self))
    }

    fn restore(
        _: &u32,
        snapshot: Snapshot,
        _: &mut Cx<'_, Self>,
    ) -> Result<Self, Restore<Infallible>> {
        codec::board(&snapshot).map_err(Restore::Corrupt)
    }
}
