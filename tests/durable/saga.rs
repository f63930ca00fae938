//! Sagas: all done or all undone, whatever fails, stops, crashes or loses its power in between.

use crate::{Dice, root, small};
use ironsys::durable::{Fault, FaultAt, Memory, Outbox, Storage};
use ironsys::resilience::{Budget, Retry};
use ironsys::saga::{Progress, Saga, SagaError, Sagas, StepError, Turn, no_undo};
use ironsys::time::VirtualClock;
use ironsys::{Context, scope};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the steps do to the world: it survives every crash.
#[derive(Clone, Default)]
struct World {
    /// What is done now, by saga and step.
    done: Arc<Mutex<BTreeSet<String>>>,
    /// Every call, by its key.
    calls: Arc<Mutex<Vec<String>>>,
    /// Calls that fail for good: keys.
    broken: Arc<Mutex<BTreeSet<String>>>,
}

const STEPS: [&str; 3] = ["reserve", "pay", "ship"];

impl World {
    fn act(&self, turn: &Turn<'_>) -> Result<Vec<u8>, StepError> {
        self.calls.lock().unwrap().push(turn.key().into());
        if self.broken.lock().unwrap().contains(turn.key()) {
            return Err(StepError::permanent("broken"));
        }
        self.done.lock().unwrap().insert(turn.key().into()); // Idempotent by key.
        Ok([turn.state(), turn.step().as_bytes()].concat())
    }

    fn undo(&self, turn: &Turn<'_>) -> Result<(), StepError> {
        self.calls.lock().unwrap().push(turn.key().into());
        if self.broken.lock().unwrap().contains(turn.key()) {
            return Err(StepError::permanent("cannot"));
        }
        self.done.lock().unwrap().remove(turn.key().strip_suffix("/undo").unwrap());
        Ok(())
    }

    fn saga(&self) -> Saga {
        let mut builder = Saga::builder("order");
        for step in STEPS {
            let (act, undo) = (self.clone(), self.clone());
            builder = builder.step(
                step,
                move |_: &Context, turn: &Turn<'_>| act.act(turn),
                move |_: &Context, turn: &Turn<'_>| undo.undo(turn),
            );
        }
        builder.build().unwrap()
    }

