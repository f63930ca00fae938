//! The text.

use super::number::Number;
use super::scrape::{Family, Kind, Value};
use crate::observe::HistogramSnapshot;
use std::fmt::Write as _;
use std::time::Duration;

pub(super) fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = &family.name;
        text.push_str(&format!("# HELP {name} {}\n", escaped(&family.help, false)));
        text.push_str(&format!("# TYPE {name} {kind}\n"));
        for (labels, value) in &family.series {
            match value {
                Value::Number(number) => line(&mut text, name, labels, *number),
                Value::Histogram(seen) => histogram(&mut text, name, labels, seen),
            }
        }
    }
    text
}

fn histogram(text: &mut String, name: &str, labels: &[(String, String)], seen: &HistogramSnapshot) {
    let count = seen.count();
    let mut bucket = |edge: String, count: u64| {
        let mut labels = labels.to_vec();
        labels.push(("le".to_owned(), edge));
        line(text, &format!("{name}_bucket"), &labels, count.into());
    };
    for power in EDGES {
        let edge = Duration::from_nanos(1 << power);
        bucket(Number::from(edge).to_string(), seen.count_up_to(edge));
    }
    bucket("+Inf".to_owned(), count);
    line(text, &format!("{name}_sum"), labels, seen.sum().into());
    line(text, &format!("{name}_count"), labels, count.into());
}

fn line(text: &mut String, name: &str, labels: &[(String, String)], value: Number) {
    text.push_str(&series(name, labels));
    text.push_str(&format!(" {value}\n"));
}

/// A name with its labels.
pub(super) fn series(name: &str, labels: &[(String, String)]) -> String {
    let mut text = name.to_owned();
    for (i, (label, value)) in labels.iter().enumerate() {
        let before = if i == 0 { '{' } else { ',' };
        let _ = write!(text, "{before}{label}=\"{}\"", escaped(value, true));
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text
}

/// A value of a label, or a help, in which a quote is as good as any other character.
fn escaped(value: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

/// The powers of two of nanoseconds that are edges of buckets.
const EDGES: std::ops::RangeInclusive<u32> = 10..=36;
