//! The models: small bodies, each about one race, run by loom, by shuttle and on real threads.
//!
//! One module a room, in the order of the floors. How to write one: `ironsys::testing`. A model has
//! the name of its test, so `cargo test -- channel::baton` runs what `MODEL channel::baton` reports.
//! The bodies are thin and the capacities small: loom's stacks hold 32 KiB, and its patience less.
//!
//! A build with a planted bug (`seeded-bugs`) has only the rooms whose models look for it.
#![cfg_attr(ironsys_bug_in, allow(dead_code, unused_imports))]

#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "admission"))]
mod admission;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "breaker"))]
mod breaker;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "broadcast"))]
mod broadcast;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "bus"))]
mod bus;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "channel"))]
mod channel;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "channel_close"))]
mod channel_close;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "context"))]
mod context;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "cpu"))]
mod cpu;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "durable"))]
mod durable;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "flow"))]
mod flow;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "flow_ways"))]
mod flow_ways;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "gate"))]
mod gate;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "guards"))]
mod guards;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "hedge"))]
mod hedge;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "joiner"))]
mod joiner;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "observe"))]
mod observe;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "oneshot"))]
mod oneshot;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "owner"))]
mod owner;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "pool"))]
mod pool;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "pool_board"))]
mod pool_board;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "pool_keyed"))]
mod pool_keyed;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "pool_subpools"))]
mod pool_subpools;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "pool_watch"))]
mod pool_watch;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "rate"))]
mod rate;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "rendezvous"))]
mod rendezvous;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "resource"))]
mod resource;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "schedule"))]
mod schedule;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "scope"))]
mod scope;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "select"))]
mod select;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "semaphore"))]
mod semaphore;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "session"))]
mod session;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "single_flight"))]
mod single_flight;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "threads"))]
mod threads;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "time"))]
mod time;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "waiter"))]
mod waiter;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "watch"))]
mod watch;
#[cfg(any(not(ironsys_bug_in), ironsys_bug_in = "writer"))]
mod writer;

use ironsys::Stop;
use ironsys::sync::thread::{self, JoinHandle};
use ironsys::sync::{Arc, AtomicUsize, Ordering};
use ironsys::testing::Model;
use std::time::Duration;

/// Starts a thread of the model.
fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn("model", f).expect("the system has a thread left")
}

/// Joins it.
fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a thread of a model does not panic")
}

/// Joins them all.
fn join_all<T, const N: usize>(threads: [JoinHandle<T>; N]) -> [T; N] {
    threads.map(join)
}

/// A number that the threads of a model share. Relaxed: it orders nothing, so the code under test has
/// to.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self, n: usize) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// One more is inside; returns how many were.
    fn enter(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A model of the usual size.
fn model(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(3).check(body);
}

/// A model of long paths: with two preemptions instead of three.
fn small(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(2).check(body);
}

/// A model with timed waits, the first two of which fire early or late.
fn timed(name: &str) -> Model {
    Model::new(name).bound(3).choices(2)
}

/// What tasks fail with.
#[derive(Debug, Clone, PartialEq)]
enum Oops {
    Boom,
    Stopped(Stop),
}

impl From<Stop> for Oops {
    fn from(stop: Stop) -> Self {
        Oops::Stopped(stop)
    }
}

/// A deadline that comes soon on real threads, and at any moment in a model.
const SOON: Duration = Duration::from_millis(1);
