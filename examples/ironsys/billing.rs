//! Shape 5, hand-off: what was used is written to the outbox before the answer, and sent to billing.
//!
//! Billing is a file here, with one line for each event and a sync before it is acknowledged. The relay
//! sends at least once; the receiver knows what it has by number, so each counts once. While billing is
//! down the outbox takes what comes.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ironsys::Context;
use ironsys::durable::{Event, PublishError, Publisher, Sent};

use crate::faults::Faults;

/// What billing has counted.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) received: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    /// Sum of all that was used.
    pub(crate) used: AtomicU64,
}

/// The receiver.
pub(crate) struct Billing {
    file: File,
    /// Bytes of whole lines: what is behind them was written by half, when the disk was full, say.
    whole: u64,
    known: Known,
    /// Written when the batch is.
    lines: Vec<u8>,
    batch: Vec<(u64, u64)>,
    books: Arc<Books>,
    faults: Arc<Faults>,
}

/// A line of the books: number, account, and how much.
pub(crate) fn entry(line: &str) -> Option<(u64, &str, u64)> {
    let mut parts = line.split(' ');
    let entry = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(entry)
}

impl Billing {
    /// Opens the books, or makes them. A line that was being written when the process died was not
    /// acknowledged, and goes.
    pub(crate) fn open(path: &Path, faults: Arc<Faults>) -> io::Result<(Billing, Arc<Books>)> {
        let wrong = |what: String| io::Error::other(format!("{}: {what}", path.display()));
        let options = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = options.map_err(|e| wrong(e.to_string()))?;
        let books = Arc::new(Books::default());
        let (mut known, mut whole, mut line, mut n) = (Known::default(), 0, String::new(), 0);
        let mut reader = BufReader::new(&file);
        loop {
            line.clear();
            let read = reader.read_line(&mut line).map_err(|e| wrong(e.to_string()))?;
            let Some(text) = line.strip_suffix('\n') else { break };
            n += 1;
            let (id, _, used) =
                entry(text).ok_or_else(|| wrong(format!("line {n} is no entry")))?;
            known.insert(id);
            whole += read as u64;
            books.received.fetch_add(1, Relaxed);
            books.used.fetch_add(used, Relaxed);
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        let (lines, batch) = (Vec::new(), Vec::new());
        Ok((Billing { file, whole, known, lines, batch, books: books.clone(), faults }, books))
    }

    fn is_down(&self) -> bool {
        Faults::is(&self.faults.broker_down)
    }

    /// Takes a use, to be written with the next [`write`](Self::write); whether it is new.
    fn take(&mut self, id: u64, body: &[u8]) -> Result<bool, String> {
        if self.known.has(id) || self.batch.iter().any(|(taken, _)| *taken == id) {
            self.books.duplicates.fetch_add(1, Relaxed);
            return Ok(false);
        }
        let text = std::str::from_utf8(body).ok().and_then(|text| {
            let (account, used) = text.split_once(' ')?;
            Some((account, used.parse::<u64>().ok()?))
        });
        let (account, used) = text.ok_or("it is no usage of an account")?;
        self.lines.extend_from_slice(format!("{id} {account} {used}\n").as_bytes());
        self.batch.push((id, used));
        Ok(true)
    }

    /// Writes what was taken, and syncs.
    fn write(&mut self) -> io::Result<()> {
        self.file.set_len(self.whole)?;
        self.file.write_all(&self.lines).and_then(|()| self.file.sync_data())?;
        self.whole += self.lines.len() as u64;
        self.lines.clear();
        for (id, used) in &self.batch {
            self.known.insert(*id);
            self.books.received.fetch_add(1, Relaxed);
            self.books.used.fetch_add(*used, Relaxed);
        }
        Ok(())
    }

    /// Takes one use and writes it.
    pub(crate) fn receive(&mut self, id: u64, body: &[u8]) -> Result<(), String> {
        if self.is_down() {
            return Err("billing is down".into());
        }
        self.take(id, body)?;
        let written = self.write().map_err(|e| e.to_string());
        self.reset();
        written
    }
}

/// Which numbers have been received: all below one, and some above.
#[derive(Default)]
struct Known {
    below: u64,
    above: BTreeSet<u64>,
}

/// Numbers above a gap that are remembered; then the gap is taken for one that stays.
const ABOVE: usize = 100_000;

impl Known {
    fn has(&self, id: u64) -> bool {
        id < self.below || self.above.contains(&id)
    }

    fn insert(&mut self, id: u64) {
        if id >= self.below {
            self.above.insert(id);
        }
        while self.above.len() > ABOVE || self.above.first() == Some(&self.below) {
            self.below = self.above.pop_first().map_or(self.below, |id| id + 1);
        }
    }
}

impl Publisher for Billing {
    fn send(&mut self, _: &Context, event: &Event) -> Result<Sent, PublishError> {
        if self.is_down() {
            return Err(PublishError::down("billing cannot be reached"));
        }
        match self.take(event.id, &event.body) {
            Ok(true) => Ok(Sent::Pending),
            Ok(false) => Ok(Sent::Done),
            Err(why) => Err(PublishError::Rejected(why)),
        }
    }

    fn settle(
        &mut self,
        _: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        self.write().map_err(PublishError::down)?;
        answers.extend(self.batch.drain(..).map(|(id, _)| (id, Ok(()))));
        Ok(())
    }

    fn reset(&mut self) {
        self.lines.clear();
        self.batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_full_disk_cut_short_goes_before_the_next_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("books");
        let (mut billing, _) = Billing::open(&path, Arc::default()).unwrap();
        billing.receive(1, b"ada 2").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2 ad").unwrap();
        billing.receive(2, b"ada 3").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1 ada 2\n2 ada 3\n");
        drop(billing);
        let (_, books) = Billing::open(&path, Arc::default()).unwrap();
        assert_eq!(books.used.load(Relaxed), 5);
    }
}
