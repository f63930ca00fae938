//! The same numbers for the [`metrics`] facade (feature `metrics`): for programs that have a recorder.

use super::prometheus::{Family, Kind, Scrape, Value};
use metrics::{Counter, Gauge, Key, Label, Metadata, SharedString, Unit};

/// Sets everything in `scrape` at the recorder that is installed, with help and unit.
///
/// Counters are set to their values, so call it as often as you like. A recorder cannot be given a
/// histogram that was counted elsewhere: of one, it gets the count as a counter, and as gauges the sum
/// and, labelled `quantile`, the quantiles 0.5, 0.9, 0.99 and 1. Names are those in the text.
///
/// ```
/// use ironsys::{channel, export::{Scrape, facade}};
/// let (_tx, rx) = channel::bounded::<u32>(8);
/// let mut scrape = Scrape::new();
/// scrape.part(&[("channel", "jobs")], &rx.stats());
/// facade::publish(&scrape); // nowhere, if no recorder is installed
/// ```
pub fn publish(scrape: &Scrape) {
    metrics::with_recorder(|recorder| {
        for family in scrape.families() {
            describe(recorder, family);
            for (labels, value) in &family.series {
                let labels: Vec<Label> = labels
                    .iter()
                    .map(|(name, value)| Label::new(name.clone(), value.clone()))
                    .collect();
                set(recorder, family, labels, value);
            }
        }
    });
}

fn describe(recorder: &dyn metrics::Recorder, family: &Family) {
    let name = family.name.trim_end_matches("_total");
    let unit = match name.rsplit('_').next() {
        Some("seconds") => Some(Unit::Seconds),
        Some("bytes") => Some(Unit::Bytes),
        _ => None,
    };
    let help = SharedString::from(family.help.clone());
    match family.kind {
        Kind::Counter => recorder.describe_counter(family.name.clone().into(), unit, help),
        Kind::Gauge | Kind::Histogram => {
            recorder.describe_gauge(family.name.clone().into(), unit, help);
        }
    }
}

fn set(recorder: &dyn metrics::Recorder, family: &Family, labels: Vec<Label>, value: &Value) {
    let counter = |name: &str, labels: Vec<Label>| -> Counter {
        recorder.register_counter(&Key::from_parts(name.to_owned(), labels), &HERE)
    };
    let gauge = |name: &str, labels: Vec<Label>| -> Gauge {
        recorder.register_gauge(&Key::from_parts(name.to_owned(), labels), &HERE)
    };
    let name = &*family.name;
    match value {
        // A counter of the facade is whole; ours are, but for seconds.
        Value::Number(number) if family.kind == Kind::Counter => match number {
            super::prometheus::Number::Unsigned(n) => counter(name, labels).absolute(*n),
            number => gauge(name, labels).set(number.as_f64()),
        },
        Value::Number(number) => gauge(name, labels).set(number.as_f64()),
        Value::Histogram(seen) => {
            counter(&format!("{name}_count"), labels.clone()).absolute(seen.count());
            gauge(&format!("{name}_sum"), labels.clone()).set(seen.sum().as_secs_f64());
            for q in [0.5, 0.9, 0.99, 1.0] {
                if let Some(time) = seen.quantile(q) {
                    let mut labels = labels.clone();
                    labels.push(Label::new("quantile", q.to_string()));
                    gauge(name, labels).set(time.as_secs_f64());
                }
            }
        }
    }
}

static HERE: Metadata<'static> =
    Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));
