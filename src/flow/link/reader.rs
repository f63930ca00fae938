//! The end of a link that a segment takes from.

use super::super::cx::Cx;
use super::super::stage::{Halt, Pull, Step};
use super::Link;
use super::claim::Claim;
use super::state::Took;
use crate::context::{Canceller, Op};
use crate::panics;
use crate::sync::{Arc, Ordering};
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// Takes runs of items from a link and hands them out one by one. When the last reader is dropped or
/// closed, nothing more is taken, and what stands before the link is cancelled.
pub struct Reader<T: Send> {
    link: Arc<Link<T>>,
    /// Taken, not handed out yet.
    run: VecDeque<T>,
    /// The number of the item that is handed out next.
    next: u64,
    /// The lane the run is from, and how much of it that lane still counts.
    lane: usize,
    held: usize,
    /// With so many left in the run, those before are given back, so that writers need not wait for
    /// the end of it.
    mark: usize,
    /// Present if there are several readers.
    claim: Option<(Claim, usize)>,
    /// What was taken stays counted until somebody else gives it back.
    keeps: bool,
    cancel: Canceller,
    open: bool,
    over: bool,
}

/// No run is so long.
const NO_MARK: usize = usize::MAX;

impl<T: Send> Reader<T> {
    pub(super) fn new(link: Arc<Link<T>>, cancel: Canceller) -> Self {
        Reader {
            link,
            run: VecDeque::new(),
            next: 0,
            lane: 0,
            held: 0,
            mark: NO_MARK,
            claim: None,
            keeps: false,
            cancel,
            open: true,
            over: false,
        }
    }

    /// Makes one of several readers of this one; they share what comes.
    pub(in super::super) fn shared(mut self, keeps: bool) -> Self {
        self.claim = Some(Default::default());
        self.keeps = keeps;
        self
    }

    /// One more of the several.
    pub(in super::super) fn sibling(&self) -> Self {
        self.link.with(|state, _| state.readers += 1);
        Reader::new(self.link.clone(), self.cancel.clone()).shared(self.keeps)
    }

    /// The number of the item that was handed out last, as the link counts.
    pub(in super::super) fn number(&self) -> u64 {
        self.next - 1
    }

    /// Whether the run is used up: the next step looks into the link.
    pub(in super::super) fn is_at_end_of_run(&self) -> bool {
        self.run.is_empty()
    }

    pub(in super::super) fn link(&self) -> &Arc<Link<T>> {
        &self.link
    }

    /// Looks for the next run; registers to wait if a `waiter` is given and nothing is there.
    fn look(&mut self, place: &mut Place, waiter: Option<&Arc<Waiter>>) -> Took {
        let Reader { link, run, lane, held, mark, keeps, claim, next, .. } = self;
        if let Some((claim, count)) = claim {
            claim.end(std::mem::take(count));
        }
        let size = claim.as_ref().map_or(usize::MAX, |(claim, _)| claim.size());
        let took = link.with(|state, wakes| {
            state.lanes[*lane].held -= std::mem::take(held);
            let before = *lane;
            let took = match state.take(run, size) {
                Ok((from, first)) => {
                    *lane = from;
                    *next = first;
                    // The one that is handed out at once does not count any more.
                    let counted = run.len() - usize::from(!*keeps);
                    state.lanes[from].held += counted;
                    *held = if *keeps { 0 } else { counted };
                    *mark = if *held > state.lanes[from].half() { *held / 2 } else { NO_MARK };
                    Took::Run
                }
                Err(took) => took,
            };
            if !matches!(took, Took::Nothing) {
                state.waiting.leave(place);
                state.pass_on(wakes);
            } else if let Some(waiter) = waiter {
                state.waiting.enter(place, waiter);
            }
            state.admit(before, wakes);
            if before != *lane || matches!(took, Took::Nothing) {
                for i in 0..state.lanes.len() {
                    state.admit(i, wakes);
                }
            }
            took
        });
        if let (Took::Run, Some((claim, count))) = (&took, claim) {
            *count = run.len();
            claim.begin();
        }
        took
    }

