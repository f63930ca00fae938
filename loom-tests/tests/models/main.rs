//! The models: small bodies, each about one race, run by loom, by shuttle and on real threads.
//!
//! One module a room, in the order of the floors. How to write one: `ironsys::testing`. A model has
//! the name of its test, so `cargo test -- channel::baton` runs what `MODEL channel::baton` reports.
//! The bodies are thin and the capacities small: loom's stacks hold 32 KiB, and its patience less.

mod admission;
mod breaker;
mod broadcast;
mod bus;
mod channel;
mod channel_close;
mod context;
mod cpu;
mod durable;
mod flow;
mod flow_ends;
mod flow_ways;
mod gate;
mod guards;
mod hedge;
mod joiner;
mod observe;
mod oneshot;
mod owner;
mod pool;
mod pool_board;
mod pool_keyed;
mod pool_subpools;
mod pool_watch;
mod rate;
mod rendezvous;
mod resource;
mod saga;
mod schedule;
mod scope;
mod select;
mod semaphore;
mod service;
mod session;
mod single_flight;
mod threads;
mod time;
mod waiter;
mod watch;
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
