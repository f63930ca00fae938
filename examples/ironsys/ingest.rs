//! Shape 3, streaming ingest: a bounded channel between those who send and the workers that count.
//!
//! When the workers cannot keep up the channel is full, and whoever sends is told so at once, or waits if
//! it is a file: pressure goes back to the source.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ironsys::channel::{self, Receiver, Sender};
use ironsys::pool::Pool;
use ironsys::service::{Ended, Service, StartError};
use ironsys::{BuildError, Context};
use serde_json::Value;

/// Events between the senders and the workers.
pub(crate) const QUEUE: usize = 4_096;
/// The most bytes of a key.
const KEY: usize = 64;
/// The largest value, and the smallest below zero.
const VALUE: f64 = 1e150;
/// The most bytes of a line in a file.
const LINE: usize = 64 * 1024;
/// Keys that are told apart; what comes on top is counted together.
const KEYS: usize = 65_536;
/// Events that are kept for rollups.
const RECENT: usize = 50_000;
const STRIPES: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) key: String,
    pub(crate) value: f64,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyState {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) last: f64,
}

/// A handle on the ingest: for senders, and for those who look at the state.
#[derive(Clone)]
pub(crate) struct Ingest {
    events: Sender<Event>,
    shared: Arc<Shared>,
}

struct Shared {
    hash: RandomState,
    stripes: [Mutex<HashMap<String, KeyState>>; STRIPES],
    recent: Mutex<VecDeque<Event>>,
    counted: AtomicU64,
    refused: AtomicU64,
    bad: AtomicU64,
}

/// A line that may come in pieces, of bytes that may be no text.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    text: String,
}

