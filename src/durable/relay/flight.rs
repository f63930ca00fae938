//! What was sent and is not answered, in the order of the events; and which may be sent next.

use crate::durable::outbox::Event;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;

/// The events between the first that is not acked and the last that was read.
#[derive(Debug, Default)]
pub(super) struct Flights {
    all: VecDeque<Flight>,
    /// The numbers of those that are to be sent, and may be.
    ready: BTreeSet<u64>,
    pending: usize,
    order: Option<KeyOf>,
    /// The unfinished events of each key, in order: only the first of them is ever under way.
    lanes: HashMap<Vec<u8>, VecDeque<u64>>,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) event: Event,
    pub(super) state: State,
    /// How often the broker has rejected it.
    pub(super) rejections: u32,
    key: Vec<u8>,
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

/// The user's function that says which events have to stay in order.
pub(super) struct KeyOf(pub(super) Key);

type Key = Box<dyn Fn(&Event) -> Vec<u8> + Send>;

impl fmt::Debug for KeyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyOf")
    }
}

impl Flights {
    pub(super) fn new(order: Option<KeyOf>) -> Self {
        Flights { order, ..Flights::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn push(&mut self, event: Event) {
        let (id, mut key) = (event.id, Vec::new());
        let mut first = true;
        if let Some(order) = &self.order {
            key = (order.0)(&event);
            let lane = self.lanes.entry(key.clone()).or_default();
            first = lane.is_empty();
            lane.push_back(id);
        }
        if first {
            self.ready.insert(id);
        }
        self.all.push_back(Flight { event, state: State::Unsent, rejections: 0, key });
    }

    pub(super) fn by_id(&mut self, id: u64) -> Option<&mut Flight> {
        let i = self.all.binary_search_by_key(&id, |flight| flight.event.id).ok()?;
        self.all.get_mut(i)
    }

    /// The first that is to be sent, and may be.
    pub(super) fn unsent(&mut self) -> Option<&mut Flight> {
        let id = *self.ready.first()?;
        self.by_id(id)
    }

    /// It is on its way.
    pub(super) fn sent(&mut self, id: u64) {
        self.ready.remove(&id);
        self.to(id, State::Pending);
    }

    /// It is to be sent again.
    pub(super) fn unsend(&mut self, id: u64) {
        self.to(id, State::Unsent);
        self.ready.insert(id);
    }

    /// Nothing is left to do about it: the next of its key may go.
    pub(super) fn done(&mut self, id: u64) {
        self.ready.remove(&id);
        self.to(id, State::Done);
        if self.order.is_none() {
            return;
        }
        let Some(key) = self.by_id(id).map(|flight| std::mem::take(&mut flight.key)) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.pop_front();
        match lane.front() {
            Some(next) => drop(self.ready.insert(*next)),
            None => drop(self.lanes.remove(&key)),
        }
    }

    fn to(&mut self, id: u64, state: State) {
        let Some(flight) = self.by_id(id) else { return };
        let before = std::mem::replace(&mut flight.state, state);
        self.pending -= usize::from(before == State::Pending);
        self.pending += usize::from(state == State::Pending);
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Nobody knows what the broker has of those that are not answered.
    pub(super) fn send_again(&mut self) {
        for flight in &mut self.all {
            if flight.state == State::Pending {
                flight.state = State::Unsent;
                self.ready.insert(flight.event.id);
            }
        }
        self.pending = 0;
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
