//! The sessions with the longest turns: a short list, kept if the builder was told to.

use super::cell::Cell;
use super::model::Session;
use crate::sync::{Arc, Mutex};
use std::cmp::Reverse;
use std::time::Duration;

/// The longest turn of each of the few slowest sessions.
pub(super) struct Slowest<S: Session> {
    most: usize,
    /// Guards the list, in no order; a session is in it once, with the hash of its id.
    turns: Mutex<Vec<Turn<S::Id>>>,
}

struct Turn<I> {
    hash: u64,
    id: Arc<I>,
    took: Duration,
}

impl<S: Session> Slowest<S> {
    pub(super) fn new(most: usize) -> Self {
        Slowest { most, turns: Mutex::new(Vec::new()) }
    }

    /// A turn took so long.
    pub(super) fn note(&self, cell: &Cell<S>, took: Duration) {
        let turn = Turn { hash: cell.hash, id: Arc::new(cell.id.clone()), took };
        // What has to make room is dropped when the lock is free again.
        let left = {
            let mut turns = self.turns.lock();
            let its = turns.iter().position(|old| old.hash == turn.hash && old.id == turn.id);
            let full = turns.len() >= self.most;
            let shortest = || (0..turns.len()).min_by_key(|i| turns[*i].took);
            match its.or_else(|| if full { shortest() } else { None }) {
                Some(i) if turns[i].took < turn.took => {
                    Some(std::mem::replace(&mut turns[i], turn))
                }
                None if !full => {
                    turns.push(turn);
                    None
                }
                _ => Some(turn),
            }
        };
        drop(left);
    }

    /// The slowest first.
    pub(super) fn list(&self) -> Vec<(S::Id, Duration)> {
        // Ids are cloned when the lock is free again.
        let turns: Vec<_> =
            self.turns.lock().iter().map(|turn| (turn.id.clone(), turn.took)).collect();
        let mut turns: Vec<_> = turns.iter().map(|(id, took)| (S::Id::clone(id), *took)).collect();
        turns.sort_by_key(|(_, took)| Reverse(*took));
        turns
    }
}