    #[inline(never)]
    fn refill(&mut self) -> Result<Step<T>, Halt> {
        match self.look(&mut Place::default(), None) {
            Took::Run => Ok(self.hand_out()),
            Took::Nothing => Ok(Step::Wait),
            Took::End => {
                self.over = true;
                Ok(Step::End)
            }
            Took::Broken => Err(Halt),
        }
    }

    #[inline]
    fn hand_out(&mut self) -> Step<T> {
        match self.run.pop_front() {
            Some(item) => {
                self.next += 1;
                Step::Item(item)
            }
            None => Step::Wait,
        }
    }

    /// Gives back what was used of a long run.
    #[inline(never)]
    fn give_back(&mut self) {
        self.mark = NO_MARK;
        let used = self.held.saturating_sub(self.run.len());
        self.held -= used;
        self.link.with(|state, wakes| {
            state.lanes[self.lane].held -= used;
            state.admit(self.lane, wakes);
        });
    }

    /// Another reader has nothing to do: give it half of what is left.
    #[cold]
    fn share(&mut self) {
        let keep = self.run.len() / 2;
        let rest = self.run.split_off(keep);
        let first = self.next + keep as u64;
        self.held = self.held.saturating_sub(rest.len());
        if let Some((_, count)) = &mut self.claim {
            *count -= rest.len();
        }
        self.link.with(|state, wakes| {
            state.returned.push((first, rest));
            state.pass_on(wakes);
        });
    }
}

impl<T: Send> Pull for Reader<T> {
    type Item = T;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<T>, Halt> {
        cx.check()?;
        if let Some(item) = self.run.pop_front() {
            self.next += 1;
            if self.run.len() == self.mark {
                self.give_back();
            }
            if let Some((claim, _)) = &self.claim
                && !self.run.is_empty()
                && self.link.is_hungry()
                && claim.is_worth_sharing(self.run.len())
            {
                self.share();
            }
            return Ok(Step::Item(item));
        }
        self.refill()
    }

    #[inline(never)]
    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        if !self.run.is_empty() {
            return Ok(());
        }
        let link = self.link.clone();
        // loom: unreached: a model never spins.
        if link.spins.spin(|| link.ready.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let site = Site::new(WaitKind::Recv, Some(link.meter.name().clone()));
        let mut op = Take { reader: self, place: Place::default() };
        // What was found is found again by the next step.
        let waited = link.meter.empty(|| match until {
            None => cx.ctx.block(site, &mut op),
            Some(_) => cx.ctx.block_until(until, site, &mut op).map(drop),
        });
        waited.map_err(Cx::halt)
    }

    fn close(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let mine = std::mem::take(&mut self.run);
        let (last, left) = self.link.with(|state, wakes| {
            let lane = &mut state.lanes[self.lane];
            if !self.keeps {
                lane.held -= self.held;
                state.dropped += mine.len() as u64;
            }
            state.readers -= 1;
            if state.readers > 0 {
                // It may have been the one on its way.
                state.pass_on(wakes);
                return (false, Vec::new());
            }
            let mut left: Vec<VecDeque<T>> = Vec::new();
            for (_, items) in std::mem::take(&mut state.returned) {
                state.lanes[0].held -= items.len();
                left.push(items);
            }
            for lane in &mut state.lanes {
                left.push(std::mem::take(&mut lane.queue));
                lane.waiting.notify_all(wakes);
            }
            state.dropped += left.iter().map(VecDeque::len).sum::<usize>() as u64;
            (true, left)
        });
        if last && !self.over {
            self.cancel.cancel_with("the rest of the flow wants no more");
        }
        panics::discard((mine, left));
    }
}

impl<T: Send> Drop for Reader<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T: Send> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("link", self.link.meter.name()).finish_non_exhaustive()
    }
}

/// A wait for the next run.
struct Take<'a, T: Send> {
    reader: &'a mut Reader<T>,
    place: Place,
}

impl<T: Send> Op for Take<'_, T> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        match self.reader.look(&mut self.place, Some(waiter)) {
            Took::Nothing => None,
            Took::Run | Took::End | Took::Broken => Some(()),
        }
    }

    fn withdraw(&mut self) -> Option<()> {
        let Take { reader, place } = self;
        reader.link.with(|state, wakes| {
            state.waiting.leave(place);
            state.pass_on(wakes);
        });
        None
    }
}
