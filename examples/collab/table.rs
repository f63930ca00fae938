//! How it goes: a table that is drawn again on a terminal, and the summary.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ironsys::session::{Sessions, Stats};
use ironsys::{Context, Stop};

use crate::board::Board;
use crate::load::Counts;

const EVERY: Duration = Duration::from_millis(250);

/// Draws until the context stops; nothing at all unless stderr is a terminal that can go back.
pub(crate) fn draw(ctx: &Context, boards: &Sessions<Board>, counts: &Counts) -> Result<(), Stop> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if is_dumb || !io::stderr().is_terminal() {
        return Ok(());
    }
    let mut before = 0;
    let mut lines = 0;
    loop {
        let changes = counts.changes.load(Relaxed);
        let rate = (changes - before) as f64 / EVERY.as_secs_f64();
        before = changes;
        let mut text = String::new();
        rows(&mut text, &boards.stats(), counts, rate);
        let deepest: Vec<String> =
            boards.deepest(4).iter().map(|(id, depth)| format!("{id}: {depth}")).collect();
        let _ = writeln!(text, "  deepest mailboxes  {}", deepest.join("  "));
        let up = if lines == 0 { String::new() } else { format!("\x1b[{lines}A") };
        lines = text.lines().count();
        let text = text.replace('\n', "\x1b[K\n");
        let _ = write!(io::stderr().lock(), "{up}{text}");
        if ctx.sleep(EVERY).is_err() {
            return Ok(());
        }
    }
}

pub(crate) fn rows(text: &mut String, stats: &Stats, counts: &Counts, rate: f64) {
    let get = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed);
    let (p50, p99) = (counts.latency.quantile(0.5), counts.latency.quantile(0.99));
    let rows = [
        ("changes on disk", format!("{} ({rate:.0}/s)", get(&counts.changes))),
        ("views", get(&counts.views).to_string()),
        ("refused", get(&counts.refused).to_string()),
        ("answer, p50 / p99", format!("{p50} / {p99} us")),
        ("boards in memory", format!("{} of {}", stats.live, stats.sessions)),
        ("messages waiting", format!("{}, at most {} at a board", stats.queued, stats.deepest)),
        ("threads", stats.threads.to_string()),
        ("crashes / restarts", format!("{} / {}", get(&counts.crashes), stats.restarts)),
        ("lost with a crash", get(&counts.unanswered).to_string()),
        ("not saved", get(&counts.unsaved).to_string()),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<18} {value}");
    }
}
