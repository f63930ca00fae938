//! Events on a disk: appended one by one, by tickets, read back, and opened again. All sides write to
//! the folder of this program, or to `IRONSYS_BENCH_DIR`.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::harness::{Bar, Case, Row, Settings};
use crate::stores::{
    Bare, Event, Fjall, Okaywal, Ours, RaftEngine, ReadBack, Redb, Sqlite, Store, Tickets,
    number_of, thread_of,
};
use crate::{measured, versions};

const RATE: &str = "events/s (more is better)";

pub(crate) fn append_1(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    // What a sync takes drifts within a second by more than the sides differ: many short rounds.
    let many = Settings { rounds: settings.rounds * 8, ..*settings };
    append("durable_append_1", &many, 1, settings.iterations(250))
}

pub(crate) fn append_16(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    append("durable_append_16", settings, 16, settings.iterations(500))
}

/// Every thread appends `n` events, one by one.
fn append(
    name: &'static str,
    settings: &Settings,
    threads: u64,
    n: u64,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut ours = Rounds::<Ours>::new(threads, n)?;
    let mut okaywal = Rounds::<Okaywal>::new(threads, n)?;
    let mut raft_engine = Rounds::<RaftEngine>::new(threads, n)?;
    let mut fjall = Rounds::<Fjall>::new(threads, n)?;
    let mut redb = Rounds::<Redb>::new(threads, n)?;
    let mut sqlite = Rounds::<Sqlite>::new(threads, n)?;
    let mut bare = Rounds::<Bare>::new(threads, n)?;
    let bar = Bar::AtLeast(1.0);
    let rows = Case::new(name, RATE, || ours.round())
        .peer("okaywal", versions::OKAYWAL, bar, || okaywal.round())
        .peer("raft-engine", versions::RAFT_ENGINE, bar, || raft_engine.round())
        .peer("fjall", versions::FJALL, bar, || fjall.round())
        .peer("redb", versions::REDB, bar, || redb.round())
        .peer("sqlite", versions::RUSQLITE, bar, || sqlite.round())
        .limit("a write and a sync in place", || bare.round())
        .measure(settings);
    ours.check();
    okaywal.check();
    raft_engine.check();
    fjall.check();
    redb.check();
    sqlite.check();
    bare.check();
    Ok(rows)
}

pub(crate) fn tickets(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let (n, dir) = (settings.iterations(200_000), folder()?);
    let store = Tickets::open(dir.path());
    let mut done = 0;
    let mut blocking = Rounds::<Ours>::new(1, settings.iterations(2_000))?;
    let rows = Case::new("durable_tickets", RATE, || {
        let start = Instant::now();
        store.append((done + 1..=done + n).map(|number| Event::new(0, number)));
        done += n;
        n as f64 / start.elapsed().as_secs_f64()
    })
    .peer("our blocking append", "-", Bar::AtLeast(30.0), || blocking.round())
    .measure(settings);
    drop(store);
    check::<Ours>(dir.path(), 1, done);
    blocking.check();
    Ok(rows)
}

pub(crate) fn read_back(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let (n, dir) = (settings.iterations(1_000_000), folder()?);
    measured::fill(dir.path(), n)?;
    let mut reader = ReadBack::open(dir.path());
    let case = Case::new("durable_read_back", RATE, || {
        let start = Instant::now();
        reader.read(n);
        n as f64 / start.elapsed().as_secs_f64()
    });
    Ok(case.absolute(Bar::AtLeast(1e6)).measure(settings))
}

pub(crate) fn reopen(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    // The last of four segments, which is read through, is about to end with 1,033,328 events.
    let mut rows = Vec::new();
    for (time, memory, events) in [
        ("durable_reopen_1m", "durable_reopen_1m_memory", 1_000_000),
        ("durable_reopen_full_segment", "durable_reopen_full_segment_memory", 1_033_000),
    ] {
        let (n, dir) = (settings.iterations(events), folder()?);
        measured::fill(dir.path(), n)?;
        let mut peaks = Vec::new();
        let case = Case::new(time, "ms", || {
            let reopened = measured::reopen(dir.path()).expect("it runs");
            assert_eq!(reopened.pending, n);
            peaks.push(reopened.kib as f64 / 1024.0);
            reopened.ms
        });
        rows.extend(case.absolute(Bar::AtMost(50.0)).measure(settings));
        let mut peaks = peaks.into_iter();
        let case = Case::new(memory, "MiB", || peaks.next().expect("one a round"));
        rows.extend(case.absolute(Bar::AtMost(16.0)).measure(settings));
        check::<Ours>(dir.path(), 1, n);
    }
    Ok(rows)
}

/// A store that goes through the rounds.
struct Rounds<S> {
    dir: TempDir,
    store: S,
    threads: u64,
    /// Events that each thread appends in a round, and those it has.
    n: u64,
    done: u64,
}

impl<S: Store> Rounds<S> {
    fn new(threads: u64, n: u64) -> Result<Self, Box<dyn Error>> {
        let dir = folder()?;
        Ok(Rounds { store: S::open(dir.path()), dir, threads, n, done: 0 })
    }

    /// Events a second.
    fn round(&mut self) -> f64 {
        let (store, numbers) = (&self.store, self.done + 1..=self.done + self.n);
        let start = Instant::now();
        thread::scope(|s| {
            for thread in 0..self.threads {
                let numbers = numbers.clone();
                s.spawn(move || numbers.for_each(|n| store.append(&Event::new(thread, n))));
            }
        });
        self.done += self.n;
        (self.threads * self.n) as f64 / start.elapsed().as_secs_f64()
    }

    fn check(self) {
        drop(self.store);
        check::<S>(self.dir.path(), self.threads, self.done);
    }
}

/// Opens a store again: it must have the events 1 to `n` of each thread, each once.
fn check<S: Store>(dir: &Path, threads: u64, n: u64) {
    let mut seen = vec![vec![false; n as usize]; threads as usize];
    S::open(dir).read(&mut |event| {
        let seen = &mut seen[thread_of(event) as usize][number_of(event) as usize - 1];
        assert!(!std::mem::replace(seen, true), "an event is there twice");
    });
    assert!(seen.iter().flatten().all(|seen| *seen), "an event is lost");
}

/// A new folder on the disk that is measured.
fn folder() -> Result<TempDir, Box<dyn Error>> {
    let beside = || env::current_exe().map(|exe| exe.parent().expect("a file's").to_owned());
    let base =
        env::var_os("IRONSYS_BENCH_DIR").map_or_else(beside, |dir| Ok(PathBuf::from(dir)))?;
    Ok(tempfile::tempdir_in(base)?)
}
