//! ractor: a tokio task for each actor, mailboxes without a bound.

use std::sync::atomic::Ordering;
use std::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use super::tokio;
use crate::cases::session::{ACTORS, TALLY, await_tally};

struct Counter;

enum Cmd {
    Add(u64),
    Report,
    Get(RpcReplyPort<u64>),
}

impl Actor for Counter {
    type Msg = Cmd;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Cmd>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Cmd>,
        cmd: Cmd,
        state: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match cmd {
            Cmd::Add(n) => *state += n,
            Cmd::Report => drop(TALLY.fetch_add(*state, Ordering::AcqRel)),
            Cmd::Get(reply) => reply.send(*state)?,
        }
        Ok(())
    }
}

async fn spawn() -> ActorRef<Cmd> {
    Actor::spawn(None, Counter, ()).await.expect("it starts").0
}

pub(crate) fn tell(n: u64) -> f64 {
    let runtime = tokio();
    let all: Vec<_> = runtime.block_on(async {
        let mut all = Vec::new();
        for _ in 0..ACTORS {
            all.push(spawn().await);
        }
        all
    });
    let start = Instant::now();
    let senders = [0, 1].map(|sender| {
        let all = all.clone();
        runtime.spawn(async move {
            for i in 0..n / 2 {
                let to = &all[((i + sender * ACTORS / 2) % ACTORS) as usize];
                to.cast(Cmd::Add(1)).expect("it lives");
            }
        })
    });
    runtime.block_on(async {
        for sender in senders {
            sender.await.expect("no panic");
        }
    });
    for to in &all {
        to.cast(Cmd::Report).expect("it lives");
    }
    await_tally(n / 2 * 2);
    let each = start.elapsed().as_nanos() as f64 / n as f64;
    all.iter().for_each(|one| one.stop(None));
    each
}

pub(crate) fn ask(n: u64) -> f64 {
    let runtime = tokio();
    let asker = runtime.spawn(async move {
        let counter = spawn().await;
        let start = Instant::now();
        for _ in 0..n {
            call!(counter, Cmd::Get).expect("it answers");
        }
        let each = start.elapsed().as_nanos() as f64 / n as f64;
        counter.stop(None);
        each
    });
    runtime.block_on(asker).expect("no panic")
}
