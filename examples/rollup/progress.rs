//! How far the job is: a bar on a terminal, and the words for when it is interrupted.
//!
//! The bar goes to stderr and hides itself when that is not a terminal. Its position is what was read
//! from disk; the counts are what was parsed and recorded, which is always a prefix of the input.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

const BAR: &str = "{wide_bar} {bytes} of {total_bytes}  {binary_bytes_per_sec}  {eta} left";
const SPINNER: &str = "{spinner} {bytes}  {binary_bytes_per_sec}";

pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    lines: AtomicU64,
    bad: AtomicU64,
    interrupted: Once,
}

impl Progress {
    /// `total` is what there is to read in bytes, if known; without it there is no time left to show.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let style = ProgressStyle::with_template(if total.is_some() { BAR } else { SPINNER });
        Progress {
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            started: Instant::now(),
            lines: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            interrupted: Once::new(),
        }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    // The counts are only shown, never acted upon, so their order does not matter.
    pub(crate) fn recorded(&self, lines: u64, bad: u64) {
        self.lines.fetch_add(lines, Relaxed);
        self.bad.fetch_add(bad, Relaxed);
    }

    /// Takes the bar off the terminal; says what was read, and how fast.
    pub(crate) fn finish(&self) -> String {
        self.bar.finish_and_clear();
        let (read, time) = (self.bar.position(), self.started.elapsed());
        let speed = read as f64 / 1e6 / time.as_secs_f64().max(1e-6);
        format!("{} read in {:.2} s ({speed:.0} MB/s)", HumanBytes(read), time.as_secs_f64())
    }

    /// Says how far the job came; once, whichever thread gets to it first.
    pub(crate) fn say_interrupted(&self) {
        self.interrupted.call_once(|| {
            self.bar.abandon();
            let total =
                self.bar.length().map_or(String::new(), |n| format!(" of {}", HumanBytes(n)));
            say(format_args!(
                "interrupted: {}{total} read, {} lines counted, {} of them bad; no totals written",
                HumanBytes(self.bar.position()),
                HumanCount(self.lines.load(Relaxed)),
                HumanCount(self.bad.load(Relaxed)),
            ));
        });
    }
}

/// One line to stderr. Unlike `eprintln!` it does not panic when stderr is gone.
pub(crate) fn say(what: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "rollup: {what}");
}