    fn open(&self, memory: &Memory) -> Sagas {
        Sagas::over(small(memory).open().unwrap(), [self.saga()]).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn break_it(&self, key: &str) {
        self.broken.lock().unwrap().insert(key.into());
    }

    /// How many steps of a saga are done.
    fn steps(&self, id: &str) -> usize {
        let done = self.done.lock().unwrap();
        STEPS.iter().filter(|step| done.contains(&format!("{id}/{step}"))).count()
    }
}

#[test]
fn all_is_done_or_all_is_undone_in_reverse_order() {
    let (ctx, _cancel) = root();
    let (world, memory) = (World::default(), Memory::new());
    let sagas = world.open(&memory);
    assert_eq!(sagas.run(&ctx, "order", "a", b">").unwrap(), b">reservepayship");
    assert_eq!(
        (world.steps("a"), world.calls()),
        (3, ["a/reserve", "a/pay", "a/ship"].map(String::from).to_vec())
    );
    world.break_it("b/pay");
    let error = sagas.run(&ctx, "order", "b", b"").unwrap_err();
    assert!(
        matches!(&error, SagaError::Undone { step, why: StepError::Permanent(_), .. } if step == "pay")
    );
    // The one that failed is undone first: nobody knows how far it got.
    assert_eq!(world.calls(), ["b/reserve", "b/pay", "b/pay/undo", "b/reserve/undo"]);
    assert_eq!((world.steps("b"), sagas.list().len()), (0, 0));
    // An id can be used again when its saga is over, also after a restart.
    world.broken.lock().unwrap().clear();
    sagas.run(&ctx, "order", "b", b"").unwrap();
    drop(sagas);
    let sagas = world.open(&memory);
    assert!(sagas.list().is_empty());
    assert!(matches!(sagas.run(&ctx, "orders", "c", b""), Err(SagaError::Definition { .. })));
    assert!(matches!(sagas.run(&ctx, "order", "", b""), Err(SagaError::Id(_))));
    assert!(matches!(sagas.resume_one(&ctx, "c"), Err(SagaError::Unknown(_))));
}

#[test]
fn what_cannot_be_undone_is_listed_and_can_be_retried_or_closed() {
    let (ctx, _cancel) = root();
    let (world, memory) = (World::default(), Memory::new());
    let sagas = world.open(&memory);
    for id in ["a", "b"] {
        world.break_it(&format!("{id}/ship"));
        world.break_it(&format!("{id}/reserve/undo"));
        let error = sagas.run(&ctx, "order", id, b"").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("saga `{id}` is stuck: `reserve` cannot be undone: cannot")
        );
        assert!(matches!(sagas.run(&ctx, "order", id, b""), Err(SagaError::Exists(_))));
    }
    drop(sagas);
    let sagas = world.open(&memory);
    world.calls();
    assert!(sagas.resume(&ctx).unwrap().failed.is_empty(), "stuck ones wait for somebody");
    let stuck = sagas.stuck();
    let (why, trouble) = ("broken".into(), "cannot".into());
    assert_eq!((&*stuck[0].id, &stuck[0].progress), ("a", &Progress::Stuck { why, trouble }));
    assert_eq!(stuck[0].steps, ["reserve"]);
    assert!(sagas.retry(&ctx, "a").unwrap_err().is_stuck());
    world.broken.lock().unwrap().clear();
    assert!(sagas.retry(&ctx, "a").unwrap_err().is_undone());
    sagas.close(&ctx, "b").unwrap();
    assert_eq!(world.calls(), ["a/reserve/undo", "a/reserve/undo"]);
    assert_eq!((world.steps("a"), world.steps("b"), sagas.list().len()), (0, 1, 0));
    drop(sagas);
    assert!(world.open(&memory).list().is_empty());
}

