//! Shape 5, hand-off: what was used is written to the outbox before the answer, and sent to billing.
//!
//! Billing is a file here, with one line for each event and a sync before it is acknowledged. The relay
//! sends at least once; the receiver knows what it has by number, so each counts once. While billing is
//! down the outbox takes what comes.

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
    /// Numbers below have been received.
    next: u64,
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
        let (mut next, mut whole, mut line, mut n) = (0, 0, String::new(), 0);
        let mut reader = BufReader::new(&file);
        loop {
            line.clear();
            let read = reader.read_line(&mut line).map_err(|e| wrong(e.to_string()))?;
            let Some(text) = line.strip_suffix('\n') else { break };
            n += 1;
            let (id, _, used) =
                entry(text).ok_or_else(|| wrong(format!("line {n} is no entry")))?;
            next = id + 1;
            whole += read as u64;
            books.received.fetch_add(1, Relaxed);
            books.used.fetch_add(used, Relaxed);
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        let (lines, batch) = (Vec::new(), Vec::new());
        Ok((Billing { file, next, lines, batch, books: books.clone(), faults }, books))
    }

    fn is_down(&self) -> bool {
        Faults::is(&self.faults.broker_down)
    }
}

impl Publisher for Billing {
    fn send(&mut self, _: &Context, event: &Event) -> Result<Sent, PublishError> {
        if self.is_down() {
            return Err(PublishError::down("billing cannot be reached"));
        }
        if event.id < self.next {
            self.books.duplicates.fetch_add(1, Relaxed);
            return Ok(Sent::Done);
        }
        let text = std::str::from_utf8(&event.body).ok().and_then(|text| {
            let (account, used) = text.split_once(' ')?;
            Some((account, used.parse::<u64>().ok()?))
        });
        let Some((account, used)) = text else {
            return Err(PublishError::Rejected("it is no usage of an account".into()));
        };
        self.lines.extend_from_slice(format!("{} {account} {used}\n", event.id).as_bytes());
        self.batch.push((event.id, used));
        Ok(Sent::Pending)
    }

    fn settle(
        &mut self,
        _: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        let written = self.file.write_all(&self.lines).and_then(|()| self.file.sync_data());
        written.map_err(PublishError::down)?;
        for (id, used) in self.batch.drain(..) {
            self.next = id + 1;
            self.books.received.fetch_add(1, Relaxed);
            self.books.used.fetch_add(used, Relaxed);
            answers.push((id, Ok(())));
        }
        self.lines.clear();
        Ok(())
    }

    fn reset(&mut self) {
        self.lines.clear();
        self.batch.clear();
    }
}
