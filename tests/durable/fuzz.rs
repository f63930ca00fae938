//! A log of which the bytes are anything: it is opened and read, or refused, without a panic, without
//! reading or holding more than the files have, and no event is read that was not written.
//! `IRONSYS_FUZZ` says how many logs; ten million take some minutes on two cores:
//! `IRONSYS_FUZZ=10000000 cargo test --release --test durable fuzz -- --nocapture`.

use crate::{Dice, root};
use ironsys::durable::{Memory, OnDamage, Outbox, Storage, StorageFile};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Notes the largest read.
#[derive(Debug, Clone)]
struct Watched(Memory, Arc<AtomicUsize>);

#[derive(Debug)]
struct WatchedFile(Box<dyn StorageFile>, Arc<AtomicUsize>);

impl Storage for Watched {
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(WatchedFile(self.0.open(name)?, self.1.clone())))
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(WatchedFile(self.0.create(name)?, self.1.clone())))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.0.lock(name)
    }
}

impl StorageFile for WatchedFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.fetch_max(into.len(), Ordering::Relaxed);
        self.0.read_at(into, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.truncate(size)
    }
}

type Files = Vec<(String, Vec<u8>)>;

/// A log of three segments with a reader, and its events.
fn written() -> (Files, BTreeMap<u64, Vec<u8>>) {
    let (ctx, _cancel) = root();
    let (memory, mut events) = (Memory::new(), BTreeMap::new());
    let outbox = Outbox::over(Arc::new(memory.clone())).segment_bytes(4096).group_bytes(1024);
    let outbox = outbox.open().unwrap();
    let mut reader = outbox.reader("r").unwrap();
    for n in 0..70_u8 {
        let body = vec![n; usize::from(n) * 5 % 300];
        events.insert(outbox.append(&ctx, &body).unwrap(), body);
    }
    let first = reader.try_next().unwrap().unwrap();
    reader.ack(first.id).unwrap();
    drop((reader, outbox));
    let read = |name: String| {
        let file = memory.open(&name).unwrap();
        let mut bytes = vec![0; file.size().unwrap() as usize];
        let got = file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(got, bytes.len());
        (name, bytes)
    };
    let files: Files = memory.list().unwrap().into_iter().map(read).collect();
    assert!(files.iter().filter(|(name, _)| name.ends_with(".seg")).count() >= 3);
    (files, events)
}

/// Does something to a file.
fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let len = bytes.len() as u64;
    let at = dice.below(len) as usize;
    match dice.below(7) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << dice.below(8)),
        1 => {
            let n = 1 + dice.below(64) as usize;
            bytes.iter_mut().skip(at).take(n).for_each(|b| *b = dice.below(256) as u8);
        }
        2 => bytes.truncate(at),
        3 => bytes.extend((0..dice.below(600)).map(|_| dice.below(256) as u8)),
        4 => bytes.iter_mut().for_each(|b| *b = dice.below(256) as u8),
        // Frames that verify, where they do not belong.
        5 => {
            let (from, n) = (dice.below(len) as usize / 4 * 4, 4 * dice.below(200) as usize);
            let piece: Vec<u8> = bytes.iter().skip(from).take(n).copied().collect();
            bytes.iter_mut().skip(at / 4 * 4).zip(piece).for_each(|(to, b)| *to = b);
        }
        // A length that lies.
        _ => bytes.iter_mut().skip(at / 4 * 4).take(4).for_each(|b| *b = 0xff),
    }
}

/// What became of some logs.
#[derive(Debug, Default)]
struct Tally {
    opened: u64,
    refused: u64,
    read: u64,
    damaged: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.opened += other.opened;
        self.refused += other.refused;
        self.read += other.read;
        self.damaged += other.damaged;
    }
}

/// Spoils a log as `seed` says, opens it and reads it to its end.
fn one(
    seed: u64,
    files: &Files,
    events: &BTreeMap<u64, Vec<u8>>,
    largest: &Arc<AtomicUsize>,
) -> Tally {
    let mut tally = Tally::default();
    let mut dice = Dice(seed);
    let memory = Memory::new();
    let mut spoilt = files.clone();
    for _ in 0..1 + dice.below(4) {
        let n = dice.below(spoilt.len() as u64) as usize;
        spoil(&mut spoilt[n].1, &mut dice);
    }
    for (name, bytes) in &spoilt {
        assert_eq!(memory.create(name).unwrap().write_at(bytes, 0).unwrap(), bytes.len());
    }
    let what = [OnDamage::Open, OnDamage::Refuse][dice.below(2) as usize];
    let storage = Watched(memory, largest.clone());
    let outbox = Outbox::over(Arc::new(storage)).segment_bytes(4096).group_bytes(1024);
    let Ok(outbox) = outbox.on_damage(what).open() else {
        tally.refused += 1;
        return tally;
    };
    tally.opened += 1;
    let mut reader = outbox.reader("r").unwrap();
    let mut last = 0;
    loop {
        match reader.try_next() {
            Ok(Some(event)) => {
                assert!(event.id > last, "seed {seed}");
                last = event.id;
                assert_eq!(Some(&event.body), events.get(&event.id), "seed {seed}: invented");
                tally.read += 1;
            }
            Ok(None) => return tally,
            Err(_) => {
                tally.damaged += 1;
                let before = reader.position();
                match reader.skip_damage() {
                    Ok(_) if reader.position() > before => {}
                    _ => return tally,
                }
            }
        }
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    let logs: u64 = std::env::var("IRONSYS_FUZZ").map_or(20_000, |n| n.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (files, events) = written();
    let (files, events) = (&files, &events);
    let largest_file = files.iter().map(|(_, bytes)| bytes.len()).max().unwrap() + 4 * 600;
    let largest = Arc::new(AtomicUsize::new(0));
    let mut sum = Tally::default();
    std::thread::scope(|s| {
        let largest = &largest;
        let work = |first: u64| {
            let mut tally = Tally::default();
            for seed in (first..logs).step_by(threads as usize) {
                tally.add(&one(seed, files, events, largest));
            }
            tally
        };
        let all: Vec<_> = (0..threads).map(|first| s.spawn(move || work(first))).collect();
        for tally in all {
            match tally.join() {
                Ok(tally) => sum.add(&tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let Tally { opened, refused, read, damaged } = sum;
    let largest = largest.load(Ordering::Relaxed);
    assert!(largest <= largest_file.max(8192), "a read of {largest} bytes");
    assert!(logs < 1000 || (opened > logs / 10 && refused > 0 && damaged > 0 && read > logs));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{logs} logs: {opened} opened, {refused} refused, {read} events read, {damaged} damaged places"
    )
    .unwrap();
}
