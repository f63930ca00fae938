//! xtra: a tokio task for each actor, mailboxes of 64.

use std::sync::atomic::Ordering;
use std::time::Instant;

use xtra::{Actor, Address, Context, Handler, Mailbox};

use super::tokio;
use crate::cases::session::{ACTORS, TALLY, await_tally};

struct Counter(u64);

impl Actor for Counter {
    type Stop = ();
    async fn stopped(self) {}
}

struct Add(u64);
struct Report;
struct Get;

impl Handler<Add> for Counter {
    type Return = ();
    async fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) {
        self.0 += n;
    }
}
impl Handler<Report> for Counter {
    type Return = ();
    async fn handle(&mut self, _: Report, _: &mut Context<Self>) {
        TALLY.fetch_add(std::mem::take(&mut self.0), Ordering::AcqRel);
    }
}
impl Handler<Get> for Counter {
    type Return = u64;
    async fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

fn spawn() -> Address<Counter> {
    xtra::spawn_tokio(Counter(0), Mailbox::bounded(64))
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
                drop(to.send(Add(1)).detach().await.expect("it lives"));
            }
        })
    });
    runtime.block_on(async {
        for sender in senders {
            sender.await.expect("no panic");
        }
        // A report may overtake what was sent before it, so they are asked until all is there.
        while TALLY.load(Ordering::Acquire) < n / 2 * 2 {
            for to in &all {
                to.send(Report).await.expect("it lives");
            }
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
            counter.send(Get).await.expect("it answers");
        }
        start.elapsed().as_nanos() as f64 / n as f64
    });
    runtime.block_on(asker).expect("no panic")
}
