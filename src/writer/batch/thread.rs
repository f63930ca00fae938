//! The thread that gathers items and calls the user's closure.

use super::errors::BatchError;
use super::handle::Counts;
use crate::channel::{Receiver, RecvError, Reply};
use crate::context::Context;
use crate::panics;
use crate::schedule::Backoff;
use crate::sync::{Arc, catch_unwind};
use std::fmt;
use std::time::{Duration, Instant};

pub(super) type Outcome<T, E> = Result<(), BatchError<T, E>>;
pub(super) type Call<T, E> = Box<dyn FnMut(&Context, &[T]) -> Result<(), E> + Send>;
pub(super) type When<E> = Box<dyn Fn(&E) -> bool + Send>;
pub(super) type OnFailed<T, E> = Box<dyn FnMut(Vec<T>, &E) + Send>;

/// An item on its way.
pub(super) struct Entry<T, E> {
    pub(super) item: T,
    pub(super) reply: Option<Reply<Outcome<T, E>>>,
    /// When its send began, by the batcher's clock.
    pub(super) at: Instant,
}

pub(super) enum Message<T, E> {
    Item(Entry<T, E>),
    /// Ends the batch; answered when that has had its outcome.
    Flush(Reply<()>),
}

pub(super) struct Thread<T, E> {
    pub(super) inbox: Receiver<Message<T, E>>,
    pub(super) counts: Arc<Counts>,
    pub(super) call: Call<T, E>,
    pub(super) max_items: usize,
    pub(super) max_wait: Duration,
    pub(super) retry: Backoff,
    pub(super) when: Option<When<E>>,
    pub(super) on_failed: Option<OnFailed<T, E>>,
}

impl<T, E: fmt::Display> Thread<T, E> {
    /// Runs until the batcher is closed and empty or `ctx` stops; returns what had no turn.
    pub(super) fn run(mut self, ctx: &Context) -> Vec<Entry<T, E>> {
        let mut left = Vec::new();
        loop {
            match self.inbox.recv(ctx) {
                Ok(Message::Item(first)) => {
                    let (batch, flush) = self.gather(ctx, first);
                    if ctx.is_stopped() {
                        left = batch; // It has not begun.
                        break;
                    }
                    self.deliver(ctx, batch);
                    if let Some(flush) = flush {
                        let _ = flush.send(());
                    }
                }
                Ok(Message::Flush(flush)) => {
                    let _ = flush.send(());
                }
                Err(_) => break,
            }
        }
        self.inbox.close();
        left.extend(self.inbox.drain().into_iter().filter_map(|message| match message {
            Message::Item(entry) => Some(entry),
            Message::Flush(_) => None, // Dropping the reply says it.
        }));
        self.counts.with(|counts| counts.dropped += left.len() as u64);
        // Their drop must not take along what is left.
        panics::discard(self.call);
        panics::discard(self.when);
        panics::discard(self.on_failed);
        left
    }

    /// Receives until the batch is full, its time is up, or a flush comes.
    fn gather(
        &mut self,
        ctx: &Context,
        first: Entry<T, E>,
    ) -> (Vec<Entry<T, E>>, Option<Reply<()>>) {
        // Too long to represent is no limit.
        let until = match first.at.checked_add(self.max_wait) {
            Some(at) => ctx.with_deadline(at),
            None => ctx.clone(),
        };
        let mut batch = vec![first];
        while batch.len() < self.max_items {
            let next =
                self.inbox.try_recv().map_or_else(|_| self.inbox.recv(&until), Ok::<_, RecvError>);
            match next {
                Ok(Message::Item(entry)) => batch.push(entry),
                Ok(Message::Flush(flush)) => return (batch, Some(flush)),
                Err(_) => break, // Time is up, or it is closed, or all is over.
            }
        }
        (batch, None)
    }

    /// Calls the closure until it succeeds or the retries end, and tells everybody.
    fn deliver(&mut self, ctx: &Context, batch: Vec<Entry<T, E>>) {
        let (items, replies): (Vec<T>, Vec<_>) =
            batch.into_iter().map(|entry| (entry.item, entry.reply)).unzip();
        let n = items.len() as u64;
        let mut delays = self.retry.delays();
        let mut retries = 0;
        let out = loop {
            match catch_unwind(|| (self.call)(ctx, &items)) {
                Ok(Ok(())) => break Ok(()),
                Err(payload) => {
                    let message: Arc<str> = panics::message(&*payload).into();
                    panics::discard(payload);
                    break Err(Err(message));
                }
                Ok(Err(error)) => {
                    let again = self.when.as_ref().is_none_or(|when| {
                        catch_unwind(|| when(&error)).unwrap_or(false) // Not known: not again.
                    });
                    match delays.next() {
                        Some(delay) if again && ctx.sleep(delay).is_ok() => {
                            retries += 1;
                            panics::discard(error);
                        }
                        _ => break Err(Ok(Arc::new(error))),
                    }
                }
            }
        };
        self.counts.with(|counts| {
            counts.batches += 1;
            counts.retries += retries;
            *(if out.is_ok() { &mut counts.done } else { &mut counts.failed }) += n;
        });
        match out {
            Ok(()) => {
                for reply in replies.into_iter().flatten() {
                    let _ = reply.send(Ok(()));
                }
                panics::discard(items);
            }
            Err(why) => {
                self.refuse(items, replies, &why);
                panics::discard(why);
            }
        }
    }

    /// Gives every item of a batch that failed back: to its ticket, or to `on_failed`.
    fn refuse(
        &mut self,
        items: Vec<T>,
        replies: Vec<Option<Reply<Outcome<T, E>>>>,
        why: &Result<Arc<E>, Arc<str>>,
    ) {
        let mut unclaimed = Vec::new();
        for (item, reply) in items.into_iter().zip(replies) {
            let Some(reply) = reply else {
                unclaimed.push(item);
                continue;
            };
            let out = match why {
                Ok(error) => BatchError::Failed { item, error: error.clone() },
                Err(message) => BatchError::Panicked { item, message: message.clone() },
            };
            if let Err(Err(back)) = reply.send(Err(out)) {
                unclaimed.extend(back.into_item());
            }
        }
        if unclaimed.is_empty() {
            return;
        }
        match (why, &mut self.on_failed) {
            (Ok(error), Some(on_failed)) => {
                if let Err(payload) = catch_unwind(|| on_failed(unclaimed, error)) {
                    let text = panics::message(&*payload);
                    panics::contain(|| log::error!("ironsys: on_failed panicked: {text}"));
                    panics::discard(payload);
                }
            }
            (Ok(error), None) => {
                panics::contain(|| {
                    log::error!("ironsys: {} items were not written: {error}", unclaimed.len());
                });
                panics::discard(unclaimed);
            }
            (Err(panic), _) => {
                let n = unclaimed.len();
                panics::contain(|| {
                    log::error!("ironsys: {n} items were not written: panic: {panic}")
                });
                panics::discard(unclaimed);
            }
        }
    }
}
