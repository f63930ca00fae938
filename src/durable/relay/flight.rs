//! What was sent and is not answered, in the order of the events.

use crate::durable::outbox::Event;
use std::collections::VecDeque;

/// The events between the first that is not acked and the last that was read.
#[derive(Debug, Default)]
pub(super) struct Flights {
    all: VecDeque<Flight>,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) event: Event,
    pub(super) state: State,
    /// How often the broker has rejected it.
    pub(super) rejections: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// To be sent, or sent again.
    Unsent,
    /// Sent, and not answered.
    Pending,
    /// The broker has it, or it is a dead letter.
    Done,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn push(&mut self, event: Event) {
        self.all.push_back(Flight { event, state: State::Unsent, rejections: 0 });
    }

    pub(super) fn by_id(&mut self, id: u64) -> Option<&mut Flight> {
        let i = self.all.binary_search_by_key(&id, |flight| flight.event.id).ok()?;
        self.all.get_mut(i)
    }

    /// The first that is to be sent.
    pub(super) fn unsent(&mut self) -> Option<&mut Flight> {
        self.all.iter_mut().find(|flight| flight.state == State::Unsent)
    }

    pub(super) fn has_pending(&self) -> bool {
        self.all.iter().any(|flight| flight.state == State::Pending)
    }

    /// Nobody knows what the broker has of those that are not answered.
    pub(super) fn send_again(&mut self) {
        for flight in &mut self.all {
            if flight.state == State::Pending {
                flight.state = State::Unsent;
            }
        }
    }

    /// Takes out those at the front that are done; returns the number of the last.
    pub(super) fn land(&mut self) -> Option<u64> {
        let mut last = None;
        while self.all.front().is_some_and(|flight| flight.state == State::Done) {
            last = self.all.pop_front().map(|flight| flight.event.id);
        }
        last
    }
}
