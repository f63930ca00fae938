//! The job itself: one reader, a parser per core, one recorder, and a ring of buffers.
//!
//! ```text
//!            blocks              parsed
//!   reader ----------> parsers ----------> recorder
//!      ^                  (locals, merged      |
//!      |                   when all is read)   |
//!      +---------------------------------------+
//!                  free buffers
//! ```
//!
//! There is a fixed number of buffers, so memory is bounded and a slow stage slows down the others.
//! Blocks are parsed in any order; the recorder puts them back in order and frees a buffer only then,
//! so what it holds back is bounded, too. Each channel has room for all buffers, so only a stage
//! without input waits, and there is always one with input: no deadlock.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;

use ironsys::channel::{self, Receiver, Sender};
use ironsys::{Context, Stop, scope};

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
    let (parsed_tx, parsed) = channel::bounded(buffers);
    for _ in 0..buffers {
        let _ = free_tx.try_send(Vec::with_capacity(BLOCK)); // there is room for all
    }
    scope(ctx, |s| {
        let _ = s.named("reader").spawn(move |ctx| {
            Reader { ctx, free, blocks: blocks_tx, progress, next_index: 0 }.run(sources);
            Ok(())
        });
        let mut parsers = Vec::new();
        for _ in 0..cores {
            let (blocks, parsed_tx) = (blocks.clone(), parsed_tx.clone());
            parsers.push(
                s.named("parser")
                    .spawn(move |ctx| parse_blocks(ctx, &blocks, &parsed_tx, room / cores)),
            );
        }
        drop((blocks, parsed_tx)); // now only tasks hold ends, so a channel closes with the last one
        let recorder = s
            .named("recorder")
            .spawn(move |ctx| Recorder::new(ctx, sources, bad, progress).run(&parsed, &free_tx));
        let mut totals = Totals::default();
        for parser in parsers {
            totals.merge(parser.join(s.ctx())?);
        }
        Ok((totals, recorder.join(s.ctx())?))
    })
}

/// The task of a parser: counts until there are no more blocks, or the context is stopped.
fn parse_blocks(
    ctx: &Context,
    blocks: &Receiver<Block>,
    done: &Sender<Parsed>,
    room: usize,
) -> Result<Totals, Error> {
    let mut totals = Totals::with_room(room);
    for block in blocks.iter(ctx) {
        let (mut lines, mut bad) = (0, Vec::new());
        let text = &block.text;
        let mut start = 0;
        while start < text.len() {
            let line = first_line(&text[start..]);
            match line::parse(line) {
                Ok(line) if block.spoiled.is_none() => totals.add(&line),
                _ => bad.push(start as u32),
            }
            lines += 1;
            start += line.len() + 1;
        }
        if done.send(ctx, Parsed { block, lines, bad }).is_err() {
            break;
        }
    }
    ctx.check()?;
    Ok(totals)
}
