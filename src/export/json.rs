//! The task tree as JSON, for tools.
//!
//! [`observe::Tasks`](crate::observe::Tasks) prints itself for people; [`tasks`] says the same for
//! programs. The writer is our own: no crate comes along.

use crate::observe::{Task, Tasks, Waiting};
use crate::sync;
use std::fmt::Write as _;
use std::time::Instant;

/// Returns what runs as a JSON array, in the order in which things began.
///
/// Each task is an object: `id` and `parent` (numbers as strings, since they take 64 bits; `parent`
/// is `null` for a root), `kind` (`scope`, `task`, `worker`, `job`), `name` (or `null`), `spawned_at`
/// (`file:line:column`), `age_seconds` (`null` if its start is not recorded), `thread`, and `waiting`:
/// `null`, or an object with `on`, `name`, `at` and `for_seconds`.
///
/// ```
/// use ironsys::{Context, Stop, export::json, observe::Registry};
///
/// let registry = Registry::new();
/// let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
/// let text = ironsys::scope(&ctx, |_| Ok::<_, Stop>(json::tasks(&registry.tasks()))).unwrap();
/// assert!(text.contains("\"kind\":\"scope\""));
/// ```
#[must_use]
pub fn tasks(tasks: &Tasks) -> String {
    let now = sync::time::now();
    let mut all: Vec<&Task> = tasks.as_slice().iter().collect();
    all.sort_by_key(|task| (task.started, task.id));
    let mut out = String::from("[");
    for (i, task) in all.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str("\n{");
        write_task(&mut out, task, now);
        out.push('}');
    }
    out.push_str("\n]\n");
    out
}

fn write_task(out: &mut String, task: &Task, now: Instant) {
    let parent = task.parent.map_or("null".to_owned(), |parent| format!("\"{parent}\""));
    let _ = write!(out, "\"id\":\"{}\",\"parent\":{parent},", task.id);
    let _ = write!(out, "\"kind\":\"{}\",\"name\":", task.kind);
    optional(out, task.name.as_deref());
    out.push_str(",\"spawned_at\":");
    string(out, &task.spawned_at.to_string());
    out.push_str(",\"age_seconds\":");
    seconds(out, task.started, now);
    out.push_str(",\"thread\":");
    string(out, &task.thread);
    out.push_str(",\"waiting\":");
    match &task.waiting {
        None => out.push_str("null"),
        Some(waiting) => write_waiting(out, waiting, now),
    }
}

fn write_waiting(out: &mut String, waiting: &Waiting, now: Instant) {
    let _ = write!(out, "{{\"on\":\"{}\",\"name\":", waiting.on);
    optional(out, waiting.name.as_deref());
    out.push_str(",\"at\":");
    string(out, &waiting.at.to_string());
    out.push_str(",\"for_seconds\":");
    seconds(out, waiting.since, now);
    out.push('}');
}

fn optional(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.push_str("null"),
    }
}

fn seconds(out: &mut String, since: Option<Instant>, now: Instant) {
    match since {
        Some(since) => {
            let _ = write!(out, "{:.6}", now.saturating_duration_since(since).as_secs_f64());
        }
        None => out.push_str("null"),
    }
}

/// Writes `text` as a JSON string.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // U+2028 and U+2029 end a line for JavaScript, which may read this.
            c if c < ' ' || c == '\u{7f}' || c == '\u{2028}' || c == '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
