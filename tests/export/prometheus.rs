//! The text, its rules, and names that break them.

use crate::ms;
use ironsys::export::{Histogram, Scrape, ScrapeError};

#[test]
fn the_text_is_as_the_format_wants_it() {
    let mut scrape = Scrape::new();
    scrape
        .common(&[("node", "a")])
        .counter("requests", "Requests answered.", &[("code", "200")], 17)
        .gauge("depth", "What is queued.", &[], 3)
        .counter("requests", "Requests answered.", &[("code", "500")], 2u64)
        .counter_seconds("busy", "At work.", &[], ms(1500))
        .counter_bytes("read_total", "Read.", &[], 4096)
        .seconds("age", "How old.", &[], ms(250))
        .bytes("size", "How large.", &[], 1 << 40)
        .gauge("balance", "Owed.", &[], -4)
        .gauge("ratio", "Of all.", &[], f64::NAN)
        .gauge("room", "Left.", &[], f64::INFINITY)
        .gauge("debt", "Left.", &[], f64::NEG_INFINITY)
        .gauge("up", "Whether it runs.", &[], true);
    let expected = "\
# HELP requests_total Requests answered.
# TYPE requests_total counter
requests_total{node=\"a\",code=\"200\"} 17
requests_total{node=\"a\",code=\"500\"} 2
# HELP depth What is queued.
# TYPE depth gauge
depth{node=\"a\"} 3
# HELP busy_seconds_total At work.
# TYPE busy_seconds_total counter
busy_seconds_total{node=\"a\"} 1.5
# HELP read_bytes_total Read.
# TYPE read_bytes_total counter
read_bytes_total{node=\"a\"} 4096
# HELP age_seconds How old.
# TYPE age_seconds gauge
age_seconds{node=\"a\"} 0.25
# HELP size_bytes How large.
# TYPE size_bytes gauge
size_bytes{node=\"a\"} 1099511627776
# HELP balance Owed.
# TYPE balance gauge
balance{node=\"a\"} -4
# HELP ratio Of all.
# TYPE ratio gauge
ratio{node=\"a\"} NaN
# HELP room Left.
# TYPE room gauge
room{node=\"a\"} +Inf
# HELP debt Left.
# TYPE debt gauge
debt{node=\"a\"} -Inf
# HELP up Whether it runs.
# TYPE up gauge
up{node=\"a\"} 1
";
    assert_eq!(scrape.render().unwrap(), expected);
}

#[test]
fn buckets_are_cumulative_and_end_in_infinity() {
    let latency = Histogram::new();
    // 2^20 ns is an edge: what is as long as it belongs to its bucket.
    for nanos in [1, 1 << 20, (1 << 20) + 1, 1 << 40] {
        latency.record(std::time::Duration::from_nanos(nanos));
    }
    let mut scrape = Scrape::new();
    scrape.histogram("wait", "Time.", &[("q", "x")], &latency.snapshot());
    let text = scrape.render().unwrap();
    assert!(
        text.starts_with("# HELP wait_seconds Time.\n# TYPE wait_seconds histogram\n"),
        "{text}"
    );
    let counts: Vec<(f64, u64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("wait_seconds_bucket{q=\"x\",le=\""))
        .map(|line| line.split_once("\"} ").unwrap())
        .map(|(edge, count)| {
            let edge = if edge == "+Inf" { f64::INFINITY } else { edge.parse().unwrap() };
            (edge, count.parse().unwrap())
        })
        .collect();
    assert_eq!(counts.len(), 28);
    assert!(counts.is_sorted() && counts[0] == (0.000_001_024, 1), "{counts:?}");
    assert_eq!(counts.iter().find(|(edge, _)| *edge == 0.001_048_576), Some(&(0.001_048_576, 2)));
    assert_eq!(counts.iter().find(|(edge, _)| *edge == 0.002_097_152), Some(&(0.002_097_152, 3)));
    assert_eq!(counts[26].1, 3);
    assert_eq!(counts[27], (f64::INFINITY, 4));
    assert!(text.contains("wait_seconds_count{q=\"x\"} 4\n"));
    let sum = (1u64 + (1 << 20) + (1 << 20) + 1 + (1 << 40)) as f64 / 1e9;
    assert!(text.contains(&format!("wait_seconds_sum{{q=\"x\"}} {sum}\n")), "{text}");
}

#[test]
fn hostile_values_stay_inside_their_quotes() {
    let mut scrape = Scrape::new();
    let hostile = "a\"} 1\nevil_total 5\\\r\u{0}é";
    scrape.gauge("g", "two\nlines \\ \"quoted\"", &[("path", hostile)], 1);
    let text = scrape.render().unwrap();
    let expected = "# HELP g two\\nlines \\\\ \"quoted\"\n# TYPE g gauge\n\
                    g{path=\"a\\\"} 1\\nevil_total 5\\\\\r\u{0}é\"} 1\n";
    assert_eq!(text, expected);
}

#[test]
fn what_breaks_a_rule_is_left_out_and_named() {
    let mut scrape = Scrape::new();
    scrape.gauge("fine", "Fine.", &[], 1);
    for name in ["", "9lives", "a b", "a-b", "a:b", "é", "a\nb", "a{b=\"c\"}"] {
        scrape.gauge(name, "Bad.", &[], 1);
        let expected = ScrapeError::BadName { name: name.to_owned() };
        assert_eq!(scrape.errors().last(), Some(&expected));
    }
    for label in ["", "9", "__name__", "a.b", "le", "quantile", "a=\"", "é"] {
        scrape.gauge("g", "Bad.", &[(label, "x")], 1);
        let expected = ScrapeError::BadLabel { name: "g".to_owned(), label: label.to_owned() };
        assert_eq!(scrape.errors().last(), Some(&expected));
    }
    assert_eq!(scrape.errors().len(), 16);
    assert_eq!(scrape.text(), "# HELP fine Fine.\n# TYPE fine gauge\nfine 1\n");
    assert_eq!(scrape.render().unwrap_err(), ScrapeError::BadName { name: String::new() });
}

#[test]
fn a_name_stands_for_one_thing() {
    let last = |scrape: &Scrape| scrape.errors().last().cloned();
    let clash = |name: &str| Some(ScrapeError::Clash { name: name.to_owned() });
    let mut scrape = Scrape::new();
    scrape.gauge("depth", "Depth.", &[("q", "a"), ("p", "b")], 1);
    scrape.gauge("depth", "Depth.", &[("p", "b"), ("q", "a")], 2);
    let series = "depth{p=\"b\",q=\"a\"}".to_owned();
    assert_eq!(last(&scrape), Some(ScrapeError::Twice { series }));
    scrape.gauge("depth", "Another.", &[], 1);
    assert_eq!(last(&scrape), clash("depth"));
    scrape.gauge("x_total", "X.", &[], 1).counter("x", "X.", &[], 1);
    assert_eq!(last(&scrape), clash("x_total"));
    let none = Histogram::new().snapshot();
    scrape.histogram("h", "H.", &[], &none).gauge("h_seconds_count", "Mine.", &[], 1);
    assert_eq!(last(&scrape), clash("h_seconds_count"));
    scrape.gauge("i_seconds_sum", "Mine.", &[], 1).histogram("i", "I.", &[], &none);
    assert_eq!(last(&scrape), clash("i_seconds"));
    scrape.gauge("twice", "Twice.", &[("a", "1"), ("a", "2")], 1);
    let (name, label) = ("twice".to_owned(), "a".to_owned());
    assert_eq!(last(&scrape), Some(ScrapeError::LabelTwice { name, label }));
}

#[test]
fn units_are_base_units_and_counts_count() {
    let mut scrape = Scrape::new();
    scrape.gauge("wait_ms", "Wait.", &[], 1);
    let (name, unit) = ("wait_ms".to_owned(), "ms".to_owned());
    assert_eq!(scrape.errors().last(), Some(&ScrapeError::NotABaseUnit { name, unit }));
    for value in [-1.0, f64::NAN, f64::INFINITY] {
        scrape.counter("c", "C.", &[], value);
        let (name, value) =
            ("c_total".to_owned(), ironsys::export::prometheus::Number::Real(value));
        let expected = ScrapeError::BadCount { name, value: value.to_string() };
        assert_eq!(scrape.errors().last(), Some(&expected));
    }
    assert_eq!(scrape.text(), "");
}
