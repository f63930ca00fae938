//! A semaphore's two ways: the word for those who find permits free, the line for everybody else.
//!
//! The protocol is in `README.md`.

use super::errors::{AcquireError, TryAcquireError};
use super::line::{BUSY, Line, less, more};
use crate::context::Op;
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering, planted};
use crate::wait::{Lends, Waiter, Wakes, key};

pub(super) struct Shared {
    /// What is free, for those who need no line; or [`BUSY`]: ask the line. See [`Line::word`].
    word: AtomicU64,
    /// Guards the whole semaphore, and the word while that is `BUSY`.
    line: Mutex<Line>,
    pub(super) name: Option<Arc<str>>,
    _leak: LeakTrack,
}

impl Shared {
    pub(super) fn new(name: Option<Arc<str>>, permits: usize) -> Self {
        let line = Line::new(permits);
        let word = AtomicU64::new(line.word().unwrap_or(BUSY));
        Shared { word, line: Mutex::new(line), name, _leak: LeakTrack::new() }
    }

    /// Takes permits if they are free and nobody waits for them; `false`: ask the line.
    #[inline]
    pub(super) fn take(&self, permits: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while let Some(less) = less(word, permits) {
            // Acquire: of what was done under the permits before they came back.
            match self.word.compare_exchange(word, less, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    #[inline]
    pub(super) fn give_back(&self, permits: usize) {
        let mut word = self.word.load(Ordering::Relaxed);
        while let Some(more) = more(word, permits) {
            // Release: of what was done under the permits.
            match self.word.compare_exchange(word, more, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
        self.give_back_to_the_line(permits);
    }

    #[cold]
    fn give_back_to_the_line(&self, permits: usize) {
        self.with(|line, wakes| line.give_back(permits, wakes));
    }

    /// Runs one critical section, then wakes whom it chose.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Line, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut line = self.line.lock();
        // Relaxed: whoever made it BUSY had the lock.
        if self.word.load(Ordering::Relaxed) & BUSY == 0 {
            // Acquire and Release: what a fast path orders goes on through the lock.
            line.collect(self.word.swap(BUSY, Ordering::AcqRel));
        }
        let out = f(&mut line, &mut wakes);
        if let Some(word) = line.word() {
            self.word.store(word, Ordering::Release);
        }
        drop(line);
        wakes.wake();
        out
    }
}

impl Lends for Shared {
    fn out(&self) -> usize {
        self.with(|line, _| line.in_use)
    }

    fn key(&self) -> usize {
        key(self)
    }
}

// ===== impl Acquire =====

/// An acquire under way.
pub(super) struct Acquire<'a> {
    shared: &'a Shared,
    asked: usize,
    /// Its number in the line; 0 before it has one.
    id: u64,
}

impl<'a> Acquire<'a> {
    pub(super) fn new(shared: &'a Shared, asked: usize) -> Self {
        Acquire { shared, asked, id: 0 }
    }
}

impl Op for Acquire<'_> {
    type Out = Result<(), AcquireError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let Acquire { shared, asked, ref mut id } = *self;
        shared.with(|line, _| {
            if *id != 0 {
                return line.look(*id);
            }
            let why = match line.take(asked) {
                Ok(()) => return Some(Ok(())),
                Err(TryAcquireError::NoPermits) => {
                    *id = line.enter(asked, waiter);
                    return None;
                }
                Err(TryAcquireError::Closed) => AcquireError::Closed,
                Err(TryAcquireError::TooMany { asked, capacity }) => {
                    AcquireError::TooMany { asked, capacity }
                }
            };
            line.counts.rejected += 1;
            Some(Err(why))
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let id = std::mem::take(&mut self.id);
        if id == 0 {
            return None;
        }
        let out = self.shared.with(|line, wakes| line.leave(id, wakes));
        // Granted at the last moment: it did happen, and the caller gets its permit.
        out.filter(|out| out.is_err() || !planted("lost_grant"))
    }
}
