//! Computing on all cores, under a context: the bridge to rayon.
//!
//! rayon's threads compute and never block; threads of this library may block and never compute for
//! long. So CPU work goes through here: it is split into chunks, the context is checked between
//! them, and a panic comes back as a value. Do not block inside: no channel, no lock that is held
//! for long, no I/O.
//!
//! ```
//! use ironsys::{Context, cpu};
//! # fn main() -> Result<(), cpu::CpuError> {
//! let (ctx, _cancel) = Context::root();
//! let squares = cpu::map(&ctx, 1..=4_u64, |n| n * n)?;
//! assert_eq!(squares, [1, 4, 9, 16]);
//! # Ok(()) }
//! ```

use crate::context::{Context, Stop};
use crate::error::BuildError;
use crate::panics::{self, Panicked};
use crate::sync::{Mutex, catch_unwind, cpu::Cores, thread};
use std::fmt;
use std::panic::Location;

/// Why a computation has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// The context stopped before every chunk was done.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// A chunk panicked; the rest were not begun.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// Above this a "number of processors" is a mistake.
const MAX_THREADS: usize = 1 << 12;

/// Processors to compute on: rayon's process-wide pool, or one of its own. Cheap to clone.
#[derive(Clone)]
pub struct Cpu {
    cores: Cores,
}

impl Cpu {
    /// Uses rayon's process-wide pool, which other crates share.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, Cpu, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Cpu::global().map(&ctx, 1..4, |n| n * n)?, [1, 4, 9]);
    /// # Ok::<(), CpuError>(())
    /// ```
    #[must_use]
    pub fn global() -> Self {
        Cpu { cores: Cores::global() }
    }

    /// Starts a rayon pool with so many threads; they end some time after the last clone is dropped.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `threads`: 0, or more than 4,096, or the system has none left to
    /// give.
    ///
    /// ```
    /// use ironsys::{Context, cpu::Cpu};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let cpu = Cpu::with_threads("hash", 2)?;
    /// assert_eq!(cpu.run(&ctx, || 6 * 7)?, 42);
    /// # Ok(()) }
    /// ```
    pub fn with_threads(name: impl Into<String>, threads: usize) -> Result<Self, BuildError> {
        let (name, wrong) = (name.into(), |field, what| BuildError::new("cpu", field, what));
        if name.contains('\0') {
            return Err(wrong("name", "holds a zero byte".into()));
        }
        if threads == 0 || threads > MAX_THREADS {
            let problem = format!("must be between 1 and {MAX_THREADS}, not {threads}");
            return Err(wrong("threads", problem));
        }
        Cores::own(threads, name).map(|cores| Cpu { cores }).map_err(|e| wrong("threads", e))
    }

