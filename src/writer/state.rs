//! What is behind a writer: one lock over the buffer, the counts, and who waits.
//!
//! Positions count bytes from the first one accepted. Invariants, whenever the lock is free:
//! 1. `flushed <= written <= accepted`, and `wanted <= accepted`.
//! 2. `accepted = written + in_hand + pending + lost`; `lost` is 0 until the writer fails.
//! 3. `pending + in_hand <= capacity`.
//! 4. If there is something for the thread to do, it is at work, on its way, or its timer runs.

use super::errors::{Failure, Reason, WriteError};
use super::handle::Stats;
use crate::observe::Ledger;
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::wait::{WaitQueue, Wakes};
use std::time::Duration;

pub(super) struct Shared {
    pub(super) name: Arc<str>,
    /// Guards the whole writer.
    state: Mutex<State>,
    _leak: LeakTrack,
}

pub(super) struct State {
    /// Accepted, and not taken by the thread.
    pending: Vec<u8>,
    /// How many bytes the thread has taken and not written yet.
    in_hand: usize,
    capacity: usize,
    /// So many pending bytes are written without waiting for more.
    flush_at: usize,
    /// Whether bytes have a time by which they are to be flushed.
    timed: bool,
    accepted: u64,
    written: u64,
    flushed: u64,
    /// Up to where somebody wants the sink flushed.
    wanted: u64,
    closed: bool,
    failed: Option<Failure>,
    /// What a failure left.
    unwritten: Vec<u8>,
    /// How much of it there was, whoever has it now.
    lost: u64,
    /// Writes waiting for room.
    pub(super) room: WaitQueue,
    pub(super) flushers: WaitQueue,
    /// The thread, when it has nothing to do.
    pub(super) thread: WaitQueue,
    pub(super) counts: Counts,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) writes: u64,
    pub(super) rejected: u64,
    pub(super) peak: usize,
    pub(super) sink_writes: u64,
    pub(super) sink_flushes: u64,
    pub(super) sink_errors: u64,
    pub(super) in_sink: Duration,
}

/// What the thread is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Write what it was given; then flush the sink if that is wanted.
    Write { flush: bool },
    /// Flush the sink: everything is in it.
    Flush,
    /// Look at the time: bytes have come that are to be flushed some time later.
    Time,
    /// End: it is closed, and everything is flushed.
    End,
}

impl Shared {
    pub(super) fn new(name: Arc<str>, capacity: usize, flush_at: usize, timed: bool) -> Self {
        let state = State {
            pending: Vec::new(),
            in_hand: 0,
            capacity,
            flush_at,
            timed,
            accepted: 0,
            written: 0,
            flushed: 0,
            wanted: 0,
            closed: false,
            failed: None,
            unwritten: Vec::new(),
            lost: 0,
            room: WaitQueue::default(),
            flushers: WaitQueue::default(),
            thread: WaitQueue::default(),
            counts: Counts::default(),
        };
        Shared { name, state: Mutex::new(state), _leak: LeakTrack::new() }
    }

    /// Runs one critical section, then wakes whom it chose.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        drop(state);
        wakes.wake();
        out
    }
}

impl State {
    // ===== the callers' side =====

    /// Why a write is refused, if it is, whatever room there is.
    pub(super) fn refusal(&self, bytes: usize) -> Option<WriteError> {
        if let Some(failure) = &self.failed {
            Some(failure.clone().into())
        } else if self.closed {
            Some(WriteError::Closed)
        } else if bytes > self.capacity {
            Some(WriteError::TooLarge { bytes, capacity: self.capacity })
        } else {
            None
        }
    }

    fn free(&self) -> usize {
        self.capacity - self.in_hand - self.pending.len()
    }

    pub(super) fn fits(&self, bytes: usize) -> bool {
        bytes <= self.free()
    }

