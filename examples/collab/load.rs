//! People at their boards: threads that ask, as fast as they are answered.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ironsys::session::{AskError, Sessions};
use ironsys::{Context, Stop};

use crate::board::{Board, Change, Edit, Msg, Note, Refused};
use crate::say;

/// One of so many messages is the crash button.
const CRASHES: u64 = 4_000;

/// What came of the load, counted by all its threads.
#[derive(Default)]
pub(crate) struct Counts {
    /// Changes that were answered, so they are on disk.
    pub(crate) changes: AtomicU64,
    /// Changes that a board would not make.
    pub(crate) refused: AtomicU64,
    pub(crate) views: AtomicU64,
    pub(crate) crashes: AtomicU64,
    /// Questions that were lost with a board that crashed. The change may or may not be on disk.
    pub(crate) unanswered: AtomicU64,
    /// Changes that could not be saved, and were answered so.
    pub(crate) unsaved: AtomicU64,
    pub(crate) latency: Histogram,
}

/// Waiting times in microseconds, to within an eighth.
pub(crate) struct Histogram([AtomicU64; 256]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([const { AtomicU64::new(0) }; 256])
    }
}

impl Histogram {
    fn add(&self, us: u64) {
        let us = us.max(1);
        let log = us.ilog2();
        let eighth = (us << 3 >> log) & 7;
        self.0[(log as usize * 8 + eighth as usize).min(255)].fetch_add(1, Relaxed);
    }

    /// What so large a part of all waited at most, in microseconds.
    pub(crate) fn quantile(&self, part: f64) -> u64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * part).ceil() as u64;
        let mut sum = 0;
        let at = counts.iter().position(|count| {
            sum += count;
            sum >= wanted.max(1)
        });
        at.map_or(0, |at| (8 + at as u64 % 8 + 1) << (at / 8) >> 3)
    }
}

pub(crate) struct Load<'a> {
    pub(crate) boards: Sessions<Board>,
    pub(crate) ids: u32,
    pub(crate) counts: &'a Counts,
    /// Whether every answered change is a line on the standard output.
    pub(crate) says: bool,
}

impl Load<'_> {
    /// One person's work until the context stops.
    pub(crate) fn run(&self, ctx: &Context, seed: u64) -> Result<(), Stop> {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        while !ctx.is_stopped() {
            // The square makes some boards more popular than others.
            let part = dice.part() * dice.part();
            let id = (part * f64::from(self.ids)) as u32;
            let began = Instant::now();
            match dice.below(100) {
                _ if dice.below(CRASHES) == 0 => {
                    self.counts.crashes.fetch_add(1, Relaxed);
                    let _ = self.boards.tell(ctx, &id, Msg::Crash);
                    continue;
                }
                0..20 => match self.boards.ask(ctx, &id, Msg::View) {
                    Ok(_) => drop(self.counts.views.fetch_add(1, Relaxed)),
                    Err(error) => self.failed(error)?,
                },
                20..30 => self.changed(id, self.boards.ask(ctx, &id, Msg::Undo))?,
                _ => {
                    let edit = dice.edit();
                    let asked = self.boards.ask(ctx, &id, |reply| Msg::Edit(edit, reply));
                    self.changed(id, asked)?;
                }
            }
            self.counts.latency.add(began.elapsed().as_micros() as u64);
        }
        Ok(())
    }

    fn changed(
        &self,
        id: u32,
        asked: Result<Result<Change, Refused>, AskError<Msg>>,
    ) -> Result<(), Stop> {
        match asked {
            Ok(Ok(Change { version, trail })) => {
                self.counts.changes.fetch_add(1, Relaxed);
                if self.says {
                    let _ = writeln!(io::stdout().lock(), "{id} {version} {trail}");
                }
            }
            Ok(Err(Refused::NotSaved(error))) => {
                self.counts.unsaved.fetch_add(1, Relaxed);
                say::err(format_args!("collab: {error}"));
            }
            Ok(Err(_)) => drop(self.counts.refused.fetch_add(1, Relaxed)),
            Err(error) => self.failed(error)?,
        }
        Ok(())
    }

    fn failed(&self, error: AskError<Msg>) -> Result<(), Stop> {
        match error.stop() {
            Some(stop) => Err(stop.clone()),
            None => {
                self.counts.unanswered.fetch_add(1, Relaxed);
                Ok(())
            }
        }
    }
}

/// xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % n
    }

    fn part(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }

    fn edit(&mut self) -> Edit {
        let id = self.below(crate::board::NOTES as u64) as u32;
        let (x, y) = (self.below(1_000) as i32 - 500, self.below(1_000) as i32 - 500);
        match self.below(10) {
            0..5 => Edit::Put(id, Note { x, y, text: format!("note {x} of {id}") }),
            5..9 => Edit::Move(id, x, y),
            _ => Edit::Remove(id),
        }
    }
}
