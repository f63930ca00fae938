//! Takes note of what does not go into the totals: lines, bad lines, and sources that failed.
//!
//! Blocks arrive in order, which makes the number of a line a matter of counting.

use std::fs::File;
use std::io::{BufWriter, Write};

use ironsys::Context;
use memchr::memchr_iter;

use crate::block::{Block, TOO_LONG};
use crate::input::Source;
use crate::line::{self, first_line};
use crate::pipeline::Error;
use crate::progress::Progress;

/// Bytes of a bad line that are kept.
const KEPT: usize = 4096;
/// Bad lines that are shown to the user at the end.
const SHOWN: usize = 3;

/// What there is to say about the input beside the totals.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) lines: u64,
    pub(crate) bad: u64,
    /// The first few bad lines, as `file:line: reason`.
    pub(crate) examples: Vec<String>,
    /// Sources that could not be read to their end, or hold no log at all.
    pub(crate) errors: Vec<String>,
}

#[derive(Clone, Default)]
struct Tally {
    lines: u64,
    bad: u64,
    /// Where the first line is that was too long.
    too_long: Option<u64>,
    /// It has been said why it cannot be read.
    failed: bool,
}

/// Sees every block once, in order.
pub(crate) struct Recorder<'a> {
    sources: &'a [Source],
    bad: Option<BufWriter<File>>,
    /// One for each source.
    tallies: Vec<Tally>,
    journal: Journal,
    progress: &'a Progress,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(sources: &'a [Source], bad: Option<File>, progress: &'a Progress) -> Self {
        let (bad, tallies) = (bad.map(BufWriter::new), vec![Tally::default(); sources.len()]);
        Recorder { sources, bad, tallies, journal: Journal::default(), progress }
    }

    /// Takes note of the next block in order.
    pub(crate) fn record(&mut self, ctx: &Context, block: &Block) -> Result<(), Error> {
        let source = &self.sources[block.source];
        let tally = &mut self.tallies[block.source];
        let (mut number, mut at) = (tally.lines + 1, 0);
        for start in block.bad.iter().map(|&start| start as usize) {
            ctx.check()?; // there may be a million bad lines in a block
            number += memchr_iter(b'\n', &block.text()[at..start]).count() as u64;
            at = start;
            let text = first_line(&block.text()[at..]);
            let spoiled = (at >= block.whole).then_some(block.spoiled);
            let reason = spoiled.or(line::parse(text).err()).unwrap_or("bad line");
            if reason == TOO_LONG {
                tally.too_long.get_or_insert(number);
            }
            let place = format_args!("{source}:{number}: {reason}");
            if self.journal.examples.len() < SHOWN {
                self.journal.examples.push(place.to_string());
            }
            if let Some(out) = &mut self.bad {
                write!(out, "{place}: ")?;
                out.write_all(&text[..text.len().min(KEPT)])?;
                out.write_all(if text.len() > KEPT { b" ...\n" } else { b"\n" })?;
            }
        }
        if let Some(out) = self.bad.as_mut().filter(|_| !block.bad.is_empty()) {
            out.flush()?; // so that nothing is lost if the job is interrupted
        }
        tally.lines += block.lines;
        tally.bad += block.bad.len() as u64;
        self.progress.recorded(block.lines, block.bad.len() as u64);
        // Of a plain file other workers read on.
        if let Some(fault) = &block.fault
            && !std::mem::replace(&mut tally.failed, true)
        {
            let error = match tally.lines {
                0 => format!("{source}: {fault}"),
                lines => format!("{source}: after line {lines}: {fault}; what was read is counted"),
            };
            self.journal.errors.push(error);
        }
        Ok(())
    }

    /// Sums up, when every block has been recorded.
    pub(crate) fn finish(mut self) -> Journal {
        for (source, tally) in self.sources.iter().zip(&self.tallies) {
            self.journal.lines += tally.lines;
            self.journal.bad += tally.bad;
            if let Some(number) = tally.too_long {
                let error = format!("{source}:{number}: {TOO_LONG}; only a part of it was read");
                self.journal.errors.push(error);
            }
            if tally.lines > 0 && tally.lines == tally.bad {
                self.journal.errors.push(format!("{source}: not an access log: no line parses"));
            }
        }
        self.journal
    }
}
