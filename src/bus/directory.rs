//! Who is subscribed to what.
//!
//! One lock. A topic's list is replaced, not changed, so that a publisher takes it away with one
//! reference count and delivers without the lock. A topic is there as long as somebody is subscribed.
//! Hashing and comparing topics is the one thing of the user's that runs under the lock.

use super::errors::SubscribeError;
use crate::channel::Sender;
use crate::sync::{Arc, LeakTrack, Mutex};
use std::collections::HashMap;
use std::hash::Hash;

/// One subscription, as publishers see it.
pub(super) struct Member<M> {
    pub(super) id: u64,
    pub(super) tx: Sender<M>,
    /// Whether a publisher waits when the queue is full.
    pub(super) blocks: bool,
}

pub(super) type Members<M> = Arc<[Arc<Member<M>>]>;

pub(super) struct Directory<K, M> {
    pub(super) name: Arc<str>,
    pub(super) max: usize,
    /// Guards everything else.
    state: Mutex<State<K, M>>,
    _leak: LeakTrack,
}

pub(super) struct State<K, M> {
    topics: HashMap<K, Members<M>>,
    subscriptions: usize,
    closed: bool,
    next: u64,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) unheard: u64,
    pub(super) delivered: u64,
    pub(super) rejected: u64,
}

impl<K: Eq + Hash, M> Directory<K, M> {
    pub(super) fn new(name: Arc<str>, max: usize) -> Self {
        let state = State {
            topics: HashMap::new(),
            subscriptions: 0,
            closed: false,
            next: 0,
            counts: Counts::default(),
        };
        Directory { name, max, state: Mutex::new(state), _leak: LeakTrack::new() }
    }

    pub(super) fn add(&self, topic: K, tx: Sender<M>, blocks: bool) -> Result<u64, SubscribeError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SubscribeError::Closed);
        }
        if state.subscriptions >= self.max {
            return Err(SubscribeError::TooMany(self.max));
        }
        state.next += 1;
        let id = state.next;
        let member = Arc::new(Member { id, tx, blocks });
        // A topic that is there already is dropped with the arguments, after the lock.
        match state.topics.get_mut(&topic) {
            Some(list) => *list = list.iter().cloned().chain([member]).collect(),
            None => drop(state.topics.insert(topic, Arc::new([member]))),
        }
        state.subscriptions += 1; // Last: a topic that panics takes no place.
        Ok(id)
    }

    pub(super) fn remove(&self, topic: &K, id: u64) {
        let mut state = self.state.lock();
        let Some(list) = state.topics.get_mut(topic) else { return };
        let rest: Members<M> = list.iter().filter(|member| member.id != id).cloned().collect();
        let gone = list.len() - rest.len();
        let empty = rest.is_empty();
        let old = std::mem::replace(list, rest);
        let entry = if empty { state.topics.remove_entry(topic) } else { None };
        state.subscriptions -= gone;
        drop(state);
        drop((old, entry)); // The member's sender, and the user's key.
    }

    /// Everybody subscribed to a topic now; `None` if the bus is closed.
    pub(super) fn members(&self, topic: &K) -> Option<Option<Members<M>>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let members = state.topics.get(topic).cloned();
        state.counts.published += 1;
        state.counts.unheard += u64::from(members.is_none());
        Some(members)
    }

    pub(super) fn count(&self, delivered: usize, rejected: usize) {
        let mut state = self.state.lock();
        state.counts.delivered += delivered as u64;
        state.counts.rejected += rejected as u64;
    }

    /// Takes nothing more; `false` if it was closed before.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.closed, true);
        state.subscriptions = 0;
        let topics = std::mem::take(&mut state.topics);
        drop(state);
        for member in topics.values().flat_map(|members| members.iter()) {
            member.tx.close();
        }
        first
    }

    /// Topics, subscriptions and counts.
    pub(super) fn sizes(&self) -> (usize, usize, Counts) {
        let state = self.state.lock();
        (state.topics.len(), state.subscriptions, state.counts)
    }

    /// How many are subscribed to a topic.
    pub(super) fn subscribers(&self, topic: &K) -> usize {
        self.state.lock().topics.get(topic).map_or(0, |members| members.len())
    }
}