#[test]
fn a_stop_leaves_it_open_and_it_is_resumed_or_aborted() {
    for abort in [false, true] {
        let (ctx, _cancel) = root();
        let (world, memory) = (World::default(), Memory::new());
        let (child, cancel) = ctx.with_cancel();
        let inner = world.clone();
        let pay = move |ctx: &Context, turn: &Turn<'_>| {
            inner.act(turn)?;
            cancel.cancel();
            Err(ctx.check().unwrap_err().into())
        };
        let (reserve, undo) = (world.clone(), [world.clone(), world.clone()]);
        let [undo, unpay] = undo;
        let stopping = Saga::builder("order")
            .step(
                "reserve",
                move |_: &Context, t: &Turn<'_>| reserve.act(t),
                move |_: &Context, t: &Turn<'_>| undo.undo(t),
            )
            .step("pay", pay, move |_: &Context, t: &Turn<'_>| unpay.undo(t))
            .step("ship", |_: &Context, _: &Turn<'_>| unreachable!(), no_undo)
            .build()
            .unwrap();
        let sagas = Sagas::over(small(&memory).open().unwrap(), [stopping]).unwrap();
        let error = sagas.run(&child, "order", "a", b"").unwrap_err();
        assert!(error.stop().is_some(), "{error}");
        assert_eq!((&*sagas.list()[0].id, sagas.list()[0].running), ("a", false));
        // Neither does a stopped context undo anything.
        assert!(sagas.resume(&child).unwrap_err().stop().is_some());
        drop(sagas);
        let sagas = world.open(&memory);
        world.calls();
        if abort {
            let error = sagas.abort(&ctx, "a", "the customer left").unwrap_err();
            assert_eq!(error.to_string(), "saga `a` is undone: `pay` failed: the customer left");
            assert_eq!(world.calls(), ["a/pay/undo", "a/reserve/undo"]);
        } else {
            assert_eq!(sagas.resume(&ctx).unwrap().done, ["a"]);
            assert_eq!(world.calls(), ["a/pay", "a/ship"]);
            assert_eq!(world.steps("a"), 3);
        }
        assert!(sagas.list().is_empty());
    }
}

#[test]
fn failures_for_now_are_retried_under_the_budget_and_panics_are_failures() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let flaky = move |_: &Context, turn: &Turn<'_>| {
        assert_eq!(turn.key(), "a/one");
        match count.fetch_add(1, Ordering::SeqCst) {
            0..3 => Err(StepError::transient("busy")),
            _ => Ok(vec![1]),
        }
    };
    let budget = Budget::builder()
        .burst(2)
        .floor_per_second(0)
        .ratio(0.1)
        .clock(ctx.clock())
        .build()
        .unwrap();
    let retry = Retry::fixed(Duration::from_secs(1)).budget(&budget);
    let build = |retry| {
        let saga = Saga::builder("s").step("one", flaky.clone(), no_undo).retry(retry);
        Sagas::over(small(&Memory::new()).open().unwrap(), [saga.build().unwrap()]).unwrap()
    };
    let error = build(retry).run(&ctx, "s", "a", b"").unwrap_err();
    assert!(matches!(error, SagaError::Undone { why: StepError::Transient(_), .. }), "{error}");
    assert_eq!(tries.swap(0, Ordering::SeqCst), 3, "two tokens, two retries");
    let sagas = build(Retry::fixed(Duration::from_secs(1)).max_attempts(4));
    assert_eq!(sagas.run(&ctx, "s", "a", b"").unwrap(), [1]);
    let bad = |_: &Context, _: &Turn<'_>| -> Result<Vec<u8>, StepError> { panic!("oh") };
    let saga = Saga::builder("p").step("one", bad, no_undo).build().unwrap();
    let sagas = Sagas::over(small(&Memory::new()).open().unwrap(), [saga]).unwrap();
    let error = sagas.run(&ctx, "p", "a", b"").unwrap_err();
    assert_eq!(error.to_string(), "saga `a` is undone: `one` failed: it panicked: oh");
    // A state that no record can hold turns it round, too.
    let huge = |_: &Context, _: &Turn<'_>| Ok(vec![0; 1 << 20]);
    let saga = Saga::builder("h").step("one", huge, no_undo).step("two", huge, no_undo);
    let saga = saga.build().unwrap();
    let sagas = Sagas::over(small(&Memory::new()).open().unwrap(), [saga]).unwrap();
    assert!(sagas.run(&ctx, "h", "a", b"").is_err_and(|e| e.is_undone()));
}

#[test]
fn what_is_too_long_for_the_journal_does_not_keep_a_saga_from_going_back() {
    let (ctx, _cancel) = root();
    let largest = (4 << 10) - 20; // About what a record may have: from below to above.
    for (state, why) in
        (largest - 1_500..largest + 50).step_by(7).map(|n| (n, 9)).chain([(9, 1 << 20)])
    {
        let undone = Arc::new(AtomicUsize::new(0));
        let undo = {
            let undone = undone.clone();
            move |_: &Context, _: &Turn<'_>| {
                undone.fetch_add(1, Ordering::SeqCst);
                match undone.load(Ordering::SeqCst) {
                    1 => Err(StepError::permanent("ä".repeat(why))),
                    _ => Ok(()),
                }
            }
        };
        let saga = Saga::builder("s").step("one", move |_, _| Ok(vec![0; state]), undo).step(
            "two",
            move |_, _| Err(StepError::permanent("ä".repeat(why))),
            no_undo,
        );
        let outbox =
            Outbox::over(Arc::new(Memory::new())).segment_bytes(1 << 14).group_bytes(4 << 10);
        let sagas = Sagas::over(outbox.open().unwrap(), [saga.build().unwrap()]).unwrap();
        let stuck = sagas.run(&ctx, "s", "a", b"").unwrap_err();
        assert!(stuck.is_stuck(), "{state}, {why}: {stuck}");
        let error = sagas.retry(&ctx, "a").unwrap_err();
        assert!(error.is_undone(), "{state}, {why}: {error}");
    }
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_is_a_failure_of_the_step() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let (ctx, _cancel) = root();
    let bad = |_: &Context, _: &Turn<'_>| -> Result<Vec<u8>, StepError> {
        std::panic::panic_any(Bomb);
    };
    let saga = Saga::builder("s").step("one", bad, no_undo).build().unwrap();
    let sagas = Sagas::over(small(&Memory::new()).open().unwrap(), [saga]).unwrap();
    assert!(sagas.run(&ctx, "s", "a", b"").is_err_and(|e| e.is_undone()));
}

