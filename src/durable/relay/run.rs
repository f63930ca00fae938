//! The loop of a relay: read, send, settle, ack.

use super::dead::DeadLetters;
use super::flight::{Flights, State};
use super::publisher::{PublishError, Publisher, Sent};
use crate::channel;
use crate::context::{Context, Stop};
use crate::durable::outbox::{AppendError, ReadError, Reader};
use crate::durable::storage::StorageError;
use crate::observe::Ledger;
use crate::resilience::{Answer, Breaker};
use crate::schedule::{Backoff, Delays};

/// Why a relay ended before it was drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The outbox cannot be read; with [`Damaged`](StorageError::Damaged) a reader of the same name
    /// can [skip](super::super::Reader::skip_damage) the place.
    #[error("the relay cannot read its outbox: {0}")]
    Read(StorageError),
    /// A dead letter could not be written, or there is no place for one.
    #[error("event {id} is rejected ({reason}), and is no dead letter: {why}")]
    DeadLetter {
        /// The event's number.
        id: u64,
        /// Why the broker rejects it.
        reason: String,
        /// Why it was not kept.
        why: String,
    },
    /// The publisher panicked.
    #[error("the publisher panicked: {0}")]
    Panicked(String),
    /// The context stopped.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// A relay at one moment.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RelayStats {
    /// Events that were read: done are those the broker has, dropped the dead letters.
    pub ledger: Ledger,
    /// How many times an event was sent.
    pub sent: u64,
    /// How many times the broker was down.
    pub outages: u64,
    /// Whether it is down now, or its breaker open.
    pub is_down: bool,
}

/// What the loop works with.
pub(super) struct Run<P> {
    pub(super) reader: Reader,
    pub(super) publisher: P,
    pub(super) window: usize,
    pub(super) backoff: Backoff,
    pub(super) rejections: u32,
    pub(super) dead: Option<DeadLetters>,
    pub(super) breaker: Option<Breaker>,
    pub(super) shown: channel::Publisher<RelayStats>,
    pub(super) stats: RelayStats,
    pub(super) flights: Flights,
}

impl<P: Publisher> Run<P> {
    /// Runs until `ctx` stops, or until `intake` has stopped and everything is sent.
    pub(super) fn run(&mut self, ctx: &Context, intake: &Context) -> Result<(), RelayError> {
        let backoff = self.backoff.clone();
        let mut delays = backoff.delays();
        let mut answers = Vec::new();
        let result = loop {
            if let Err(e) = self.fill(intake) {
                break Err(e);
            }
            if self.flights.len() == 0 {
                break ctx.check().map_err(RelayError::from); // Drained, or stopped.
            }
            match self.guarded(ctx, &mut answers) {
                Ok(()) => {
                    if !answers.is_empty() || self.flights.len() == 0 {
                        delays = backoff.delays();
                        self.stats.is_down = false;
                    }
                }
                Err(PublishError::Stopped(stop)) => break Err(stop.into()),
                Err(e) => {
                    if let Err(stop) = self.pause(ctx, &e, &backoff, &mut delays) {
                        break Err(stop.into());
                    }
                }
            }
            if let Err(e) = self.settle(ctx, &mut answers) {
                break Err(e);
            }
            self.show();
        };
        self.show();
        result
    }

    /// Reads what there is room for; waits if nothing at all is under way.
    fn fill(&mut self, intake: &Context) -> Result<(), RelayError> {
        while self.flights.len() < self.window {
            let event = match self.reader.try_next() {
                Ok(Some(event)) => event,
                Ok(None) if self.flights.len() > 0 => return Ok(()),
                Ok(None) => match self.reader.next(intake) {
                    Ok(event) => event,
                    Err(ReadError::Closed | ReadError::Stopped(_)) => {
                        // What came in last is sent, too.
                        match self.reader.try_next() {
                            Ok(Some(event)) => event,
                            Ok(None) => return Ok(()),
                            Err(e) => return Err(RelayError::Read(e)),
                        }
                    }
                    Err(ReadError::Storage(e)) => return Err(RelayError::Read(e)),
                },
                Err(e) => return Err(RelayError::Read(e)),
            };
            self.stats.ledger.accepted += 1;
            self.flights.push(event);
        }
        Ok(())
    }

    /// Talks to the broker if the breaker lets it; waits until it does.
    fn guarded(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        let Some(breaker) = self.breaker.clone() else { return self.exchange(ctx, answers) };
        let admission = match breaker.try_admit() {
            Ok(admission) => admission,
            Err(_) => {
                self.stats.is_down = true;
                self.show();
                breaker.admit(ctx)?
            }
        };
        let result = self.exchange(ctx, answers);
        admission.answer(match &result {
            // A rejection is about the event: the broker is well.
            Ok(()) => Answer::Success,
            Err(PublishError::Stopped(_)) => Answer::Ignore,
            Err(_) => Answer::Failure,
        });
        result
    }

    /// Sends what is to be sent, in order, and takes the broker's answers.
    fn exchange(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        while let Some(flight) = self.flights.unsent() {
            self.stats.sent += 1;
            let id = flight.event.id;
            match self.publisher.send(ctx, &flight.event) {
                Ok(Sent::Done) => answers.push((id, Ok(()))),
                Ok(Sent::Pending) => {}
                Err(PublishError::Rejected(reason)) => answers.push((id, Err(reason))),
                Err(e) => return Err(e),
            }
            self.flights.sent(id);
        }
        if answers.is_empty() && self.flights.has_pending() {
            self.publisher.settle(ctx, answers)?;
        }
        Ok(())
    }

    /// The broker is down: everything unanswered is sent again, after a while.
    fn pause(
        &mut self,
        ctx: &Context,
        why: &PublishError,
        backoff: &Backoff,
        delays: &mut Delays,
    ) -> Result<(), Stop> {
        self.publisher.reset();
        self.flights.send_again();
        self.stats.outages += 1;
        self.stats.is_down = true;
        self.show();
        let delay = delays.next().or_else(|| {
            *delays = backoff.delays(); // It is never given up.
            delays.next()
        });
        log::debug!("ironsys: relay `{}`: {why}", self.reader.name());
        ctx.sleep(delay.unwrap_or_default())
    }

    /// Notes the answers, and acks what nothing is left of.
    fn settle(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), RelayError> {
        for (id, answer) in answers.drain(..) {
            let Some(flight) = self.flights.by_id(id).filter(|f| f.state != State::Done) else {
                continue; // Answered twice: it was sent twice.
            };
            let Err(reason) = answer else {
                self.flights.done(id);
                self.stats.ledger.done += 1;
                continue;
            };
            flight.rejections += 1;
            if flight.rejections < self.rejections {
                self.flights.unsend(id);
                continue;
            }
            let no_letter =
                |why: String| RelayError::DeadLetter { id, reason: reason.clone(), why };
            let Some(dead) = &self.dead else { return Err(no_letter("none are kept".into())) };
            let put = dead.put(ctx, id, &reason, &flight.event.body);
            put.map_err(|e: AppendError| no_letter(e.to_string()))?;
            self.flights.done(id);
            self.stats.ledger.dropped += 1;
        }
        if let Some(last) = self.flights.land()
            && let Err(e) = self.reader.ack(last)
        {
            // It counts all the same; after a restart these are sent again.
            log::warn!("ironsys: relay `{}`: {e}", self.reader.name());
        }
        Ok(())
    }

    fn show(&mut self) {
        let Ledger { accepted, done, dropped, .. } = self.stats.ledger;
        self.stats.ledger.in_flight = accepted - done - dropped;
        self.shown.publish(self.stats);
    }
}
