//! The job itself, as a flow: blocks of lines are read, parsed on every core, and recorded in order.
//!
//! There is a fixed number of buffers, so memory is bounded and a slow stage slows down the others: the
//! reader waits for a free one, and the last stage frees it.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;

use ironsys::flow::{Flow, FlowError};
use ironsys::{Context, Stop, channel, scope};

use crate::input::{BLOCK, Block, Reader, Source};
use crate::line::{self, first_line};
use crate::progress::Progress;
use crate::recorder::{Journal, Recorder};
use crate::totals::Totals;

/// A block and what its parser found in it.
pub(crate) struct Parsed {
    pub(crate) block: Block,
    pub(crate) lines: u64,
    /// Where in the block bad lines start; `u32` because there may be one a byte.
    pub(crate) bad: Vec<u32>,
}

/// Why there are no totals. What is wrong with a source goes to the journal instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Stopped(#[from] Stop),
    #[error("--bad: {0}")]
    Bad(#[from] io::Error),
}

/// Totals the sources. `room` is the memory for keys in bytes; bad lines are copied to `bad`.
pub(crate) fn run(
    ctx: &Context,
    sources: &[Source],
    room: usize,
    bad: Option<File>,
    progress: &Progress,
) -> Result<(Totals, Journal), Error> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let buffers = 2 * cores + 2;
    let (free_tx, free) = channel::bounded(buffers);
    let (blocks_tx, blocks) = channel::bounded(buffers);
    let (totals_tx, totals) = channel::bounded(cores);
    for _ in 0..buffers {
        let _ = free_tx.try_send(Vec::with_capacity(BLOCK)); // there is room for all
    }
    for _ in 0..cores {
        let _ = totals_tx.try_send(Totals::with_room(room / cores));
    }
    let mut recorder = Recorder::new(ctx, sources, bad, progress);
    scope(ctx, |s| {
        s.named("reader").execute(move |ctx| {
            Reader { ctx, free, blocks: blocks_tx, progress }.run(sources);
            Ok(())
        });
        Flow::receiver(blocks)
            .par_map(cores, |block| {
                // A worker takes any of the totals, and puts them back: there is one for each worker.
                let mut totals = totals.try_recv().unwrap_or_default();
                let parsed = parse(block, &mut totals);
                let _ = totals_tx.try_send(totals);
                parsed
            })
            .named("parse")
            .try_for_each(s.ctx(), |parsed| {
                recorder.record(&parsed)?;
                let _ = free_tx.try_send(parsed.block.text); // the reader may have ended
                Ok(())
            })
            .map_err(FlowError::into_error)
    })?;
    let mut all = Totals::default();
    totals.drain().into_iter().for_each(|totals| all.merge(totals));
    Ok((all, recorder.finish()))
}

/// Counts the lines of a block that parse, and notes those that do not.
fn parse(block: Block, totals: &mut Totals) -> Parsed {
    let (mut lines, mut bad, mut start) = (0, Vec::new(), 0);
    while start < block.text.len() {
        let line = first_line(&block.text[start..]);
        match line::parse(line) {
            Ok(line) if block.spoiled.is_none() => totals.add(&line),
            _ => bad.push(start as u32),
        }
        lines += 1;
        start += line.len() + 1;
    }
    Parsed { block, lines, bad }
}