#[test]
fn one_that_is_stuck_does_not_keep_the_space_of_the_others() {
    let (ctx, _cancel) = root();
    let (world, memory) = (World::default(), Memory::new());
    let sagas = world.open(&memory);
    for id in ["x", "y"] {
        world.break_it(&format!("{id}/pay"));
        world.break_it(&format!("{id}/pay/undo"));
        assert!(sagas.run(&ctx, "order", id, b"mine").unwrap_err().is_stuck());
    }
    let mut most = 0;
    for n in 0..500 {
        sagas.run(&ctx, "order", &n.to_string(), b"").unwrap();
        most = most.max(sagas.journal_len());
    }
    assert!((64..100).contains(&most), "{most}");
    let files = memory.list().unwrap();
    assert!(files.iter().filter(|name| name.ends_with(".seg")).count() <= 6, "{files:?}");
    let before = sagas.stuck();
    drop(sagas);
    let sagas = world.open(&memory);
    assert_eq!(sagas.list(), before);
    assert_eq!(before.iter().map(|saga| &*saga.id).collect::<Vec<_>>(), ["x", "y"]);
    world.broken.lock().unwrap().clear();
    assert!(sagas.retry(&ctx, "x").unwrap_err().is_undone());
}

#[test]
fn a_definition_that_has_changed_is_not_run() {
    let (ctx, _cancel) = root();
    let (world, memory) = (World::default(), Memory::new());
    let sagas = world.open(&memory);
    for key in ["a/ship", "a/pay/undo"] {
        world.break_it(key);
    }
    assert!(sagas.run(&ctx, "order", "a", b"").unwrap_err().is_stuck());
    drop(sagas);
    for name in ["order", "another"] {
        let step = |_: &Context, _: &Turn<'_>| -> Result<Vec<u8>, StepError> { unreachable!() };
        let other = Saga::builder(name).step("pack", step, no_undo).build().unwrap();
        let sagas = Sagas::over(small(&memory).open().unwrap(), [other]).unwrap();
        assert!(matches!(sagas.retry(&ctx, "a"), Err(SagaError::Definition { .. })));
        assert!(!sagas.list()[0].running);
    }
    world.broken.lock().unwrap().clear();
    assert!(world.open(&memory).retry(&ctx, "a").unwrap_err().is_undone());
}

#[test]
fn many_threads_share_a_journal() {
    let (ctx, _cancel) = root();
    let (world, memory) = (World::default(), Memory::new());
    let sagas = world.open(&memory);
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    for id in ids.iter().step_by(3) {
        world.break_it(&format!("{id}/ship"));
    }
    let outcomes = scope::map(&ctx, 4, &ids, |ctx, id| {
        Ok::<_, ironsys::Stop>(sagas.run(ctx, "order", id, b"").map_err(|e| e.is_undone()))
    });
    for (n, outcome) in outcomes.unwrap().into_iter().enumerate() {
        assert_eq!(outcome.is_ok(), n % 3 != 0, "{n}: {outcome:?}");
        assert_eq!(world.steps(&n.to_string()), if n % 3 == 0 { 0 } else { 3 });
    }
    assert!(sagas.list().is_empty());
    assert_eq!(sagas.journal_len(), 0);
    drop(sagas);
    assert!(world.open(&memory).list().is_empty());
}

