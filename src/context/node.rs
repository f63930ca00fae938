//! The tree behind the contexts.
//!
//! A node knows its children weakly and its parents strongly: a handle keeps its ancestors alive, and
//! dropping the last handle takes the node out of its parents.
//!
//! Invariants:
//! 1. `state.stop`, once set, never changes; `stopped` is true if and only if it is set (it is
//!    raised in the same critical section).
//! 2. A stopped node has no hooks and no children, and gets none.
//! 3. A child that was linked when its parent stopped is stopped before `stop` returns.
//!
//! Locks: one node's lock at a time. Hooks fire, and nodes are dropped, outside of all locks.

use super::hooks::Hook;
use super::slots::Slots;
use super::stop::Stop;
use crate::observe::Registry;
use crate::sync::{Arc, AtomicBool, LeakTrack, Mutex, Ordering, Weak, planted};
use crate::time::Clock;
use std::time::Instant;

/// What a whole tree shares.
pub(super) struct Root {
    pub(super) clock: Clock,
    pub(super) registry: Option<Registry>,
}

pub(super) struct Node {
    /// Raised once, under `state`, with Release; read without the lock, with Acquire.
    stopped: AtomicBool,
    /// The earliest of its own and all ancestors' deadlines.
    pub(super) deadline: Option<Instant>,
    pub(super) root: Arc<Root>,
    parent: Option<Link>,
    /// The second parent of a merged node.
    other: Option<Link>,
    /// Guards why the node stopped, its hooks and its children.
    state: Mutex<State>,
    _leak: LeakTrack,
}

struct Link {
    node: Arc<Node>,
    slot: usize,
}

struct State {
    stop: Option<Stop>,
    hooks: Slots<Hook>,
    children: Slots<Weak<Node>>,
}

impl Node {
    fn new(
        root: Arc<Root>,
        deadline: Option<Instant>,
        stop: Option<Stop>,
        links: [Option<Link>; 2],
    ) -> Arc<Node> {
        let [parent, other] = links;
        Arc::new(Node {
            stopped: AtomicBool::new(stop.is_some()),
            deadline,
            root,
            parent,
            other,
            state: Mutex::new(State { stop, hooks: Slots::new(), children: Slots::new() }),
            _leak: LeakTrack::new(),
        })
    }

    pub(super) fn root(root: Arc<Root>, deadline: Option<Instant>) -> Arc<Node> {
        Node::new(root, deadline, None, [None, None])
    }

    /// Makes a child; it is stopped from the start if the parent is.
    pub(super) fn child(self: &Arc<Node>, deadline: Option<Instant>) -> Arc<Node> {
        self.link(deadline, None)
    }

    /// Makes a child of both.
    pub(super) fn merged(
        self: &Arc<Node>,
        other: &Arc<Node>,
        deadline: Option<Instant>,
    ) -> Arc<Node> {
        // A place first, then the child, then the child into its place: one lock at a time.
        let slot = {
            let mut state = other.state.lock();
            match state.stop {
                Some(_) => None,
                None => Some(state.children.add(Weak::new())),
            }
        };
        let child = self.link(deadline, slot.map(|slot| Link { node: other.clone(), slot }));
        let stop = {
            let mut state = other.state.lock();
            if state.stop.is_none()
                && let Some(slot) = slot
            {
                state.children.put(slot, Arc::downgrade(&child));
            }
            state.stop.clone()
        };
        if let Some(stop) = stop {
            child.stop(&stop);
        }
        child
    }

    fn link(self: &Arc<Node>, deadline: Option<Instant>, other: Option<Link>) -> Arc<Node> {
        let deadline = earliest(deadline, self.deadline);
        let mut state = self.state.lock();
        if let Some(stop) = state.stop.clone() {
            drop(state);
            return Node::new(self.root.clone(), deadline, Some(stop), [None, other]);
        }
        let link = Link { node: self.clone(), slot: state.children.next() };
        let child = Node::new(self.root.clone(), deadline, None, [Some(link), other]);
        state.children.add(Arc::downgrade(&child));
        child
    }

    /// Whether the node is stopped, in one load. Deadlines nobody has noticed do not count.
    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Why the node stopped, or that its deadline has just passed.
    pub(super) fn stopped(self: &Arc<Node>) -> Option<Stop> {
        if !self.is_marked() {
            let deadline = self.deadline?;
            if self.root.clock.now() < deadline {
                return None;
            }
            self.stop(&Stop::DeadlineExceeded);
        }
        self.state.lock().stop.clone()
    }

    /// Stops the node and everything below it; `true` if this call did it.
    ///
    /// While it runs, parts of the tree are stopped and others not yet; when it returns, all are.
    /// Blocked threads are woken as their node is reached; closures run when all are stopped, those
    /// of the upper nodes first, so that a slow one keeps nobody waiting.
    pub(super) fn stop(self: &Arc<Node>, why: &Stop) -> bool {
        let (mut below, mut calls) = (Vec::new(), Vec::new());
        let first = self.stop_one(why, &mut below, &mut calls);
        while let Some(node) = below.pop() {
            node.stop_one(why, &mut below, &mut calls);
        }
        for call in calls {
            call.fire(why);
        }
        first
    }

    fn stop_one(&self, why: &Stop, below: &mut Vec<Arc<Node>>, calls: &mut Vec<Hook>) -> bool {
        let (hooks, children) = {
            let mut state = self.state.lock();
            if state.stop.is_some() {
                return false;
            }
            state.stop = Some(why.clone());
            // Release: whoever sees the flag sees what the canceller did before.
            self.stopped.store(true, Ordering::Release);
            (state.hooks.take(), state.children.take())
        };
        for hook in hooks {
            match hook {
                Hook::Wake(_) => hook.fire(why),
                Hook::Call(_) => calls.push(hook),
            }
        }
        below.extend(children.filter_map(|child| child.upgrade()));
        true
    }

    /// Adds a hook, or gives it back with the reason if the node is stopped: it fires exactly once
    /// or is removed.
    pub(super) fn subscribe(&self, hook: Hook) -> Result<usize, (Hook, Stop)> {
        let mut state = self.state.lock();
        if let Some(stop) = state.stop.clone() {
            return Err((hook, stop));
        }
        if planted("hook_test_before_insert") {
            drop(state);
            state = self.state.lock(); // loom: unreached: only with the bug planted
        }
        Ok(state.hooks.add(hook))
    }

    /// Takes a hook back, unless it has been taken to be fired.
    pub(super) fn unsubscribe(&self, slot: usize) {
        let hook = self.state.lock().hooks.remove(slot);
        drop(hook); // Outside of the lock: a closure may own anything.
    }

    /// How many children and hooks are linked.
    pub(super) fn linked(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.children.len(), state.hooks.len())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A long chain of which we hold the last handle is taken down here, not by recursion.
        let mut next = self.parent.take();
        let mut others: Vec<Link> = self.other.take().into_iter().collect();
        while let Some(Link { node, slot }) = next.take().or_else(|| others.pop()) {
            let gone = node.state.lock().children.remove(slot);
            drop(gone);
            if let Some(mut node) = Arc::into_inner(node) {
                next = node.parent.take();
                others.extend(node.other.take());
            }
        }
    }
}

pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
