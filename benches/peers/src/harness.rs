//! Rounds, medians and rows.
//!
//! A [`Case`] is one piece of work done by us and by its peers. Every round runs each side once, one
//! after the other (ours, peer, peer, ours, peer, ...), so that all see the same state of the machine.
//! One more round before the first warms up caches, pools and thread-local state and is thrown away.

use std::fmt;
use std::time::Instant;

/// What the command line says about all cases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Measured rounds of a case.
    pub(crate) rounds: usize,
    /// Less work a round, for a check that everything still runs.
    pub(crate) quick: bool,
}

impl Settings {
    /// How often a round repeats its work, if that is `full` times in a full run.
    pub(crate) fn iterations(&self, full: u64) -> u64 {
        if self.quick { (full / 20).max(1) } else { full }
    }
}

/// What a row must keep to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// Printed for information; always met.
    None,
}

impl Bar {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Bar::AtMost(bar) => value <= bar,
            Bar::AtLeast(bar) => value >= bar,
            Bar::None => true,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::AtMost(bar) => write!(f, "<= {bar}"),
            Bar::AtLeast(bar) => write!(f, ">= {bar}"),
            Bar::None => f.write_str("-"),
        }
    }
}

/// Does the work of one round and returns what came of it, in the unit of the case.
type Round<'a> = Box<dyn FnMut() -> f64 + 'a>;

struct Side<'a> {
    name: String,
    version: String,
    bar: Bar,
    round: Round<'a>,
}

/// One piece of work: ours and the peers that do the same.
pub(crate) struct Case<'a> {
    name: &'static str,
    unit: &'static str,
    ours: Round<'a>,
    /// What our own figure must keep to, whatever the peers do.
    absolute: Bar,
    peers: Vec<Side<'a>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        name: &'static str,
        unit: &'static str,
        ours: impl FnMut() -> f64 + 'a,
    ) -> Self {
        Case { name, unit, ours: Box::new(ours), absolute: Bar::None, peers: Vec::new() }
    }

    /// Adds a bar for our own figure.
    pub(crate) fn absolute(mut self, bar: Bar) -> Self {
        self.absolute = bar;
        self
    }

    /// Adds a peer and the bar for the ratio of our figure to its figure.
    pub(crate) fn peer(
        mut self,
        name: impl Into<String>,
        version: impl Into<String>,
        bar: Bar,
        round: impl FnMut() -> f64 + 'a,
    ) -> Self {
        let (name, version) = (name.into(), version.into());
        self.peers.push(Side { name, version, bar, round: Box::new(round) });
        self
    }

    /// Adds a physical limit: what the machine takes for the part that no implementation can avoid.
    pub(crate) fn limit(self, name: &str, round: impl FnMut() -> f64 + 'a) -> Self {
        self.peer(format!("limit:{name}"), "-", Bar::None, round)
    }

    /// Runs the rounds.
    pub(crate) fn measure(mut self, settings: &Settings) -> Vec<Row> {
        let (case, unit) = (self.name, self.unit);
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); self.peers.len()];
        for round in 0..=settings.rounds {
            eprintln!("{case}: round {round} of {}", settings.rounds);
            let our_figure = (self.ours)();
            let their_figures: Vec<f64> = self.peers.iter_mut().map(|p| (p.round)()).collect();
            if round == 0 {
                continue; // the warm-up
            }
            ours.push(our_figure);
            for (all, figure) in theirs.iter_mut().zip(their_figures) {
                all.push(figure);
            }
        }
        let ours = median(ours);
        let mut rows = Vec::new();
        if !matches!(self.absolute, Bar::None) {
            let (peer, version) = ("limit:absolute".into(), "-".into());
            let bar = self.absolute;
            rows.push(Row { case, peer, version, ours, theirs: None, unit, bar });
        }
        for (Side { name: peer, version, bar, .. }, figures) in self.peers.into_iter().zip(theirs) {
            let theirs = Some(median(figures));
            rows.push(Row { case, peer, version, ours, theirs, unit, bar });
        }
        rows
    }
}

