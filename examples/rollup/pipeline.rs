//! The job itself: one flow, and a ring of buffers. `--explain` shows the same as it is wired:
//!
//! ```text
//!   read  ==>  parse, on every core, order kept  ==>  record, on the calling thread
//!     ^                                                 |
//!     +------------------ free buffers -----------------+
//! ```
//!
//! There is a fixed number of buffers, so memory is bounded and a slow stage slows down the others.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use ironsys::flow::{Flow, FlowError, Par};
use ironsys::{Context, Stop, channel};
use memchr::memchr_iter;

use crate::input::{BLOCK, Block, Reader, Source};
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
    // So many that the reader can be ahead of workers who finish out of order.
    let buffers = 5 * cores + 2;
    let (free, taken) = channel::bounded(buffers);
    for _ in 0..buffers {
        let _ = free.try_send(vec![0; BLOCK]); // there is room for all
    }
    let mut reader = Reader::new(sources, taken, progress);
    let mut recorder = Recorder::new(sources, bad, progress);
    // One for each worker: it takes one for a block, and puts it back.
    let totals: Vec<_> = (0..cores).map(|_| Totals::with_room(room / cores)).collect();
    let totals = Mutex::new(totals);
    let lock = || totals.lock().unwrap_or_else(PoisonError::into_inner);
    let flow = Flow::generate(|ctx| reader.next(ctx))
        .named("read")
        .par_map(Par::workers(cores).window(buffers), |mut block| {
            let mut mine = lock().pop().expect("one for each worker");
            parse(&mut block, &mut mine);
            lock().push(mine);
            block
        })
        .named("parse");
    if explain {
        say(format_args!("the plan:\n{}", flow.explain()));
    }
    let recorded = flow.try_for_each(ctx, |block| {
        recorder.record(ctx, &block)?;
        let _ = free.try_send(block.buffer); // the reader may have ended
        Ok::<_, Error>(())
    });
    recorded.map_err(FlowError::into_error)?;
    let mut all = Totals::default();
    lock().drain(..).for_each(|totals| all.merge(totals));
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
