//! The half of a source that commits.

use super::keep::Kept;
use super::source::{millis, to_source_error};
use super::source_builder::StreamSourceBuilder;
use crate::channel::{self, Publisher, Receiver};
use crate::context::Context;
use crate::durable::{Committer, SourceError};
use redis::cmd;
use std::collections::VecDeque;
use std::time::Duration;

/// A delivered entry: its position, and its number in the stream.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) position: u64,
    pub(super) id: String,
}

/// Acks entries of a stream, on a connection of its own. Made by
/// [`StreamSource::committer`](super::StreamSource).
#[derive(Debug)]
pub struct StreamCommitter {
    settings: StreamSourceBuilder,
    kept: Kept,
    taken: Receiver<Taken>,
    /// Heard of, and not acked; in order of their positions.
    open: VecDeque<Taken>,
    shown: Publisher<u64>,
}

impl StreamCommitter {
    pub(super) fn new(
        settings: &StreamSourceBuilder,
        taken: Receiver<Taken>,
        shown: Publisher<u64>,
    ) -> StreamCommitter {
        let kept = Kept::new(&settings.server, &settings.retry);
        StreamCommitter { settings: settings.clone(), kept, taken, open: VecDeque::new(), shown }
    }

    /// One that nothing was delivered to: the real one was taken before.
    pub(super) fn detached(settings: &StreamSourceBuilder) -> StreamCommitter {
        StreamCommitter::new(settings, channel::bounded(1).1, channel::watch(0).0)
    }

    fn hear(&mut self) {
        while let Ok(taken) = self.taken.try_recv() {
            self.open.push_back(taken);
        }
    }
}

impl Committer for StreamCommitter {
    fn commit(&mut self, ctx: &Context, position: u64) -> Result<(), SourceError> {
        self.hear();
        let upto = self.open.partition_point(|one| one.position <= position);
        let ids: Vec<_> = self.open.iter().take(upto).map(|one| one.id.clone()).collect();
        for some in ids.chunks(ACKS) {
            let ack = self.settings.ack(some);
            let done = self.kept.with(ctx, |link, _| link.call(ctx, &ack));
            done.map_err(to_source_error)?;
            self.open.drain(..some.len());
        }
        if !ids.is_empty() {
            self.shown.publish(position);
        }
        Ok(())
    }

    /// Makes them look as if they had been pending for long: the next member that looks takes them.
    fn hand_back(&mut self, positions: &[u64]) {
        self.hear();
        let undone = |one: &&Taken| positions.binary_search(&one.position).is_ok();
        let back: Vec<_> = self.open.iter().filter(undone).map(|one| &one.id).collect();
        if back.is_empty() {
            return;
        }
        let mut claim = cmd("XCLAIM");
        claim.arg(&self.settings.stream).arg(&self.settings.group).arg(&self.settings.consumer);
        claim.arg(0).arg(&back);
        claim.arg("IDLE").arg(millis(self.settings.claim_idle).saturating_add(1)).arg("JUSTID");
        let ctx = Context::root().0.with_timeout(HAND_BACK_TIME);
        // It is a courtesy: without it they are claimed later.
        if let Err(e) = self.kept.once(&ctx, |link, _| link.call(&ctx, &claim)) {
            log::debug!("ironsys: {} entries could not be handed back: {e}", positions.len());
        }
    }
}

/// So many at a time: Redis serves nobody else meanwhile.
const ACKS: usize = 1024;

/// How long a server that does not answer may hold up the end of a consumer.
const HAND_BACK_TIME: Duration = Duration::from_secs(1);