/// One line of the table: our median beside that of one peer.
#[derive(Debug)]
pub(crate) struct Row {
    case: &'static str,
    peer: String,
    version: String,
    ours: f64,
    /// `None` if the bar is for our own figure.
    theirs: Option<f64>,
    unit: &'static str,
    bar: Bar,
}

impl Row {
    pub(crate) const HEADER: &'static str =
        "case\tpeer\tpeer version\tours\tpeer's\tunit\tours/peer's\tbar\tverdict";

    /// What the bar is compared with: the ratio as printed, or our own figure if there is no peer.
    fn judged(&self) -> f64 {
        match self.theirs {
            Some(theirs) => (self.ours / theirs * 1000.0).round() / 1000.0,
            None => self.ours,
        }
    }

    fn is_ok(&self) -> bool {
        self.bar.is_met_by(self.judged())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { case, peer, version, ours, theirs, unit, bar } = self;
        let ours = rounded(*ours);
        let (theirs, ratio) = match theirs {
            Some(theirs) if *theirs > 0.0 => (rounded(*theirs), format!("{:.3}", self.judged())),
            Some(theirs) => (rounded(*theirs), "-".into()),
            None => ("-".into(), "-".into()),
        };
        let verdict = if self.is_ok() { "ok" } else { "short" };
        write!(f, "{case}\t{peer}\t{version}\t{ours}\t{theirs}\t{unit}\t{ratio}\t{bar}\t{verdict}")
    }
}

/// Nanoseconds for each of `n` repetitions that `work` makes.
pub(crate) fn ns_each(n: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / n as f64
}

/// Microseconds for each of `n` repetitions that `work` makes.
pub(crate) fn us_each(n: u64, work: impl FnOnce()) -> f64 {
    ns_each(n, work) / 1e3
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        (figures[middle - 1] + figures[middle]) / 2.0
    }
}

/// Four significant digits.
fn rounded(figure: f64) -> String {
    if figure == 0.0 {
        return "0".into();
    }
    let before_point = figure.abs().log10().floor() as i32 + 1;
    format!("{figure:.*}", (4 - before_point).clamp(0, 6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_figure_or_between_the_two() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 9.0, 1.0, 2.0]), 3.0);
    }

    #[test]
    fn figures_have_four_digits() {
        let all = [0.0, 0.012346, 1.23456, 33.854, 999.96, 24098.3].map(rounded);
        assert_eq!(all, ["0", "0.01235", "1.235", "33.85", "1000.0", "24098"]);
    }

    #[test]
    fn rounds_are_interleaved_and_rows_judged_by_their_bar() {
        let order = std::cell::RefCell::new(String::new());
        let turn = |who, figure| {
            order.borrow_mut().push(who);
            figure
        };
        let rows = Case::new("case", "ns", || turn('o', 3.0))
            .absolute(Bar::AtMost(3.0))
            .peer("slow", "1", Bar::AtMost(0.5), || turn('s', 4.0))
            .peer("fast", "2", Bar::AtLeast(0.8), || turn('f', 3.0))
            .limit("floor", || turn('l', 0.0))
            .measure(&Settings { rounds: 2, quick: true });
        assert_eq!(*order.borrow(), "osflosflosfl");
        let rows: Vec<_> = rows.iter().map(Row::to_string).collect();
        assert_eq!(
            rows,
            [
                "case\tlimit:absolute\t-\t3.000\t-\tns\t-\t<= 3\tok",
                "case\tslow\t1\t3.000\t4.000\tns\t0.750\t<= 0.5\tshort",
                "case\tfast\t2\t3.000\t3.000\tns\t1.000\t>= 0.8\tok",
                "case\tlimit:floor\t-\t3.000\t0\tns\t-\t-\tok",
            ]
        );
    }
}
