//! The job itself, as one flow. `--explain` shows how it is wired:
//!
//! ```text
//!   cut  ==>  read and parse, on every core, order kept  ==>  record, on the calling thread
//! ```
//!
//! The window bounds what is under way, and with it the memory; a slow stage slows down the others.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use ironsys::flow::{Flow, FlowError, Par};
use ironsys::{Context, Stop, channel};
use memchr::memchr_iter;

use crate::block::{BLOCK, Block};
use crate::input::{Reader, Source};
use crate::line;
use crate::progress::{Progress, say};
use crate::recorder::{Journal, Recorder};
use crate::totals::Totals;

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
    explain: bool,
    progress: &Progress,
) -> Result<(Totals, Journal), Error> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    // So many blocks that nobody waits for workers who finish out of order, or for a thread to wake up.
    let window = 16 * cores;
    // What has been recorded leaves its buffer for another block.
    let (free, spare) = channel::bounded(window);
    let reader = Reader::new(sources, spare.clone(), progress);
    let mut recorder = Recorder::new(sources, bad, progress);
    // One for each worker: it takes one for a block, and puts it back.
    let desks = (0..cores).map(|_| (Totals::with_room(room / cores), Vec::new()));
    let desks: Mutex<Vec<(Totals, Vec<u8>)>> = Mutex::new(desks.collect());
    let lock = || desks.lock().unwrap_or_else(PoisonError::into_inner);
    let flow = Flow::of(reader)
        .named("cut")
        .par_map(Par::workers(cores).window(window), |mut block| {
            let (mut totals, mut mine) = lock().pop().expect("one for each worker");
            let unread = block.unread.is_some();
            let buffer = || match std::mem::take(&mut mine) {
                none if none.is_empty() => spare.try_recv().unwrap_or_else(|_| vec![0; BLOCK]),
                mine => mine,
            };
            block.load(buffer, progress);
            parse(&mut block, &mut totals);
            if unread && block.bad.is_empty() {
                // Nobody wants to see the text again: the buffer stays, in this core's cache.
                mine = std::mem::take(&mut block.buffer);
            }
            lock().push((totals, mine));
            block
        })
        .named("parse");
    if explain {
        say(format_args!("the plan:\n{}", flow.explain()));
    }
    let recorded = flow.try_for_each(ctx, |block| {
        recorder.record(ctx, &block)?;
        if !block.buffer.is_empty() {
            let _ = free.try_send(block.buffer); // or enough are free
        }
        Ok::<_, Error>(())
    });
    recorded.map_err(FlowError::into_error)?;
    let mut all = Totals::default();
    lock().drain(..).for_each(|(totals, _)| all.merge(totals));
    Ok((all, recorder.finish()))
}

/// Counts the lines of a block, and notes the bad ones in it.
fn parse(block: &mut Block, totals: &mut Totals) {
    let (text, mut start) = (&block.buffer[..block.len], 0);
    let cut_off = !text.is_empty() && !text.ends_with(b"\n");
    for end in memchr_iter(b'\n', text).chain(cut_off.then_some(text.len())) {
        match line::parse(&text[start..end]) {
            Ok(line) if start < block.whole => totals.add(&line),
            _ => block.bad.push(start as u32),
        }
        block.lines += 1;
        start = end + 1;
    }
}
