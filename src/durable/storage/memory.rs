//! A folder in memory that fails on demand and can lose its power.

use super::{Storage, StorageFile};
use crate::sync::{Arc, Mutex};
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A folder in memory, for tests: it injects errors, and knows what a power cut would leave.
///
/// A clone is another handle to the same folder. [`after_power_cut`](Self::after_power_cut) makes the
/// folder that a machine finds when it comes back: every sector of 512 bytes that was not synced is as
/// written, as before, or zeros; every name that was not synced is there or not, in the order in which
/// names were made.
///
/// ```
/// use ironsys::durable::{Memory, Storage};
/// # fn main() -> std::io::Result<()> {
/// let memory = Memory::new();
/// let file = memory.create("a")?;
/// file.write_at(b"abc", 0)?;
/// file.sync()?;
/// memory.sync_names()?;
/// let later = memory.after_power_cut(7);
/// assert_eq!(later.open("a")?.size()?, 3);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Memory {
    path: PathBuf,
    /// Guards the files, names and faults.
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What was done to the names since they were synced.
    renames: Vec<NameChange>,
    locks: BTreeMap<String, Arc<()>>,
    faults: Vec<Fault>,
    lies: bool,
    syncs: u64,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Made(String, usize),
    Renamed(String, String),
    Removed(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Made(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Renamed(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

/// Which call a [`Fault`] strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultAt {
    /// A write; nothing of it is written.
    Write,
    /// A write; so many bytes of it are written, and the next one fails.
    ShortWrite(usize),
    /// A sync of a file; what was written stays not durable.
    Sync,
    /// A sync of the names.
    SyncNames,
    /// The making of a file.
    Create,
    /// A read.
    Read,
}

/// An error that is to come.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The call it strikes.
    pub at: FaultAt,
    /// How many of these calls are spared before.
    pub skip: u64,
    /// How many are struck then; `u64::MAX` for all.
    pub times: u64,
    /// What they fail with.
    pub error: io::ErrorKind,
}

impl Memory {
    /// Makes an empty folder.
    ///
    /// ```
    /// use ironsys::durable::{Memory, Storage};
    /// let memory = Memory::new();
    /// let same = memory.clone(); // another handle to it
    /// memory.create("a")?;
    /// assert_eq!((same.list()?, Memory::new().list()?), (vec!["a".to_owned()], vec![]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Memory { path: PathBuf::from("memory:"), disk: Arc::new(Mutex::new(Disk::default())) }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Disk) -> R) -> R {
        f(&mut self.disk.lock())
    }

    /// Adds an error that is to come.
    ///
    /// ```
    /// use ironsys::durable::{Fault, FaultAt, Memory, Storage};
    /// use std::io::ErrorKind;
    /// let memory = Memory::new();
    /// memory.fail(Fault { at: FaultAt::Write, skip: 1, times: 1, error: ErrorKind::StorageFull });
    /// let file = memory.create("a")?;
    /// let written = [0; 3].map(|_| file.write_at(b"x", 0).is_ok());
    /// assert_eq!(written, [true, false, true]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail(&self, fault: Fault) {
        self.with(|disk| disk.faults.push(fault));
    }

    /// Takes the errors back that have not come.
    ///
    /// ```
    /// # use ironsys::durable::{Fault, FaultAt, Memory, Storage};
    /// # use std::io::ErrorKind;
    /// # let memory = Memory::new();
    /// let file = memory.create("a")?;
    /// memory.fail(Fault { at: FaultAt::Sync, skip: 0, times: u64::MAX, error: ErrorKind::Other });
    /// assert!(file.sync().is_err());
    /// memory.heal();
    /// assert!(file.sync().is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn heal(&self) {
        self.with(|disk| disk.faults.clear());
    }

    /// Makes every sync say yes and do nothing: a test of the test.
    ///
    /// ```
    /// # use ironsys::durable::{Memory, Storage};
    /// let memory = Memory::new();
    /// memory.create("a")?;
    /// memory.lie();
    /// memory.sync_names()?; // says yes
    /// let lost = (0..9).any(|seed| memory.after_power_cut(seed).open("a").is_err());
    /// assert!(lost);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lie(&self) {
        self.with(|disk| disk.lies = true);
    }

    /// Returns how many times a file was synced.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*, sync::Arc};
    /// # let (ctx, _cancel) = Context::root();
    /// let memory = Memory::new();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// let before = memory.syncs();
    /// outbox.append_many(&ctx, ["a", "b", "c"])?;
    /// assert_eq!(memory.syncs() - before, 1); // one for all three
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.with(|disk| disk.syncs)
    }

    /// Flips one bit of a file, on disk.
    ///
    /// # Errors
    /// There is no such file, or it ends before.
    ///
    /// ```
    /// # use ironsys::durable::{Memory, Storage};
    /// # let memory = Memory::new();
    /// let file = memory.create("a")?;
    /// file.write_at(b"a", 0)?;
    /// memory.flip("a", 0, 1)?;
    /// let mut byte = [0];
    /// file.read_at(&mut byte, 0)?;
    /// assert_eq!(byte, *b"c");
    /// assert!(memory.flip("a", 1, 0).is_err()); // it ends before
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn flip(&self, name: &str, byte: u64, bit: u8) -> io::Result<()> {
        self.with(|disk| {
            let at = usize::try_from(byte).map_err(io::Error::other)?;
            let file = disk.file(name)?;
            let inode = &mut disk.files[file];
            let found = inode.data.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            *found ^= 1 << (bit % 8);
            if let Some(found) = inode.durable.get_mut(at) {
                *found ^= 1 << (bit % 8);
            }
            Ok(())
        })
    }

    /// Returns the folder as it is after a power cut at this moment. `seed` says what became of what
    /// was not synced. Nobody holds a lock on it.
    ///
    /// ```
    /// # use ironsys::durable::{Memory, Storage};
    /// let memory = Memory::new();
    /// let file = memory.create("a")?;
    /// memory.sync_names()?;
    /// file.write_at(b"abc", 0)?;
    /// let size = |seed| memory.after_power_cut(seed).open("a")?.size();
    /// assert!((0..99).any(|seed| size(seed).unwrap() < 3)); // not synced: it may be gone
    /// file.sync()?;
    /// assert!((0..99).all(|seed| size(seed).unwrap() == 3));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Memory {
        let mut dice = Dice(seed);
        let disk = self.with(|disk| {
            let mut names = disk.durable_names.clone();
            let kept = dice.below(disk.renames.len() as u64 + 1) as usize;
            disk.renames[..kept].iter().for_each(|change| change.apply(&mut names));
            let cut = |inode: &Inode| {
                let data = inode.survivors(&mut dice);
                Inode { durable: data.clone(), data }
            };
            let files = disk.files.iter().map(cut).collect();
            Disk { files, durable_names: names.clone(), names, ..Disk::default() }
        });
        Memory { path: self.path.clone(), disk: Arc::new(Mutex::new(disk)) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

impl Inode {
    fn survivors(&self, dice: &mut Dice) -> Vec<u8> {
        let (old, new) = (self.durable.len(), self.data.len());
        // The size, too, is that of some moment since the sync.
        let size = if old == new {
            new
        } else {
            old.min(new) + dice.below(old.abs_diff(new) as u64 + 1) as usize
        };
        let mut out = vec![0; size];
        for (i, sector) in out.chunks_mut(SECTOR).enumerate() {
            let at = i * SECTOR;
            let from = |bytes: &[u8], sector: &mut [u8]| {
                let there = bytes.get(at..).unwrap_or_default();
                let n = there.len().min(sector.len());
                sector[..n].copy_from_slice(&there[..n]);
            };
            let mut before = vec![0; sector.len()];
            from(&self.durable, &mut before);
            from(&self.data, sector);
            if *sector != before[..] {
                match dice.below(3) {
                    0 => {}
                    1 => sector.copy_from_slice(&before),
                    _ if at < old => sector.copy_from_slice(&before),
                    _ => sector.fill(0),
                }
            }
        }
        out
    }
}

impl Disk {
    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The error that strikes this call, and how many bytes it lets through before.
    fn strike(&mut self, is: impl Fn(FaultAt) -> bool) -> Option<(FaultAt, io::Error)> {
        let i = self.faults.iter().position(|fault| is(fault.at) && fault.times > 0)?;
        let fault = &mut self.faults[i];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = if fault.times == u64::MAX { fault.times } else { fault.times - 1 };
        let struck = (fault.at, fault.error.into());
        if let FaultAt::ShortWrite(_) = fault.at {
            fault.at = FaultAt::Write; // The rest of it fails.
        }
        Some(struck)
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.renames.push(change);
    }
}

impl Storage for Memory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.with(|disk| disk.names.keys().cloned().collect()))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.with(|disk| disk.file(name))?;
        Ok(Box::new(Open { memory: self.clone(), file }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.with(|disk| {
            if let Some((_, e)) = disk.strike(|at| at == FaultAt::Create) {
                return Err(e);
            }
            if let Ok(file) = disk.file(name) {
                disk.files[file].data.clear();
                return Ok(file);
            }
            disk.files.push(Inode::default());
            let file = disk.files.len() - 1;
            disk.change(NameChange::Made(name.into(), file));
            Ok(file)
        })?;
        Ok(Box::new(Open { memory: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|disk| {
            disk.file(from)?;
            disk.change(NameChange::Renamed(from.into(), to.into()));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|disk| {
            disk.file(name)?;
            disk.change(NameChange::Removed(name.into()));
            Ok(())
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.with(|disk| {
            if let Some((_, e)) = disk.strike(|at| at == FaultAt::SyncNames) {
                return Err(e);
            }
            if !disk.lies {
                disk.durable_names = disk.names.clone();
                disk.renames.clear();
                for (i, inode) in disk.files.iter_mut().enumerate() {
                    if !disk.names.values().any(|file| *file == i) {
                        *inode = Inode::default(); // Removed for good.
                    }
                }
            }
            Ok(())
        })
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        Ok(self.with(|disk| {
            let lock = disk.locks.entry(name.into()).or_default();
            if Arc::strong_count(lock) > 1 { None } else { Some(Box::new(lock.clone()) as _) }
        }))
    }
}

/// An open file.
#[derive(Debug)]
struct Open {
    memory: Memory,
    file: usize,
}

impl StorageFile for Open {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.memory.with(|disk| {
            if let Some((_, e)) = disk.strike(|at| at == FaultAt::Read) {
                return Err(e);
            }
            let at = usize::try_from(offset).map_err(io::Error::other)?;
            let there = disk.files[self.file].data.get(at..).unwrap_or_default();
            let n = there.len().min(into.len());
            into[..n].copy_from_slice(&there[..n]);
            Ok(n)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.memory.with(|disk| {
            let n = match disk.strike(|at| matches!(at, FaultAt::Write | FaultAt::ShortWrite(_))) {
                Some((FaultAt::ShortWrite(n), _)) => n.min(bytes.len()),
                Some((_, e)) => return Err(e),
                None => bytes.len(),
            };
            let at = usize::try_from(offset).map_err(io::Error::other)?;
            let data = &mut disk.files[self.file].data;
            if data.len() < at + n {
                data.resize(at + n, 0);
            }
            data[at..at + n].copy_from_slice(&bytes[..n]);
            Ok(n)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.memory.with(|disk| {
            disk.syncs += 1;
            if let Some((_, e)) = disk.strike(|at| at == FaultAt::Sync) {
                return Err(e);
            }
            if !disk.lies {
                let inode = &mut disk.files[self.file];
                inode.durable.clone_from(&inode.data);
            }
            Ok(())
        })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.memory.with(|disk| disk.files[self.file].data.len() as u64))
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(io::Error::other)?;
        self.memory.with(|disk| disk.files[self.file].data.resize(size, 0));
        Ok(())
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n.max(1)
    }
}

const SECTOR: usize = 512;