impl Line {
    /// Reads on; whether the line is whole now.
    fn read(&mut self, reader: &mut impl BufRead) -> io::Result<bool> {
        loop {
            let there = match reader.fill_buf() {
                Ok(there) => there,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = memchr::memchr(b'\n', there);
            let piece = &there[..end.unwrap_or(there.len())];
            // What is longer is no event, however it goes on.
            self.bytes.extend_from_slice(&piece[..piece.len().min(LINE - self.bytes.len())]);
            let (nothing, used) = (there.is_empty(), piece.len() + usize::from(end.is_some()));
            reader.consume(used);
            if nothing || end.is_some() {
                return Ok(end.is_some());
            }
        }
    }

    /// Takes the line; the next one begins.
    fn take(&mut self) -> &str {
        let whole = self.bytes.len() < LINE;
        self.text = String::from_utf8_lossy(&self.bytes).into_owned();
        self.bytes.clear();
        if whole { &self.text } else { "(too long)" }
    }
}

/// Starts the workers as a part of the service.
pub(crate) fn start(
    service: &mut Service,
    workers: usize,
) -> Result<Ingest, StartError<BuildError>> {
    service.start("ingest", |ctx| {
        let (events, queue) = channel::builder(QUEUE).name("events").build()?;
        let shared = Arc::new(Shared {
            hash: RandomState::new(),
            stripes: Default::default(),
            recent: Mutex::new(VecDeque::with_capacity(RECENT)),
            counted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            bad: AtomicU64::new(0),
        });
        let pool = Pool::builder("ingest").workers(workers).queue(workers).context(ctx).build()?;
        for _ in 0..workers {
            let (queue, shared) = (queue.clone(), shared.clone());
            // As many places as workers: there is room.
            let _ = pool.try_submit(move |ctx| shared.work(ctx, &queue));
        }
        let intake = events.clone();
        let part = move |ctx: &Context| {
            intake.close();
            drop(pool.drain(ctx)); // The workers end when the channel is empty.
            Ended::clean().left("events", queue.len() as u64)
        };
        Ok((part, Ingest { events, shared }))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn work(&self, ctx: &Context, queue: &Receiver<Event>) {
        while let Ok(event) = queue.recv(ctx) {
            let stripe = self.hash.hash_one(&event.key) as usize % STRIPES;
            {
                let mut keys = lock(&self.stripes[stripe]);
                let key = match keys.len() < KEYS / STRIPES || keys.contains_key(&event.key) {
                    true => event.key.as_str(),
                    false => "(others)",
                };
                // A key is copied once, not for each of its events.
                let state = match keys.get_mut(key) {
                    Some(state) => state,
                    None => keys.entry(key.to_owned()).or_default(),
                };
                state.count += 1;
                state.sum += event.value;
                state.last = event.value;
            }
            let mut recent = lock(&self.recent);
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(event);
            drop(recent);
            self.counted.fetch_add(1, Relaxed);
        }
    }
}

impl Ingest {
    /// Takes what there is room for, in order; returns how many.
    pub(crate) fn offer(&self, events: Vec<Event>) -> usize {
        let all = events.len();
        let taken = events.into_iter().take_while(|e| self.events.try_send(e.clone()).is_ok());
        let taken = taken.count();
        self.shared.refused.fetch_add((all - taken) as u64, Relaxed);
        taken
    }

    /// Waits for room: for sources that can wait.
    pub(crate) fn put(&self, ctx: &Context, line: &str) -> Result<(), ironsys::Stop> {
        match event(line) {
            Ok(event) => match self.events.send(ctx, event) {
                Err(error) => error.stop().map_or(Ok(()), |stop| Err(stop.clone())),
                Ok(()) => Ok(()),
            },
            Err(_) => {
                self.shared.bad.fetch_add(1, Relaxed);
                Ok(())
            }
        }
    }

    /// Sends the lines of a file, and those that are appended to it later.
    pub(crate) fn follow(&self, ctx: &Context, path: &Path) -> io::Result<()> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let mut reader = BufReader::new(File::open(path).map_err(named)?);
        let mut line = Line::default();
        loop {
            match line.read(&mut reader).map_err(named)? {
                true if self.put(ctx, line.take()).is_err() => return Ok(()),
                true => {}
                // A file does not tell that it has grown: it is asked, as by `tail -f`.
                false if ctx.sleep(Duration::from_millis(200)).is_err() => return Ok(()),
                false => {}
            }
        }
    }

    /// Sends the lines of the standard input to its end.
    pub(crate) fn read_stdin(&self, ctx: &Context) -> io::Result<()> {
        let (mut reader, mut line) = (io::stdin().lock(), Line::default());
        while line.read(&mut reader)? {
            if self.put(ctx, line.take()).is_err() {
                return Ok(());
            }
        }
        // The last line need not have an end.
        match line.take() {
            "" => {}
            last => drop(self.put(ctx, last)), // It ends anyway.
        }
        Ok(())
    }

    /// The state of the keys with the most events.
    pub(crate) fn top(&self, n: usize) -> Vec<(String, KeyState)> {
        let mut all = Vec::new();
        for stripe in &self.shared.stripes {
            all.extend(lock(stripe).iter().map(|(key, state)| (key.clone(), *state)));
        }
        all.sort_unstable_by(|a, b| b.1.count.cmp(&a.1.count).then(a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }

    /// The last events, the oldest in front.
    pub(crate) fn recent(&self) -> Vec<Event> {
        lock(&self.shared.recent).iter().cloned().collect()
    }

    pub(crate) fn keys(&self) -> usize {
        self.shared.stripes.iter().map(|stripe| lock(stripe).len()).sum()
    }

    pub(crate) fn counted(&self) -> u64 {
        self.shared.counted.load(Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Relaxed)
    }

    pub(crate) fn bad(&self) -> u64 {
        self.shared.bad.load(Relaxed)
    }

    pub(crate) fn queue(&self) -> channel::Stats {
        self.events.stats()
    }
}

/// Where events come from besides the API.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    Nats(String),
    Redis(String),
    Stdin,
}

/// Reads events: an array of objects, or one object a line.
pub(crate) fn events(body: &[u8], most: usize) -> Result<Vec<Event>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is no UTF-8")?;
    let found: Result<Vec<Event>, String> = if text.trim_start().starts_with('[') {
        match serde_json::from_str(text).map_err(|e| e.to_string())? {
            Value::Array(values) if values.len() > most => Err(format!("more than {most} events")),
            Value::Array(values) => values.iter().map(object).collect(),
            _ => Err("that is no array".into()),
        }
    } else {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).take(most + 1);
        let numbered = lines.enumerate();
        numbered.map(|(i, line)| event(line).map_err(|e| format!("line {}: {e}", i + 1))).collect()
    };
    let found = found?;
    if found.len() > most {
        return Err(format!("more than {most} events"));
    }
    Ok(found)
}

/// One line: an object, or a key and a number.
fn event(line: &str) -> Result<Event, String> {
    if line.trim_start().starts_with('{') {
        return object(&serde_json::from_str(line).map_err(|e| e.to_string())?);
    }
    let (key, value) = line.trim().split_once(' ').ok_or("there is no key and number")?;
    let value = value.trim().parse().map_err(|_| "the value is no number")?;
    checked(key, value, None)
}

fn object(value: &Value) -> Result<Event, String> {
    let key = value["key"].as_str().ok_or("`key` is no text")?;
    let number = match &value["value"] {
        Value::Null => 1.0,
        number => number.as_f64().ok_or("`value` is no number")?,
    };
    let at = match &value["at"] {
        Value::Null => None,
        at => Some(at.as_u64().ok_or("`at` is no number of milliseconds")?),
    };
    checked(key, number, at)
}

fn checked(key: &str, value: f64, at: Option<u64>) -> Result<Event, String> {
    if key.is_empty() || key.len() > KEY {
        return Err(format!("a key has 1 to {KEY} bytes"));
    }
    // So many that no sum of them is too large for JSON.
    if !(-VALUE..=VALUE).contains(&value) {
        return Err(format!("a value is a number from -{VALUE:e} to {VALUE:e}"));
    }
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(Event { key: key.into(), value, at: at.unwrap_or_else(|| now() as u64) })
}
