//! kameo: a tokio task for each actor, mailboxes of 64.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Instant;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};

use super::tokio;
use crate::cases::session::{ACTORS, TALLY, await_tally};

struct Counter(u64);

impl Actor for Counter {
    type Args = Self;
    type Error = Infallible;
    async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(args)
    }
}

struct Add(u64);
struct Report;
struct Get;

impl Message<Add> for Counter {
    type Reply = ();
    async fn handle(&mut self, Add(n): Add, _: &mut Context<Self, ()>) {
        self.0 += n;
    }
}
impl Message<Report> for Counter {
    type Reply = ();
    async fn handle(&mut self, _: Report, _: &mut Context<Self, ()>) {
        TALLY.fetch_add(self.0, Ordering::AcqRel);
    }
}
impl Message<Get> for Counter {
    type Reply = u64;
    async fn handle(&mut self, _: Get, _: &mut Context<Self, u64>) -> u64 {
        self.0
    }
}

fn spawn() -> ActorRef<Counter> {
    Counter::spawn_with_mailbox(Counter(0), mailbox::bounded(64))
}

pub(crate) fn tell(n: u64) -> f64 {
    let runtime = tokio();
    let all: Vec<_> = runtime.block_on(async { (0..ACTORS).map(|_| spawn()).collect() });
    let start = Instant::now();
    let senders = [0, 1].map(|sender| {
        let all = all.clone();
        runtime.spawn(async move {
            for i in 0..n / 2 {
                let to = &all[((i + sender * ACTORS / 2) % ACTORS) as usize];
                to.tell(Add(1)).send().await.expect("it lives");
            }
        })
    });
    runtime.block_on(async {
        for sender in senders {
            sender.await.expect("no panic");
        }
        for to in &all {
            to.tell(Report).send().await.expect("it lives");
        }
    });
    await_tally(n / 2 * 2);
    start.elapsed().as_nanos() as f64 / n as f64
}

pub(crate) fn ask(n: u64) -> f64 {
    let runtime = tokio();
    let asker = runtime.spawn(async move {
        let counter = spawn();
        let start = Instant::now();
        for _ in 0..n {
            counter.ask(Get).send().await.expect("it answers");
        }
        start.elapsed().as_nanos() as f64 / n as f64
    });
    runtime.block_on(asker).expect("no panic")
}

pub(crate) fn ask_blocking(n: u64) -> f64 {
    let runtime = tokio();
    let counter = runtime.block_on(async { spawn() });
    let start = Instant::now();
    for _ in 0..n {
        counter.ask(Get).blocking_send().expect("it answers");
    }
    start.elapsed().as_nanos() as f64 / n as f64
}

pub(crate) fn start(n: u64) -> f64 {
    let runtime = tokio();
    let start = Instant::now();
    let all: Vec<_> = runtime.block_on(async {
        let all: Vec<_> = (0..n).map(|_| spawn()).collect();
        for one in &all {
            one.wait_for_startup().await;
        }
        all
    });
    let each = start.elapsed().as_nanos() as f64 / n as f64;
    drop(all);
    each
}
