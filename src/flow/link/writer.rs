//! The end of a link that a segment gives to.

use super::super::cx::Cx;
use super::super::monitor::LinkMeter;
use super::super::stage::Halt;
use super::Link;
use crate::context::Op;
use crate::panics;
use crate::sync::{self, Arc, MODEL};
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Gives items to a link, in chunks. Dropped without [`finish`](Writer::finish) it breaks the link:
/// the reader halts.
pub(in super::super) struct Writer<T: Send> {
    link: Arc<Link<T>>,
    lane: usize,
    /// Collected, not given yet.
    chunk: VecDeque<T>,
    /// The chunk is given when it has so many items; at most `most`.
    size: usize,
    most: usize,
    finished: bool,
    /// When the chunk before was given.
    since: Option<Instant>,
}

/// Items are collected only while they come at this pace or faster: what may block or takes its time
/// pays the lock for each, and nothing it has made waits for what it makes next.
const FAST: Duration = Duration::from_nanos(500);

impl<T: Send> Writer<T> {
    pub(super) fn new(link: Arc<Link<T>>, lane: usize, most: usize) -> Self {
        let size = if MODEL { most } else { 1 };
        let chunk = VecDeque::new();
        Writer { link, lane, chunk, size, most, finished: false, since: None }
    }

    /// One more writer of the same lane; the link was made for it.
    pub(in super::super) fn sibling(&self) -> Self {
        Writer::new(self.link.clone(), self.lane, self.most)
    }

    /// The writer of another lane; the link was made for it.
    pub(in super::super) fn of_lane(&self, lane: usize) -> Self {
        Writer::new(self.link.clone(), lane, self.most)
    }

    /// Whether items are given one by one: what makes them may block and say nothing.
    pub(in super::super) fn set_eager(&mut self, eager: bool) {
        if eager {
            (self.size, self.most) = (1, 1);
        }
    }

    /// What reports look at.
    pub(in super::super) fn meter(&self) -> (Arc<LinkMeter>, usize) {
        (self.link.meter.clone(), self.lane)
    }

    /// Gives an item, or keeps it back for a moment. Waits while the link is full.
    #[inline]
    pub(in super::super) fn push(&mut self, item: T, cx: &Cx) -> Result<(), Halt> {
        if self.add(item) { self.flush(cx) } else { Ok(()) }
    }

    /// Adds an item to what is kept back; `true` if that is to be flushed.
    #[inline]
    pub(in super::super) fn add(&mut self, item: T) -> bool {
        self.chunk.push_back(item);
        self.chunk.len() >= self.size || self.link.is_hungry()
    }

    /// Gives everything that was kept back. Waits while the link is full.
    #[inline(never)]
    pub(in super::super) fn flush(&mut self, cx: &Cx) -> Result<(), Halt> {
        if !self.try_flush()? {
            Flush { writer: self, place: Place::default() }.wait(cx)?;
            self.begin();
        }
        Ok(())
    }

    /// Gives of what was kept back as much as there is room for; `false` if something is left.
    pub(in super::super) fn try_flush(&mut self) -> Result<bool, Halt> {
        let count = self.chunk.len();
        if count == 0 {
            return Ok(true);
        }
        if let Some(since) = self.since.take() {
            let now = sync::time::now();
            let took = now.saturating_duration_since(since).as_nanos() as u64;
            let fast = took / count as u64 <= FAST.as_nanos() as u64;
            self.size = if fast { self.most.min(self.size * 2) } else { 1 };
            // If it need not wait, the next chunk begins now.
            self.since = Some(now);
        }
        let mut op = Flush { writer: self, place: Place::default() };
        let Some(out) = op.try_now() else {
            self.since = None;
            return Ok(false);
        };
        out?;
        if self.since.is_none() {
            self.begin();
        }
        Ok(true)
    }

    /// The next chunk begins.
    #[inline]
    fn begin(&mut self) {
        if self.most > 1 && !MODEL {
            self.since = Some(sync::time::now());
        }
    }

    /// Nothing more will come. The chunk has been flushed.
    pub(in super::super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl<T: Send> Drop for Writer<T> {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.chunk);
        self.link.with(|state, wakes| {
            let lane = &mut state.lanes[self.lane];
            lane.accepted += left.len() as u64;
            lane.writers -= 1;
            state.dropped += left.len() as u64;
            state.broken |= !self.finished;
            if state.is_ready() {
                state.waiting.notify_all(wakes);
            }
        });
        panics::discard(left);
    }
}

/// A chunk on its way into the link.
struct Flush<'a, T: Send> {
    writer: &'a mut Writer<T>,
    place: Place,
}

impl<T: Send> Flush<'_, T> {
    /// Gives what there is room for; `None` if something is left.
    fn give(&mut self, waiter: Option<&Arc<Waiter>>) -> Option<Result<(), Halt>> {
        let Flush { writer: Writer { link, lane, chunk, .. }, place } = self;
        let lane = *lane;
        link.with(|state, wakes| {
            let gone = state.readers == 0;
            let room = if gone { 0 } else { state.room(lane) };
            let count = room.min(chunk.len());
            let this = &mut state.lanes[lane];
            this.accepted += count as u64;
            if count == chunk.len() {
                this.queue.append(chunk);
            } else {
                this.queue.extend(chunk.drain(..count));
            }
            if count > 0 {
                state.waiting.notify_one(wakes);
            }
            let this = &mut state.lanes[lane];
            if gone || chunk.is_empty() {
                this.waiting.leave(place);
                state.admit(lane, wakes);
                return Some(if gone { Err(Halt) } else { Ok(()) });
            }
            if let Some(waiter) = waiter {
                this.waiting.enter(place, waiter);
            }
            None
        })
    }

    fn try_now(&mut self) -> Option<Result<(), Halt>> {
        self.give(None)
    }

    #[inline(never)]
    fn wait(mut self, cx: &Cx) -> Result<(), Halt> {
        let link = self.writer.link.clone();
        // loom: unreached: a model never spins.
        if link.spins.spin(|| link.roomy.load(sync::Ordering::Relaxed))
            && let Some(out) = self.try_now()
        {
            return out;
        }
        let site = Site::new(WaitKind::Send, Some(link.meter.name().clone()));
        let lane = self.writer.lane;
        link.meter.full(lane, || cx.ctx.block(site, &mut self)).map_err(Cx::halt)?
    }
}

impl<T: Send> Op for Flush<'_, T> {
    type Out = Result<(), Halt>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        self.give(Some(waiter))
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let Flush { writer, place } = self;
        writer.link.with(|state, wakes| {
            state.lanes[writer.lane].waiting.leave(place);
            state.admit(writer.lane, wakes);
        });
        None
    }
}
