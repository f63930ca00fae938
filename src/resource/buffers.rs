//! A pool of byte buffers.

use crate::error::BuildError;
use crate::observe::Ledger;
use crate::sync::{Arc, LeakTrack, Mutex};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Byte buffers that are used again. Taking one never waits: if none is kept, a new one is allocated.
///
/// What the pool keeps is bounded in number and size: at most [`keep`](BufferPoolBuilder::keep)
/// buffers, none larger than [`max_size`](BufferPoolBuilder::max_size); so one huge message does not
/// stay in memory for ever. A buffer is cleared when it comes back, not wiped: what was in it may be
/// found in memory. Cheap to clone; all clones are handles to one pool.
///
/// # Cost
/// One uncontended lock to take and one to return. Worth it for buffers of kilobytes, or where the
/// allocator is contended; measure.
///
/// ```
/// use ironsys::resource::BufferPool;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = BufferPool::builder().keep(8).size(1024).max_size(4096).build()?;
/// let mut buffer = pool.take();
/// buffer.extend_from_slice(b"hello");
/// drop(buffer);
/// let again = pool.take();
/// assert!(again.is_empty() && again.capacity() >= 1024);
/// assert_eq!(pool.stats().reused, 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    keep: usize,
    size: usize,
    max_size: usize,
    /// Guards the buffers kept and the counts.
    state: Mutex<State>,
    _leak: LeakTrack,
}

#[derive(Default)]
struct State {
    kept: Vec<Vec<u8>>,
    allocated: u64,
    reused: u64,
    oversized: u64,
    surplus: u64,
    detached: u64,
    taken: usize,
}

/// Builds a [`BufferPool`]. Made by [`BufferPool::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct BufferPoolBuilder {
    keep: usize,
    size: usize,
    max_size: usize,
}

/// A buffer pool at one moment, taken under its lock: the numbers agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferStats {
    /// Buffers: `accepted` were allocated, `done` were detached, `dropped` were too large or too many
    /// to be kept, `in_flight` are kept or taken.
    pub ledger: Ledger,
    /// Buffers kept now.
    pub kept: usize,
    /// Bytes that these take up.
    pub kept_bytes: usize,
    /// Buffers taken now.
    pub taken: usize,
    /// Times that a kept buffer was taken.
    pub reused: u64,
    /// Buffers that came back too large.
    pub oversized: u64,
    /// Buffers that came back when enough were kept.
    pub surplus: u64,
}

impl BufferPool {
    /// Starts to build a pool.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = BufferPool::builder().keep(8).build()?;
    /// assert!(pool.take().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn builder() -> BufferPoolBuilder {
        BufferPoolBuilder { keep: 64, size: 8 * 1024, max_size: 256 * 1024 }
    }

    /// Takes an empty buffer. Never waits.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = BufferPool::builder().build()?;
    /// let mut buffer = pool.take();
    /// buffer.extend_from_slice(b"hello");
    /// drop(buffer); // back into the pool, cleared
    /// assert!(pool.take().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn take(&self) -> Buffer {
        let kept = {
            let mut state = self.shared.state.lock();
            let kept = state.kept.pop();
            state.taken += 1;
            *(if kept.is_some() { &mut state.reused } else { &mut state.allocated }) += 1;
            kept
        };
        let bytes = kept.unwrap_or_else(|| Vec::with_capacity(self.shared.size));
        Buffer { pool: self.shared.clone(), bytes, is_out: false }
    }

    /// Returns the counts of the pool.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = BufferPool::builder().build()?;
    /// let _buffer = pool.take();
    /// assert_eq!((pool.stats().taken, pool.stats().kept), (1, 0));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> BufferStats {
        let state = self.shared.state.lock();
        BufferStats {
            ledger: Ledger {
                accepted: state.allocated,
                done: state.detached,
                dropped: state.oversized + state.surplus,
                in_flight: (state.kept.len() + state.taken) as u64,
                ..Ledger::default()
            },
            kept: state.kept.len(),
            kept_bytes: state.kept.iter().map(Vec::capacity).sum(),
            taken: state.taken,
            reused: state.reused,
            oversized: state.oversized,
            surplus: state.surplus,
        }
    }
}

impl BufferPoolBuilder {
    /// Sets how many buffers are kept at most. The default is 64; with 0 none is.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = BufferPool::builder().keep(0).build()?;
    /// drop(pool.take());
    /// assert_eq!(pool.stats().kept, 0);
    /// # Ok(()) }
    /// ```
    pub fn keep(mut self, buffers: usize) -> Self {
        self.keep = buffers;
        self
    }

    /// Sets how many bytes a new buffer has room for. The default is 8 KiB; 0 allocates nothing until
    /// something is put in.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = BufferPool::builder().size(100).build()?;
    /// assert!(pool.take().capacity() >= 100);
    /// # Ok(()) }
    /// ```
    pub fn size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }

    /// Sets above which capacity a buffer is not kept. The default is 256 KiB; `usize::MAX` keeps all.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = BufferPool::builder().size(16).max_size(100).build()?;
    /// pool.take().resize(1000, 0);
    /// assert_eq!((pool.stats().kept, pool.stats().oversized), (0, 1));
    /// # Ok(()) }
    /// ```
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// Makes the pool, without any buffer.
    ///
    /// # Errors
    /// `size`: more than `max_size`, so that no buffer would be kept, or more than a `Vec` can hold.
    ///
    /// ```
    /// # use ironsys::resource::BufferPool;
    /// assert!(BufferPool::builder().size(100).max_size(10).build().is_err());
    /// ```
    pub fn build(self) -> Result<BufferPool, BuildError> {
        let BufferPoolBuilder { keep, size, max_size } = self;
        if size > max_size {
            let problem = format!("must be at most {max_size}, which is max_size");
            return Err(BuildError::new("buffer pool", "size", problem));
        }
        if size > isize::MAX.unsigned_abs() {
            return Err(BuildError::new("buffer pool", "size", "is more than memory has"));
        }
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { keep, size, max_size, state, _leak: LeakTrack::new() });
        Ok(BufferPool { shared })
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("keep", &self.shared.keep).finish_non_exhaustive()
    }
}

// ===== impl Buffer =====

/// A `Vec<u8>` of a pool, returned when this is dropped. Made by [`BufferPool::take`].
pub struct Buffer {
    pool: Arc<Shared>,
    bytes: Vec<u8>,
    is_out: bool,
}

impl Buffer {
    /// Takes the vector out of the pool for good.
    ///
    /// ```
    /// use ironsys::resource::BufferPool;
    /// let pool = BufferPool::builder().build().unwrap();
    /// let mut buffer = pool.take();
    /// buffer.push(7);
    /// assert_eq!(buffer.detach(), [7]);
    /// assert_eq!((pool.stats().taken, pool.stats().ledger.done), (0, 1));
    /// ```
    #[must_use]
    pub fn detach(mut self) -> Vec<u8> {
        self.is_out = true;
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut state = self.pool.state.lock();
        state.taken -= 1;
        if self.is_out {
            state.detached += 1;
        } else if bytes.capacity() > self.pool.max_size {
            state.oversized += 1;
        } else if state.kept.len() >= self.pool.keep {
            state.surplus += 1;
        } else {
            state.kept.push(std::mem::take(&mut bytes));
        }
        drop(state);
        drop(bytes); // Freed outside of the lock.
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
