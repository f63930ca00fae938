//! The example `rollup` as one writes it by hand for a plain file: rayon over a memory map.
//!
//! It takes lines apart with the example's own parser and counts in the same kind of table, so what
//! differs is how the work gets to the cores. It borrows its keys from the map, reads nothing but
//! plain files, shows no progress, cannot be stopped, and its memory is not bounded.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufWriter, Write, stdout};
use std::path::Path;

use foldhash::fast::RandomState;
use memchr::{memchr, memchr_iter};
use rayon::prelude::*;

use crate::mapping::map;

#[path = "../../../examples/rollup/line.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example uses all of it")]
mod line;

/// About so many bytes are one piece of work.
const CHUNK: usize = 1 << 20;

/// Requests and bytes.
#[derive(Default, Clone, Copy)]
struct Count(u64, u64);

type Table<'a> = HashMap<&'a [u8], Count, RandomState>;

#[derive(Default)]
struct Totals<'a> {
    lines: u64,
    bad_lines: u64,
    all: Count,
    clients: Table<'a>,
    statuses: Table<'a>,
    days: Table<'a>,
    paths: Table<'a>,
}

/// Prints the totals of a log as one JSON object.
pub(crate) fn rollup(log: &Path) -> Result<(), Box<dyn Error>> {
    let text = map(log)?;
    let totals = chunks(&text)
        .into_par_iter()
        .fold(Totals::default, Totals::add_chunk)
        .reduce(Totals::default, Totals::merge);
    totals.write(&mut BufWriter::new(stdout().lock()))
}

/// Prints the sum of all bytes of a file: the least that can be done with them.
pub(crate) fn sum(file: &Path) -> Result<(), Box<dyn Error>> {
    let text = map(file)?;
    let sums = text.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|b| u64::from(*b)).sum::<u64>());
    println!("{}", sums.sum::<u64>());
    Ok(())
}

/// Cuts a text at line ends.
fn chunks(mut text: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::with_capacity(text.len() / CHUNK + 1);
    while !text.is_empty() {
        let least = CHUNK.min(text.len());
        let end = memchr(b'\n', &text[least..]).map_or(text.len(), |newline| least + newline + 1);
        let (chunk, rest) = text.split_at(end);
        chunks.push(chunk);
        text = rest;
    }
    chunks
}

impl<'a> Totals<'a> {
    fn add_chunk(mut self, chunk: &'a [u8]) -> Self {
        let mut start = 0;
        for newline in memchr_iter(b'\n', chunk) {
            self.add_line(&chunk[start..newline]);
            start = newline + 1;
        }
        if start < chunk.len() {
            self.add_line(&chunk[start..]);
        }
        self
    }

    fn add_line(&mut self, line: &'a [u8]) {
        self.lines += 1;
        match line::parse(line) {
            Ok(line) => {
                let one = Count(1, line.bytes);
                self.all.add(one);
                self.clients.entry(line.client).or_default().add(one);
                self.statuses.entry(line.status).or_default().add(one);
                self.days.entry(line.day).or_default().add(one);
                self.paths.entry(line.path).or_default().add(one);
            }
            Err(_) => self.bad_lines += 1,
        }
    }

    fn merge(mut self, from: Totals<'a>) -> Self {
        self.lines += from.lines;
        self.bad_lines += from.bad_lines;
        self.all.add(from.all);
        merge(&mut self.clients, from.clients);
        merge(&mut self.statuses, from.statuses);
        merge(&mut self.days, from.days);
        merge(&mut self.paths, from.paths);
        self
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
        let tables = [
            ("clients", &self.clients),
            ("statuses", &self.statuses),
            ("days", &self.days),
            ("paths", &self.paths),
        ];
        writeln!(out, "{{\"lines\": {}, \"bad_lines\": {},", self.lines, self.bad_lines)?;
        for (name, table) in tables {
            write!(out, "\"{name}\": {{")?;
            let mut rows: Vec<_> = table.iter().collect();
            rows.sort_unstable_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
            for (at, (key, count)) in rows.into_iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let key = serde_json::to_string(&key.escape_ascii().to_string())?;
                write!(out, "{comma}\n{key}: {}", count.json())?;
            }
            writeln!(out, "}},")?;
        }
        writeln!(out, "\"all\": {}}}", self.all.json())?;
        Ok(out.flush()?)
    }
}

impl Count {
    fn add(&mut self, more: Count) {
        self.0 += more.0;
        self.1 = self.1.saturating_add(more.1);
    }

    fn json(self) -> String {
        format!("{{\"requests\": {}, \"bytes\": {}}}", self.0, self.1)
    }
}

fn merge<'a>(into: &mut Table<'a>, from: Table<'a>) {
    for (key, count) in from {
        into.entry(key).or_default().add(count);
    }
}
