//! What the user gets to see: aligned tables of the top rows, or one JSON object with every row.
//!
//! Keys are bytes that strangers sent. They are written in ASCII with everything else escaped as in a
//! Rust byte string (`\xff`, `\\`, `\'`), so that two keys never look the same and no key can send
//! commands to the terminal.

use std::io::{self, Write};

use indicatif::HumanCount;

use crate::line::day_rank;
use crate::recorder::Journal;
use crate::totals::{Count, NAMES, Table, Totals};

/// Characters of a key that a table shows; JSON has them all.
const WIDTH: usize = 100;

/// Writes the `top` rows of each table: most requests first, days in their own order.
pub(crate) fn write_tables(out: &mut dyn Write, totals: &Totals, top: usize) -> io::Result<()> {
    let wide = human(totals.all.requests).len().max("requests".len());
    let wider = human(totals.all.bytes).len().max("bytes".len());
    let row = |out: &mut dyn Write, count: Count, key: &str| {
        let (requests, bytes) = (human(count.requests), human(count.bytes));
        writeln!(out, "{requests:>wide$}  {bytes:>wider$}  {key}")
    };
    for (name, table) in NAMES.iter().zip(&totals.tables) {
        let rows = rows(name, table, top);
        write!(out, "{:>wide$}  {:>wider$}  {name}", "requests", "bytes")?;
        writeln!(out, " ({} of {})", rows.len(), human(table.len() as u64))?;
        for (key, count) in rows {
            row(out, count, &shortened(key))?;
        }
        if table.other.requests > 0 {
            row(out, table.other, "(others, for which --memory did not suffice)")?;
        }
        writeln!(out)?;
    }
    row(out, totals.all, "in all")
}

/// Writes one JSON object, a row a line, in the same order as the tables.
pub(crate) fn write_json(
    out: &mut dyn Write,
    totals: &Totals,
    journal: &Journal,
) -> io::Result<()> {
    let other = |(name, table): (&&str, &Table)| format!("\"{name}\": {}", json(table.other));
    let errors = serde_json::to_string(&journal.errors)?;
    writeln!(out, "{{\"lines\": {}, \"bad_lines\": {},", journal.lines, journal.bad)?;
    writeln!(out, "\"errors\": {errors},\n\"all\": {},", json(totals.all))?;
    for (name, table) in NAMES.iter().zip(&totals.tables) {
        write!(out, "\"{name}\": {{")?;
        for (at, (key, count)) in rows(name, table, usize::MAX).into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let key = serde_json::to_string(&key.escape_ascii().to_string())?;
            write!(out, "{comma}\n{key}: {}", json(count))?;
        }
        writeln!(out, "}},")?;
    }
    let others: Vec<_> = NAMES.iter().zip(&totals.tables).map(other).collect();
    writeln!(out, "\"others\": {{{}}}}}", others.join(", "))
}

fn json(count: Count) -> String {
    format!("{{\"requests\": {}, \"bytes\": {}}}", count.requests, count.bytes)
}

/// The first `top` rows by requests; days are then put in their own order.
fn rows<'a>(name: &str, table: &'a Table, top: usize) -> Vec<(&'a [u8], Count)> {
    let mut rows = table.ranked();
    rows.truncate(top);
    if name == "days" {
        rows.sort_by_key(|(day, _)| day_rank(day));
    }
    rows
}

fn shortened(key: &[u8]) -> String {
    let mut text: String = key.escape_ascii().take(WIDTH + 1).map(char::from).collect();
    if text.len() > WIDTH {
        text.truncate(WIDTH - 3);
        text.push_str("...");
    }
    text
}

fn human(number: u64) -> String {
    HumanCount(number).to_string()
}
