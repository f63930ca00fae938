//! Our outbox: as a store, by tickets, read back, and opened with much in it. Beside the file `ours.rs`
//! the one that knows the API of ironsys.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use ironsys::Context;
use ironsys::durable::{Outbox, Reader};

use super::{EVENT, Event, Store, number_of};

pub(crate) struct Ours {
    outbox: Outbox,
    ctx: Context,
}

impl Store for Ours {
    fn open(dir: &Path) -> Self {
        let (ctx, _cancel) = Context::root();
        Ours { outbox: Outbox::open(dir).expect("the outbox opens"), ctx }
    }

    fn append(&self, event: &Event) {
        self.outbox.append(&self.ctx, event.bytes()).expect("the outbox appends");
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        let mut reader = self.outbox.reader("check").expect("nobody else reads");
        while let Some(event) = reader.try_next().expect("the outbox reads") {
            each(&event.body);
        }
    }
}

/// The same with up to [`Tickets::WINDOW`] events on their way to the disk.
pub(crate) struct Tickets(Ours);

impl Tickets {
    const WINDOW: usize = 256;

    pub(crate) fn open(dir: &Path) -> Self {
        Tickets(Ours::open(dir))
    }

    /// Appends events; all are on disk when it returns.
    pub(crate) fn append(&self, events: impl Iterator<Item = Event>) {
        let Ours { outbox, ctx } = &self.0;
        let mut tickets = VecDeque::with_capacity(Self::WINDOW);
        for event in events {
            if tickets.len() == Self::WINDOW {
                let oldest: ironsys::durable::Ticket = tickets.pop_front().expect("a full window");
                oldest.wait(ctx).expect("the outbox writes");
            }
            tickets.push_back(outbox.submit(ctx, event.bytes()).expect("there is room"));
        }
        for ticket in tickets {
            ticket.wait(ctx).expect("the outbox writes");
        }
    }
}

/// A reader that reads all events again in each round.
pub(crate) struct ReadBack(Reader);

impl ReadBack {
    /// Reads a directory that [`fill`] has made.
    pub(crate) fn open(dir: &Path) -> Self {
        let outbox = Outbox::open(dir).expect("the outbox opens");
        ReadBack(outbox.reader("again").expect("nobody else reads"))
    }

    /// Reads so many events, which must be all, by the calls that give each as bytes of its own.
    pub(crate) fn read(&mut self, events: u64) {
        self.0.rewind();
        let mut numbers = 0;
        let mut count = 0;
        while let Some(event) = self.0.try_next().expect("the outbox reads") {
            assert_eq!(event.body.len(), EVENT);
            numbers += number_of(&event.body);
            count += 1;
        }
        assert_eq!((count, numbers), (events, (1..=events).sum()));
    }
}

/// Puts so many events into an outbox, and ends as a process does that is killed: nothing is closed.
pub(crate) fn fill(dir: &Path, events: u64) {
    let ours = Ours::open(dir);
    let all = (1..=events).map(|n| Event::new(0, n));
    let ids = ours.outbox.append_many(&ours.ctx, all.map(|event| event.bytes().to_vec()));
    assert_eq!(ids.map(|ids| ids.count() as u64).expect("the outbox appends"), events);
    std::mem::forget(ours);
}

/// What it took to open an outbox.
#[derive(Debug)]
pub(crate) struct Reopened {
    pub(crate) ms: f64,
    /// By how much the peak of the process's memory grew.
    pub(crate) kib: u64,
    pub(crate) pending: u64,
}

/// Opens a directory in this process, which has done nothing else yet.
pub(crate) fn reopen(dir: &Path) -> Result<Reopened, Box<dyn Error>> {
    let before = peak_kib()?;
    let start = Instant::now();
    let (outbox, report) = Outbox::builder(dir).open_with_report()?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let kib = peak_kib()? - before;
    drop(outbox);
    Ok(Reopened { ms, kib, pending: report.pending })
}

/// The peak of this process's memory: of this program alone, as that of `getrusage` is not.
fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmHWM in /proc/self/status")?.parse()?)
}
