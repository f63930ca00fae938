//! The journal of sagas: threads share it, and one acks for all. The disk is in memory.

use crate::{join, model, spawn};
use ironsys::Context;
use ironsys::durable::{Memory, Outbox};
use ironsys::saga::{Saga, SagaError, Sagas, Turn, no_undo};
use ironsys::sync::Arc;

fn open(memory: &Memory) -> Sagas {
    let outbox = Outbox::over(Arc::new(memory.clone())).name("o").segment_bytes(4096);
    let saga = Saga::builder("s").step("a", |_: &Context, _: &Turn<'_>| Ok(Vec::new()), no_undo);
    let saga = saga.build().expect("one step");
    Sagas::over(outbox.open().expect("an empty folder"), [saga]).expect("an empty journal")
}

/// Two sagas at once: both records count, and in the end nothing is kept.
#[test]
fn run_vs_run() {
    model("saga::run_vs_run", || {
        let (ctx, _cancel) = Context::root();
        let sagas = Arc::new(open(&Memory::new()));
        let other = spawn({
            let (ctx, sagas) = (ctx.clone(), sagas.clone());
            move || sagas.run(&ctx, "s", "x", b"").map(drop).expect("the disk works")
        });
        sagas.run(&ctx, "s", "y", b"").map(drop).expect("the disk works");
        join(other);
        assert_eq!((sagas.list().len(), sagas.journal_len()), (0, 0));
    });
}

/// One saga, two callers: it runs once at a time.
#[test]
fn same_id() {
    model("saga::same_id", || {
        let (ctx, _cancel) = Context::root();
        let sagas = Arc::new(open(&Memory::new()));
        let once = |ctx: &Context, sagas: &Sagas| match sagas.run(ctx, "s", "x", b"") {
            Ok(_) => 1,
            Err(SagaError::Exists(_)) => 0,
            Err(e) => panic!("{e}"),
        };
        let other = spawn({
            let (ctx, sagas) = (ctx.clone(), sagas.clone());
            move || once(&ctx, &sagas)
        });
        let mine = once(&ctx, &sagas);
        assert!(mine + join(other) >= 1);
        assert!(sagas.list().is_empty());
    });
}
