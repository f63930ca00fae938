//! What a running segment knows: its context, its meter, and who is to blame for a panic.

use super::monitor::Meter;
use super::stage::Halt;
use crate::context::{Context, Stop};
use crate::sync::{Arc, MODEL, Ordering};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

/// One segment at work, on its thread.
pub struct Cx {
    pub(super) ctx: Context,
    pub(super) meter: Arc<Meter>,
    /// Written while a panic unwinds through an operator.
    blame: RefCell<Option<(At, Option<u64>)>>,
}

impl Cx {
    pub(super) fn new(ctx: Context, meter: Arc<Meter>) -> Self {
        Cx { ctx, meter, blame: RefCell::new(None) }
    }

    /// Whether to go on: one load. A deadline is noticed by the run's hook, which marks the context.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Halt> {
        // A model has no thread to spare for the hook, and looks at the clock itself.
        let go = if MODEL { !self.ctx.is_stopped() } else { !self.ctx.is_marked() };
        if go { Ok(()) } else { Err(Halt) }
    }

    /// The stop of a blocking call ends the segment.
    pub(super) fn halt(_: Stop) -> Halt {
        Halt
    }

    /// Publishes how many items the head of the segment has taken.
    #[inline]
    pub(super) fn taken(&self, total: u64) {
        // Relaxed: one writer, and a report may be a little old.
        self.meter.taken.store(total, Ordering::Relaxed);
    }

    /// Publishes how many items the end of the segment has delivered.
    #[inline]
    pub(super) fn delivered(&self, total: u64) {
        // Relaxed: as above.
        self.meter.delivered.store(total, Ordering::Relaxed);
    }

    /// Takes out who was running when the panic came, and at which item.
    pub(super) fn blame(&self) -> Option<(At, Option<u64>)> {
        self.blame.take()
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("ctx", &self.ctx).finish_non_exhaustive()
    }
}

/// A stage and the index of its current item: what a failure is reported with.
#[derive(Debug, Clone)]
pub struct At {
    pub(super) stage: Cow<'static, str>,
    pub(super) item: u64,
}

impl At {
    pub(super) fn new(stage: Cow<'static, str>) -> Self {
        At { stage, item: 0 }
    }

    /// Calls user code for the current item. A panic in it is blamed on this stage and item.
    #[inline(always)]
    pub(super) fn call<R>(&self, cx: &Cx, f: impl FnOnce() -> R) -> R {
        let blame = Blame { cx, at: self, item: true };
        let out = f();
        std::mem::forget(blame); // Nothing to do on the way that is taken.
        out
    }

    /// Calls user code that sees many items: a panic in it has no index.
    pub(super) fn call_whole<R>(&self, cx: &Cx, f: impl FnOnce() -> R) -> R {
        let blame = Blame { cx, at: self, item: false };
        let out = f();
        std::mem::forget(blame);
        out
    }

    /// Like [`call`](Self::call), and counts the item.
    #[inline(always)]
    pub(super) fn item<R>(&mut self, cx: &Cx, f: impl FnOnce() -> R) -> R {
        let out = self.call(cx, f);
        self.item += 1;
        out
    }
}

/// Dropped by a panic only.
struct Blame<'a> {
    cx: &'a Cx,
    at: &'a At,
    item: bool,
}

impl Drop for Blame<'_> {
    #[cold]
    fn drop(&mut self) {
        // The innermost stage is the first to be unwound.
        let item = self.item.then_some(self.at.item);
        self.cx.blame.borrow_mut().get_or_insert_with(|| (self.at.clone(), item));
    }
}