/// Sagas of which every third fails, and some stuck ones among them, until the disk fails.
fn work(ctx: &Context, world: &World, sagas: &Sagas, from: usize) -> Result<(), SagaError> {
    for n in from..from + 30 {
        let id = format!("s{n}");
        if n % 3 == 0 {
            world.break_it(&format!("{id}/{}", STEPS[n % 9 / 3]));
        }
        match sagas.run(ctx, "order", &id, b"x") {
            Ok(_) | Err(SagaError::Undone { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[test]
fn a_power_cut_at_any_sync_leaves_what_can_be_brought_to_an_end() {
    let (ctx, _cancel) = root();
    let (mut cuts, mut dice) = (0, Dice(11));
    for skip in (0..140).step_by(3) {
        for seed in 0..4 {
            let (world, mut memory) = (World::default(), Memory::new());
            let mut from = 0;
            for generation in 0..3 {
                let sagas = world.open(&memory);
                let resumed = sagas.resume(&ctx).unwrap();
                assert!(resumed.failed.iter().all(SagaError::is_undone), "{resumed:?}");
                for n in 0..from {
                    assert_eq!(world.steps(&format!("s{n}")) % 3, 0, "s{n}: skip {skip}, {seed}");
                }
                let at = if seed % 2 == 0 { FaultAt::Sync } else { FaultAt::ShortWrite(17) };
                let skip = (skip + generation * 31) % 140;
                memory.fail(Fault { at, skip, times: u64::MAX, error: ErrorKind::Other });
                let result = work(&ctx, &world, &sagas, from as usize);
                cuts += usize::from(result.is_err());
                assert!(matches!(result, Ok(()) | Err(SagaError::Journal { .. })), "{result:?}");
                from += 30;
                let cut = memory.after_power_cut(dice.below(1 << 40));
                drop(sagas);
                memory = cut;
            }
            let sagas = world.open(&memory);
            assert!(sagas.resume(&ctx).unwrap().failed.iter().all(SagaError::is_undone));
            assert!(sagas.list().is_empty());
            // Each key was only ever used for what it stands for, and nothing is half done.
            let mut by_saga: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for key in world.calls() {
                by_saga.entry(key.split('/').next().unwrap().into()).or_default().insert(key);
            }
            for (id, keys) in by_saga {
                let undone = keys.iter().any(|key| key.ends_with("/undo"));
                let n: usize = id[1..].parse().unwrap();
                assert_eq!(
                    world.steps(&id),
                    if n.is_multiple_of(3) { 0 } else { 3 },
                    "{id}: {keys:?}"
                );
                assert_eq!(undone, n.is_multiple_of(3), "{id}: {keys:?}");
            }
        }
    }
    assert!(cuts > 140, "{cuts}");
}

#[test]
fn builders_are_checked() {
    let nothing = |_: &Context, _: &Turn<'_>| Ok(Vec::new());
    assert_eq!(Saga::builder("a").build().unwrap_err().field(), "step");
    assert_eq!(Saga::builder("").step("a", nothing, no_undo).build().unwrap_err().field(), "name");
    let twice = Saga::builder("a").step("a", nothing, no_undo).step("a", nothing, no_undo);
    assert_eq!(twice.build().unwrap_err().field(), "step");
    let saga = || Saga::builder("a").step("a", nothing, no_undo).build().unwrap();
    let outbox: Outbox = small(&Memory::new()).open().unwrap();
    assert!(Sagas::over(outbox.clone(), [saga(), saga()]).is_err());
    let (ctx, _cancel) = root();
    outbox.append(&ctx, b"something else").unwrap();
    assert!(Sagas::over(outbox, [saga()]).is_err());
}
