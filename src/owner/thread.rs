//! The thread that has the value.

use super::builder::OnPanic;
use super::call::{End, Message};
use crate::channel::Receiver;
use crate::context::Context;
use crate::panics;
use crate::sync::{Arc, Mutex, catch_unwind};
use crate::wait::{key, serve};

/// Guards what the thread has counted.
#[derive(Default)]
pub(super) struct Counts(Mutex<Counted>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) dropped: u64,
}

impl Counts {
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Counted) -> R) -> R {
        f(&mut self.0.lock())
    }
}

pub(super) struct Thread<T> {
    pub(super) name: Arc<str>,
    pub(super) inbox: Receiver<Message<T>>,
    pub(super) counts: Arc<Counts>,
    pub(super) on_panic: OnPanic,
}

impl<T> Thread<T> {
    /// Makes the value and runs calls on it, until the owner is closed and the queue empty, or `ctx`
    /// stops, or a call panics and the value is not to be kept.
    pub(super) fn run(self, ctx: &Context, init: impl FnOnce(&Context) -> T) {
        let _served = serve(key(&*self.counts));
        let mut value = match catch_unwind(|| init(ctx)) {
            Ok(value) => value,
            Err(payload) => {
                self.refuse_the_rest();
                std::panic::resume_unwind(payload); // Into what the thread leaves.
            }
        };
        loop {
            match self.inbox.recv(ctx) {
                Ok(Message::Call(call)) => {
                    let end = call.run(&mut value);
                    self.counts.with(|counts| match end {
                        End::Done => counts.done += 1,
                        End::Failed => counts.failed += 1,
                        End::Cancelled => counts.cancelled += 1,
                    });
                    if end == End::Failed && self.on_panic == OnPanic::Close {
                        break;
                    }
                }
                Ok(Message::Last(take)) => {
                    self.refuse_the_rest();
                    self.counts.with(|counts| counts.done += 1);
                    return take(value);
                }
                Err(_) => break,
            }
        }
        self.refuse_the_rest();
        panics::discard(value);
    }

    /// Drops what is queued; whoever waits for an answer gets the closure back.
    fn refuse_the_rest(&self) {
        self.inbox.close();
        let left = self.inbox.drain();
        if left.is_empty() {
            return;
        }
        self.counts.with(|counts| counts.dropped += left.len() as u64);
        panics::contain(|| {
            log::warn!("ironsys: owner `{}` ended before {} calls", self.name, left.len());
        });
        for message in left {
            panics::discard(message);
        }
    }
}
