//! The curves, as SVG.

use std::fmt::Write;

use crate::Pair;
use crate::service::PATIENCE;

const WITH: &str = "#0b6e99";
const WITHOUT: &str = "#c8442f";

/// A diagram: where it is, and what its vertical axis says.
struct Panel {
    left: f64,
    /// The load at the right end.
    most: f64,
    title: &'static str,
    /// From the bottom to the top.
    ticks: &'static [(f64, &'static str)],
    logarithmic: bool,
}

const TOP: f64 = 96.0;
const BOTTOM: f64 = 340.0;
const WIDTH: f64 = 360.0;

impl Panel {
    fn x(&self, load: f64) -> f64 {
        self.left + WIDTH * load / self.most
    }

    fn y(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let (low, high) = (self.ticks[0].0, self.ticks[self.ticks.len() - 1].0);
        let share = (scale(value.clamp(low, high)) - scale(low)) / (scale(high) - scale(low));
        BOTTOM - (BOTTOM - TOP) * share
    }

    /// Title, grid and the numbers at the axes.
    fn frame(&self, svg: &mut String) {
        let (left, right) = (self.left, self.left + WIDTH);
        text(svg, left, TOP - 18.0, "start", "13", "#1f2933", self.title);
        for (value, label) in self.ticks {
            let y = self.y(*value);
            line(svg, (left, y), (right, y), "#e4e7eb", "");
            text(svg, left - 8.0, y + 4.0, "end", "12", "#616e7c", label);
        }
        let step = (self.most / 5.0).ceil() as usize;
        for load in (0..=self.most as u8).step_by(step) {
            let x = self.x(load.into());
            text(svg, x, BOTTOM + 20.0, "middle", "12", "#616e7c", &format!("{load}×"));
        }
        line(svg, (left, BOTTOM), (right, BOTTOM), "#9aa5b1", "");
    }

    /// A line at a value that means something, with what it means at its right end, below or above.
    fn mark(&self, svg: &mut String, value: f64, below: f64, label: &str) {
        let (y, right) = (self.y(value), self.left + WIDTH);
        line(svg, (self.left, y), (right, y), "#9aa5b1", " stroke-dasharray='4 4'");
        text(svg, right, y + below, "end", "11", "#616e7c", label);
    }

    fn curve(&self, svg: &mut String, colour: &str, points: impl Iterator<Item = (f64, f64)>) {
        let at: Vec<_> = points.map(|(load, value)| (self.x(load), self.y(value))).collect();
        let path: Vec<String> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(
            svg,
            "<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.5' \
             stroke-linejoin='round' stroke-linecap='round'/>"
        );
        for (x, y) in at {
            let _ = writeln!(
                svg,
                "<circle cx='{x:.1}' cy='{y:.1}' r='3.5' fill='{colour}' stroke='#fff' stroke-width='1.5'/>"
            );
        }
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, more: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' stroke='{colour}'{more}/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, size: &str, colour: &str, what: &str) {
    let _ = writeln!(
        svg,
        "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' font-size='{size}' fill='{colour}'>{what}</text>"
    );
}

/// Both curves, of what is served in time and of how long it takes.
pub(crate) fn draw(pairs: &[Pair]) -> String {
    let most = pairs.iter().map(|pair| pair.load).fold(1.0, f64::max).ceil();
    let goodput = Panel {
        left: 62.0,
        most,
        title: "Served in time, of the capacity",
        ticks: &[(0.0, "0"), (0.25, "25%"), (0.5, "50%"), (0.75, "75%"), (1.0, "100%"), (1.1, "")],
        logarithmic: false,
    };
    let times = Panel {
        left: 506.0,
        most,
        title: "Time of an answer, 99th percentile",
        ticks: &[(0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s")],
        logarithmic: true,
    };
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 900 400' width='900' height='400' \
         font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'>\n\
         <rect width='900' height='400' rx='8' fill='#fff'/>\n",
    );
    text(&mut svg, 24.0, 36.0, "start", "17", "#1f2933", "A service under load");
    for (x, colour, label) in [(560.0, WITH, "with admission"), (726.0, WITHOUT, "without")] {
        let (from, to) = ((x, 31.0), (x + 28.0, 31.0));
        line(&mut svg, from, to, colour, " stroke-width='3' stroke-linecap='round'");
        text(&mut svg, x + 38.0, 36.0, "start", "14", colour, label);
    }
    let seconds = |point: &crate::Point| point.p99.as_secs_f64();
    for panel in [&goodput, &times] {
        panel.frame(&mut svg);
    }
    times.mark(&mut svg, PATIENCE.as_secs_f64(), -6.0, "clients give up");
    goodput.curve(&mut svg, WITHOUT, pairs.iter().map(|pair| (pair.load, pair.without.goodput)));
    goodput.curve(&mut svg, WITH, pairs.iter().map(|pair| (pair.load, pair.with.goodput)));
    times.curve(&mut svg, WITHOUT, pairs.iter().map(|pair| (pair.load, seconds(&pair.without))));
    times.curve(&mut svg, WITH, pairs.iter().map(|pair| (pair.load, seconds(&pair.with))));
    let axis = "clients that come, of the capacity";
    for panel in [&goodput, &times] {
        text(&mut svg, panel.left + WIDTH / 2.0, 382.0, "middle", "12", "#616e7c", axis);
    }
    svg.push_str("</svg>\n");
    svg
}