    /// Returns how many threads compute.
    ///
    /// ```
    /// assert_eq!(ironsys::cpu::Cpu::with_threads("hash", 2)?.threads(), 2);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn threads(&self) -> usize {
        self.cores.threads()
    }

    /// Runs `f` on one of the pool's threads and waits for it.
    ///
    /// # Cancellation
    /// Not begun if `ctx` is stopped. Once begun it runs to its end: check the context inside.
    ///
    /// # Errors
    /// The context is stopped, or `f` panicked.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, Cpu, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let cpu = Cpu::global();
    /// assert_eq!(cpu.run(&ctx, || (1..=5).product::<u32>())?, 120);
    /// assert!(matches!(cpu.run(&ctx, || panic!("no")), Err::<(), _>(CpuError::Panicked(_))));
    /// # Ok::<(), CpuError>(())
    /// ```
    #[track_caller]
    pub fn run<R: Send>(&self, ctx: &Context, f: impl FnOnce() -> R + Send) -> Result<R, CpuError> {
        let work = Mutex::new(Some(f));
        let out = Mutex::new(None);
        self.chunks(ctx, 1, &|_| {
            let f = work.lock().take();
            if let Some(f) = f {
                let r = f();
                *out.lock() = Some(r);
            }
        })?;
        out.into_inner().ok_or_else(|| ctx.check().err().unwrap_or(Stop::DeadlineExceeded).into())
    }

    /// Applies `f` to every item, in parallel, and returns the results in the order of the items.
    ///
    /// # Cancellation
    /// Checked before each chunk; there are eight chunks a thread.
    ///
    /// # Errors
    /// The context stopped, or `f` panicked: the first panic, the rest is dropped.
    ///
    /// # Cost
    /// The items are collected first. Worth it from some 10 µs of work in all.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, Cpu, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let lengths = Cpu::global().map(&ctx, ["a", "bcd"], str::len)?;
    /// assert_eq!(lengths, [1, 3]);
    /// # Ok::<(), CpuError>(())
    /// ```
    #[track_caller]
    pub fn map<T, R, F>(
        &self,
        ctx: &Context,
        items: impl IntoIterator<Item = T>,
        f: F,
    ) -> Result<Vec<R>, CpuError>
    where
        T: Send,
        R: Send,
        F: Fn(T) -> R + Sync,
    {
        let chunks = self.split(items);
        let out: Vec<_> = chunks.iter().map(|_| Mutex::new(Vec::new())).collect();
        self.chunks(ctx, chunks.len(), &|i| {
            let items = std::mem::take(&mut *chunks[i].lock());
            let results: Vec<R> = items.into_iter().map(&f).collect();
            *out[i].lock() = results;
        })?;
        Ok(out.into_iter().flat_map(Mutex::into_inner).collect())
    }

    /// Calls `f` with every item, in parallel.
    ///
    /// # Cancellation
    /// As for [`map`](Self::map).
    ///
    /// # Errors
    /// As for [`map`](Self::map).
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, Cpu, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let mut image = vec![1_u8; 1000];
    /// Cpu::global().for_each(&ctx, image.chunks_mut(100), |row| row.fill(7))?;
    /// assert!(image.iter().all(|pixel| *pixel == 7));
    /// # Ok::<(), CpuError>(())
    /// ```
    #[track_caller]
    pub fn for_each<T, F>(
        &self,
        ctx: &Context,
        items: impl IntoIterator<Item = T>,
        f: F,
    ) -> Result<(), CpuError>
    where
        T: Send,
        F: Fn(T) + Sync,
    {
        self.map(ctx, items, f).map(drop)
    }

    /// Cuts the items so that threads that are faster find more to do.
    fn split<T>(&self, items: impl IntoIterator<Item = T>) -> Vec<Mutex<Vec<T>>> {
        let mut items: Vec<T> = items.into_iter().collect();
        let size = items.len().div_ceil(self.threads().max(1) * 8).max(1);
        let mut chunks = Vec::with_capacity(items.len().div_ceil(size));
        while !items.is_empty() {
            let rest = items.split_off(items.len().saturating_sub(size));
            chunks.push(Mutex::new(rest));
        }
        chunks.reverse(); // They were cut from the end.
        chunks
    }

    /// Runs `f` for each chunk; after a stop or a panic no chunk begins.
    #[track_caller]
    fn chunks(&self, ctx: &Context, n: usize, f: &(dyn Fn(usize) + Sync)) -> Result<(), CpuError> {
        let at = Location::caller();
        ctx.check()?;
        let failed: Mutex<Option<CpuError>> = Mutex::new(None);
        self.cores.each(n, &|i| {
            if failed.lock().is_some() {
                return;
            }
            let result = match ctx.check() {
                Err(stop) => Err(CpuError::Stopped(stop)),
                Ok(()) => catch_unwind(|| f(i))
                    .map_err(|payload| Panicked::new(format!("chunk {i}"), at, payload).into()),
            };
            if let Err(e) = result {
                let late = {
                    let mut failed = failed.lock();
                    if failed.is_some() { Some(e) } else { failed.replace(e) }
                };
                panics::discard(late);
            }
        });
        failed.into_inner().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cpu").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

/// Applies `f` to every item on the process-wide pool, see [`Cpu::map`].
///
/// # Cancellation
/// Checked before each chunk.
///
/// # Errors
/// The context stopped, or `f` panicked.
///
/// ```
/// # use ironsys::{Context, cpu::{self, Cpu, CpuError}};
/// # let (ctx, _cancel) = Context::root();
/// assert_eq!(cpu::map(&ctx, ["a", "bcd"], str::len)?, [1, 3]);
/// # Ok::<(), CpuError>(())
/// ```
#[track_caller]
pub fn map<T, R, F>(
    ctx: &Context,
    items: impl IntoIterator<Item = T>,
    f: F,
) -> Result<Vec<R>, CpuError>
where
    T: Send,
    R: Send,
    F: Fn(T) -> R + Sync,
{
    Cpu::global().map(ctx, items, f)
}

/// Calls `f` with every item on the process-wide pool, see [`Cpu::for_each`].
///
/// # Cancellation
/// Checked before each chunk.
///
/// # Errors
/// The context stopped, or `f` panicked.
///
/// ```
/// use ironsys::{Context, cpu, sync::{AtomicUsize, Ordering}};
/// # fn main() -> Result<(), cpu::CpuError> {
/// let (ctx, _cancel) = Context::root();
/// let sum = AtomicUsize::new(0);
/// cpu::for_each(&ctx, 0..100, |n| { sum.fetch_add(n, Ordering::Relaxed); })?;
/// assert_eq!(sum.into_inner(), 4950);
/// # Ok(()) }
/// ```
#[track_caller]
pub fn for_each<T, F>(
    ctx: &Context,
    items: impl IntoIterator<Item = T>,
    f: F,
) -> Result<(), CpuError>
where
    T: Send,
    F: Fn(T) + Sync,
{
    Cpu::global().for_each(ctx, items, f)
}

/// Runs `f` on the process-wide pool, see [`Cpu::run`].
///
/// # Cancellation
/// Not begun if `ctx` is stopped.
///
/// # Errors
/// The context is stopped, or `f` panicked.
///
/// ```
/// # use ironsys::{Context, cpu::{self, Cpu, CpuError}};
/// # let (ctx, _cancel) = Context::root();
/// assert_eq!(cpu::run(&ctx, || (1..=5).product::<u32>())?, 120);
/// # Ok::<(), CpuError>(())
/// ```
#[track_caller]
pub fn run<R: Send>(ctx: &Context, f: impl FnOnce() -> R + Send) -> Result<R, CpuError> {
    Cpu::global().run(ctx, f)
}

/// Returns how many processors the machine has; at least 1.
///
/// ```
/// assert!(ironsys::cpu::available() >= 1);
/// ```
#[must_use]
pub fn available() -> usize {
    thread::available_parallelism()
}