    /// Accepts bytes if that needs no waiting, and nobody waits.
    #[inline]
    pub(super) fn try_accept(&mut self, bytes: &[u8], wakes: &mut Wakes) -> Result<(), WriteError> {
        if let Some(why) = self.refusal(bytes.len()) {
            return Err(why);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.room.len() != 0 || !self.fits(bytes.len()) {
            return Err(WriteError::Full);
        }
        self.accept(bytes, wakes);
        Ok(())
    }

    pub(super) fn accept(&mut self, bytes: &[u8], wakes: &mut Wakes) {
        let was_clean = self.is_clean();
        self.pending.extend_from_slice(bytes);
        self.accepted += bytes.len() as u64;
        self.counts.writes += 1;
        self.counts.peak = self.counts.peak.max(self.pending.len() + self.in_hand);
        if self.must_write() || self.must_flush() || (was_clean && self.timed) {
            self.thread.notify_one(wakes);
        }
    }

    /// A write that waited is gone, served or not: lets the next one look.
    pub(super) fn pass_on(&mut self, wakes: &mut Wakes) {
        if self.free() != 0 {
            self.room.notify_one(wakes);
        }
    }

    /// Wants everything flushed that is accepted now; returns up to where that is.
    pub(super) fn want_flush(&mut self, wakes: &mut Wakes) -> u64 {
        self.wanted = self.accepted;
        if self.must_flush() {
            self.thread.notify_one(wakes);
        }
        self.accepted
    }

    /// Whether everything up to `position` is flushed; or why it never will be.
    pub(super) fn is_flushed(&self, position: u64) -> Option<Result<(), WriteError>> {
        match &self.failed {
            _ if self.flushed >= position => Some(Ok(())),
            Some(failure) => Some(Err(failure.clone().into())),
            None => None,
        }
    }

    pub(super) fn close(&mut self, wakes: &mut Wakes) {
        if !std::mem::replace(&mut self.closed, true) {
            self.room.notify_all(wakes);
            self.thread.notify_one(wakes);
        }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failed.as_ref()
    }

    pub(super) fn take_unwritten(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unwritten)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    // ===== the thread's side =====

    /// Whether the sink has been flushed since the last byte was accepted.
    fn is_clean(&self) -> bool {
        self.flushed == self.accepted
    }

    fn must_write(&self) -> bool {
        let enough = self.pending.len() >= self.flush_at || self.room.len() != 0;
        enough && !self.pending.is_empty()
    }

    fn must_flush(&self) -> bool {
        self.wanted > self.flushed || (self.closed && !self.is_clean())
    }

    /// Chooses what the thread does next; the bytes to write are swapped into `hand`, which is empty.
    /// `None`: nothing to do.
    pub(super) fn next(&mut self, hand: &mut Vec<u8>, time: Timer) -> Option<Task> {
        let flush = self.must_flush() || (time == Timer::Up && !self.is_clean());
        if !self.pending.is_empty() && (flush || self.must_write()) {
            std::mem::swap(&mut self.pending, hand);
            self.in_hand = hand.len();
            return Some(Task::Write { flush });
        }
        if flush {
            return Some(Task::Flush);
        }
        if self.closed {
            return Some(Task::End);
        }
        (self.timed && time == Timer::Off && !self.is_clean()).then_some(Task::Time)
    }

    /// The sink has taken `n` bytes.
    pub(super) fn wrote(&mut self, n: usize, wakes: &mut Wakes) {
        self.in_hand -= n;
        self.written += n as u64;
        self.room.notify_one(wakes);
    }

    /// The sink was flushed when it had taken everything up to `position`.
    pub(super) fn flushed(&mut self, position: u64, wakes: &mut Wakes) {
        self.flushed = position;
        self.flushers.notify_all(wakes);
    }

    pub(super) fn position(&self) -> u64 {
        self.written
    }

    /// The thread gives up: what it has in hand, and what is pending, stays unwritten.
    pub(super) fn fail(&mut self, reason: Reason, in_hand: &[u8], wakes: &mut Wakes) {
        let (written, flushed) = (self.written, self.flushed);
        self.failed = Some(Failure { reason, written, flushed });
        self.unwritten.extend_from_slice(in_hand);
        self.unwritten.append(&mut self.pending);
        self.in_hand = 0;
        self.lost = self.unwritten.len() as u64;
        self.room.notify_all(wakes);
        self.flushers.notify_all(wakes);
    }

    pub(super) fn stats(&self) -> Stats {
        let buffered = self.pending.len() + self.in_hand;
        let stopped = matches!(&self.failed, Some(Failure { reason: Reason::Stopped(_), .. }));
        Stats {
            ledger: Ledger {
                accepted: self.accepted,
                done: self.written,
                failed: if stopped { 0 } else { self.lost },
                cancelled: if stopped { self.lost } else { 0 },
                dropped: 0,
                in_flight: buffered as u64,
            },
            flushed: self.flushed,
            capacity: self.capacity,
            buffered,
            peak: self.counts.peak,
            blocked: self.room.len(),
            writes: self.counts.writes,
            rejected: self.counts.rejected,
            sink_writes: self.counts.sink_writes,
            sink_flushes: self.counts.sink_flushes,
            sink_errors: self.counts.sink_errors,
            time_in_sink: self.counts.in_sink,
        }
    }
}

/// Where the thread's timer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    Off,
    Runs,
    Up,
}
