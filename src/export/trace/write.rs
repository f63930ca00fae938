//! The file: one JSON object, a line for each event.

use super::tracer::{Bar, What};
use crate::export::json::string;
use std::collections::HashMap;
use std::io;
use std::time::Instant;

pub(super) fn file(
    to: &mut impl io::Write,
    began: Instant,
    mut bars: Vec<Bar>,
    threads: &HashMap<u64, String>,
) -> io::Result<()> {
    to.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let mut threads: Vec<_> = threads.iter().collect();
    threads.sort();
    let mut first = true;
    let mut line = String::new();
    for (number, name) in threads {
        line.clear();
        line.push_str("{\"ph\":\"M\",\"pid\":1,\"name\":\"thread_name\",");
        line.push_str(&format!("\"tid\":{number},\"args\":{{\"name\":"));
        string(&mut line, name);
        line.push_str("}}");
        put(to, &mut first, &line)?;
    }
    settle(&mut bars);
    for bar in bars {
        line.clear();
        event(&mut line, began, &bar);
        put(to, &mut first, &line)?;
    }
    to.write_all(b"\n]}\n")
}

/// Has the bars of each thread lie beside or inside each other, as viewers want it. Bars of tasks and
/// waits end at some time between two looks, early enough not to cross another bar of their thread.
fn settle(bars: &mut [Bar]) {
    // Of bars that begin together the outer one comes first.
    bars.sort_by_key(|bar| (bar.thread, bar.from, std::cmp::Reverse(bar.to)));
    let mut around: Vec<usize> = Vec::new();
    for i in 0..bars.len() {
        let (thread, from, sure) = (bars[i].thread, bars[i].from, bars[i].sure);
        while let Some(&outer) = around.last() {
            if bars[outer].thread != thread || bars[outer].to <= from {
                around.pop();
                continue;
            }
            let end = bars[outer].to;
            if bars[i].to <= end {
                break;
            }
            let exact = |i: usize| bars[i].what == What::Span;
            if exact(outer) || (!exact(i) && sure <= end) {
                bars[i].to = end;
                break;
            }
            bars[outer].to = from;
            around.pop();
        }
        around.push(i);
    }
}

fn put(to: &mut impl io::Write, first: &mut bool, line: &str) -> io::Result<()> {
    to.write_all(if std::mem::take(first) { b"\n" } else { b",\n" })?;
    to.write_all(line.as_bytes())
}

fn event(line: &mut String, began: Instant, bar: &Bar) {
    let kind = match bar.what {
        What::Span => "span",
        What::Task => "task",
        What::Wait => "wait",
    };
    line.push_str(&format!("{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"cat\":\"{kind}\"", bar.thread));
    line.push_str(",\"name\":");
    string(line, &bar.name);
    let ts = bar.from.saturating_duration_since(began).as_nanos();
    let dur = bar.to.saturating_duration_since(bar.from).as_nanos();
    line.push_str(&format!(",\"ts\":{},\"dur\":{}", micros(ts), micros(dur)));
    line.push_str(",\"args\":{\"at\":");
    string(line, &bar.at.to_string());
    line.push_str("}}");
}

/// Microseconds, with three digits for the nanoseconds.
fn micros(nanos: u128) -> String {
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}
