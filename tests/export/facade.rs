//! The numbers at a recorder of the metrics facade.

use ironsys::export::{Histogram, Scrape, facade};
use metrics::{Counter, Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::{Arc, Mutex};

/// Notes everything it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Told(Notes, String);

impl Told {
    fn note(&self, what: String) {
        self.0.0.lock().unwrap().push(format!("{} {what}", self.1));
    }
}

impl metrics::CounterFn for Told {
    fn increment(&self, by: u64) {
        self.note(format!("+{by}"));
    }

    fn absolute(&self, value: u64) {
        self.note(format!("={value}"));
    }
}

impl metrics::GaugeFn for Told {
    fn increment(&self, by: f64) {
        self.note(format!("+{by}"));
    }

    fn decrement(&self, by: f64) {
        self.note(format!("-{by}"));
    }

    fn set(&self, value: f64) {
        self.note(format!("={value}"));
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().push(format!("counter {} {unit:?}", key.as_str()));
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().push(format!("gauge {} {unit:?}", key.as_str()));
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Told(self.clone(), show(key))))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Told(self.clone(), show(key))))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

fn show(key: &Key) -> String {
    let labels: Vec<String> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
    format!("{}[{}]", key.name(), labels.join(","))
}

#[test]
fn the_recorder_gets_the_numbers_of_the_text() {
    let latency = Histogram::new();
    latency.record(std::time::Duration::from_nanos(1 << 30));
    let mut scrape = Scrape::new();
    scrape
        .counter("requests", "Requests.", &[("code", "200")], 17)
        .counter_bytes("read", "Read.", &[], 9)
        .seconds("age", "Age.", &[], crate::ms(250))
        .histogram("wait", "Wait.", &[], &latency.snapshot());
    let notes = Notes::default();
    metrics::with_local_recorder(&notes, || facade::publish(&scrape));
    let expected = [
        "counter requests_total None",
        "requests_total[code=200] =17",
        "counter read_bytes_total Some(Bytes)",
        "read_bytes_total[] =9",
        "gauge age_seconds Some(Seconds)",
        "age_seconds[] =0.25",
        "gauge wait_seconds Some(Seconds)",
        "wait_seconds_count[] =1",
        "wait_seconds_sum[] =1.073741824",
        "wait_seconds[quantile=0.5] =1.073741824",
        "wait_seconds[quantile=0.9] =1.073741824",
        "wait_seconds[quantile=0.99] =1.073741824",
        "wait_seconds[quantile=1] =1.073741824",
    ];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}
