//! Sagas in a process that is killed: at every operation on the disk, and at random moments.

use crate::{Dice, root};
use ironsys::Context;
use ironsys::durable::{Folder, Outbox, Storage, StorageFile};
use ironsys::saga::{Saga, SagaError, Sagas, StepError, Turn};
use std::any::Any;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DIR: &str = "IRONSYS_TEST_SAGAS";
const ROUND: &str = "IRONSYS_TEST_ROUND";
/// How many operations on the disk the child survives.
const DIES_AT: &str = "IRONSYS_TEST_DIES_AT";
const STEPS: [&str; 3] = ["one", "two", "three"];
const A_ROUND: u64 = 6;

/// The journal's folder: the process dies at the nth write or sync, before or after it.
#[derive(Debug, Clone)]
struct Deadly(Folder, Arc<AtomicI64>);

#[derive(Debug)]
struct DeadlyFile(Box<dyn StorageFile>, Arc<AtomicI64>);

fn tick(left: &AtomicI64) {
    if left.fetch_sub(1, Ordering::SeqCst) == 0 {
        signal_hook::low_level::raise(signal_hook::consts::SIGKILL).unwrap();
    }
}

impl Deadly {
    fn file(&self, file: io::Result<Box<dyn StorageFile>>) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(DeadlyFile(file?, self.1.clone())))
    }
}

impl Storage for Deadly {
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.file(self.0.open(name))
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.file(self.0.create(name))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        tick(&self.1);
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        tick(&self.1);
        self.0.remove(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.0.lock(name)
    }
}

impl StorageFile for DeadlyFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        tick(&self.1);
        let done = self.0.write_at(bytes, offset);
        tick(&self.1);
        done
    }
    fn sync(&self) -> io::Result<()> {
        let done = self.0.sync();
        tick(&self.1);
        done
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        tick(&self.1);
        self.0.truncate(size)
    }
}

/// Whether the last step of this saga fails.
fn fails(id: &str) -> bool {
    id.bytes().map(u64::from).sum::<u64>().is_multiple_of(3)
}

/// The effect of a step is a file, by its key; every call is a line.
fn saga(dir: &Path) -> Saga {
    let mut builder = Saga::builder("s");
    let file = |dir: &Path, key: &str| dir.join(key.replace('/', "."));
    let note = |dir: &Path, key: &str| {
        let mut log =
            std::fs::OpenOptions::new().create(true).append(true).open(dir.join("calls"))?;
        log.write_all(format!("{key}\n").as_bytes())
    };
    for step in STEPS {
        let (act, undo) = (dir.join("world"), dir.join("world"));
        builder = builder.step(
            step,
            move |_: &Context, turn: &Turn<'_>| {
                note(&act, turn.key()).map_err(StepError::permanent)?;
                if step == "three" && fails(turn.id()) {
                    return Err(StepError::permanent("no"));
                }
                std::fs::write(file(&act, turn.key()), "").map_err(StepError::permanent)?;
                Ok([turn.state(), b"."].concat())
            },
            move |_: &Context, turn: &Turn<'_>| {
                note(&undo, turn.key()).map_err(StepError::permanent)?;
                let action = turn.key().strip_suffix("/undo").unwrap();
                match std::fs::remove_file(file(&undo, action)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StepError::permanent(e)),
                    _ => Ok(()),
                }
            },
        );
    }
    builder.build().unwrap()
}

fn open(dir: &Path, dies_at: i64) -> Sagas {
    let folder = Folder::new(dir.join("journal")).unwrap();
    let storage = Deadly(folder, Arc::new(AtomicI64::new(dies_at)));
    let outbox = Outbox::over(Arc::new(storage)).segment_bytes(4096).group_bytes(2048);
    Sagas::over(outbox.open().unwrap(), [saga(dir)]).unwrap()
}

/// Not a test by itself: what the killed process does.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let round = std::env::var(ROUND).unwrap();
    let dies_at = std::env::var(DIES_AT).unwrap().parse().unwrap();
    let (ctx, _cancel) = root();
    let sagas = open(Path::new(&dir), dies_at);
    std::io::stdout().lock().write_all(b"\nopen\n").unwrap();
    sagas.resume(&ctx).unwrap();
    for n in 0..A_ROUND {
        match sagas.run(&ctx, "s", &format!("{round}-{n}"), b"") {
            Ok(_) | Err(SagaError::Undone { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path, round: u64, dies_at: i64) -> Guard {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "saga_kill::child", "--nocapture", "--test-threads=1"]);
    child.env(DIR, dir).env(ROUND, round.to_string()).env(DIES_AT, dies_at.to_string());
    Guard(child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
}

/// Brings everything to its end, and looks at the world.
fn check(dir: &Path) {
    let (ctx, _cancel) = root();
    let sagas = open(dir, i64::MAX);
    let resumed = sagas.resume(&ctx).unwrap();
    assert!(resumed.failed.iter().all(SagaError::is_undone), "{resumed:?}");
    assert!(sagas.list().is_empty());
    let calls = std::fs::read_to_string(dir.join("world/calls")).unwrap_or_default();
    let ids: std::collections::BTreeSet<&str> =
        calls.lines().map(|key| key.split('/').next().unwrap()).collect();
    let world = dir.join("world");
    for id in &ids {
        let there = |step: &&str| world.join(format!("{id}.{step}")).exists();
        let done = STEPS.iter().filter(|step| there(step)).count();
        assert_eq!(done, if fails(id) { 0 } else { 3 }, "{id}");
        let undone = calls.lines().any(|key| key == format!("{id}/one/undo"));
        assert_eq!(undone, fails(id), "{id}");
    }
    // Nothing but the keys that there are.
    for key in calls.lines() {
        let parts: Vec<&str> = key.split('/').collect();
        assert!(STEPS.contains(&parts[1]) && (parts.len() == 2 || parts[2..] == ["undo"]), "{key}");
    }
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("world")).unwrap();
    dir
}

#[test]
fn killed_at_every_operation_of_the_journal() {
    let dir = folder();
    let step = if std::env::var_os("IRONSYS_KILLS").is_some() { 1 } else { 5 };
    let mut dies_at = 0;
    loop {
        let mut child = start(dir.path(), dies_at as u64, dies_at);
        let status = child.0.wait().unwrap();
        check(dir.path());
        if status.success() {
            break; // It survived to the end: every operation had its turn.
        }
        dies_at += step;
    }
    assert!(dies_at > 100, "{dies_at}");
}

#[test]
fn killed_at_random_moments() {
    let dir = folder();
    let kills = std::env::var("IRONSYS_KILLS").map_or(15, |n| n.parse().unwrap());
    let mut dice = Dice(5);
    for round in 0..kills {
        let mut child = start(dir.path(), round, i64::MAX);
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        while lines.next().is_some_and(|line| line.unwrap() != "open") {}
        let spins = dice.below(200_000);
        (0..spins).for_each(|_| std::hint::spin_loop());
        drop(child); // Killed.
        check(dir.path());
    }
}
