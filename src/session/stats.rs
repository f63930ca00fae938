//! A manager at one moment.

use super::core::Core;
use super::model::Session;
use super::shards::Load;
use crate::observe::Ledger;
use crate::sync::Arc;

/// A manager at one moment. Made by [`Sessions::stats`](super::Sessions::stats).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// What became of the messages. Exact for each session, and so for all when nothing is under way.
    pub ledger: Ledger,
    /// Sessions in the directory: in memory, or on their way in or out.
    pub sessions: usize,
    /// Sessions whose state is in memory.
    pub live: usize,
    /// Threads at work for the manager, those that wait for work included.
    pub threads: usize,
    /// Messages in mailboxes.
    pub queued: u64,
    /// The most messages in one mailbox.
    pub deepest: usize,
    /// Restarts after failures, of sessions in memory and of those that were.
    pub restarts: u64,
    /// Each shard; empty if every session has a thread of its own.
    pub shards: Vec<Load>,
}

impl Stats {
    pub(super) fn of<S: Session>(core: &Arc<Core<S>>) -> Stats {
        let totals = core.directory.sum(|_, _| ());
        Stats {
            ledger: totals.ledger(),
            sessions: core.directory.len(),
            live: core.idlers.live(),
            threads: core.alive.count(),
            queued: totals.queued,
            deepest: totals.deepest,
            restarts: totals.restarts,
            shards: core.shards.iter().map(super::shards::Shard::load).collect(),
        }
    }
}

pub(super) fn deepest<S: Session>(core: &Arc<Core<S>>, n: usize) -> Vec<(S::Id, usize)> {
    let mut depths = Vec::new();
    core.directory.each(|cell| {
        let depth = cell.with(|mail, _| mail.queue.len());
        if depth > 0 {
            depths.push((cell.id.clone(), depth));
        }
    });
    depths.sort_by_key(|(_, depth)| std::cmp::Reverse(*depth));
    depths.truncate(n);
    depths
}
