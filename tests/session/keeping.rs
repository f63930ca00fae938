//! State that outlives memory: passivation, the store, snapshots that cannot be read.

use crate::{clocked, next, root, until};
use ironsys::Context;
use ironsys::channel::Reply;
use ironsys::session::{
    Address, Corrupt, Cx, Idle, Manager, MemoryStore, Restore, Session, Snapshot, StartError,
    Store, StoreError,
};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Keeps what it was told, in order.
struct Log(Vec<u8>);

enum Cmd {
    Note(u8),
    Read(Reply<Vec<u8>>),
    Watch(Address<Log>),
    Crash,
}

impl Session for Log {
    type Id = u8;
    type Msg = Cmd;
    type Error = String;

    fn start(_: &u8, _: &mut Cx<'_, Self>) -> Result<Self, String> {
        Ok(Log(Vec::new()))
    }

    fn handle(&mut self, cmd: Cmd, cx: &mut Cx<'_, Self>) -> Result<(), String> {
        match cmd {
            Cmd::Note(n) => self.0.push(n),
            Cmd::Read(reply) => drop(reply.send(self.0.clone())),
            Cmd::Watch(other) => cx.watch(&other, |id, _| Cmd::Note(*id)),
            Cmd::Crash => return Err("crash".into()),
        }
        Ok(())
    }

    fn idle(&mut self, _: &mut Cx<'_, Self>) -> Idle {
        Idle::Passivate
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(2, self.0.clone()))
    }

    fn restore(_: &u8, snapshot: Snapshot, _: &mut Cx<'_, Self>) -> Result<Self, Restore<String>> {
        match snapshot.version {
            2 => Ok(Log(snapshot.bytes)),
            n => Err(Restore::Corrupt(format!("version {n}"))),
        }
    }
}

/// Counts what is saved, and fails on demand.
#[derive(Default)]
struct Counting {
    kept: MemoryStore<u8>,
    saves: AtomicUsize,
    failing: AtomicUsize,
}

impl Store<u8> for Counting {
    fn load(&self, ctx: &Context, id: &u8) -> Result<Option<Snapshot>, StoreError> {
        self.kept.load(ctx, id)
    }

    fn save(&self, ctx: &Context, id: &u8, snapshot: &Snapshot) -> Result<(), StoreError> {
        if self.failing.load(Ordering::SeqCst) > 0 {
            let problem = "disk full".into();
            return Err(StoreError::Failed { id: id.to_string(), problem });
        }
        self.saves.fetch_add(1, Ordering::SeqCst);
        self.kept.save(ctx, id, snapshot)
    }
}

fn read(manager: &Manager<Log>, ctx: &Context, id: u8) -> Vec<u8> {
    manager.ask(ctx, &id, Cmd::Read).unwrap()
}

#[test]
fn an_idle_session_leaves_memory_and_comes_back_with_its_state() {
    for own in [false, true] {
        let (time, ctx, _cancel) = clocked();
        let store = Arc::new(Counting::default());
        let builder = Manager::<Log>::builder("logs").context(&ctx).stuck_after(Duration::MAX);
        let builder = if own { builder.thread_per_session() } else { builder.sharded(1) };
        let manager = builder.idle_after(MINUTE).store(store.clone()).build().unwrap();
        manager.tell(&ctx, &1, Cmd::Note(1)).unwrap();
        assert_eq!(read(&manager, &ctx, 1), [1]);
        until(|| time.pending() > 0);
        time.advance(MINUTE);
        until(|| manager.is_empty());
        assert_eq!((manager.live(), store.saves.load(Ordering::SeqCst)), (0, 1));
        manager.tell(&ctx, &1, Cmd::Note(2)).unwrap();
        assert_eq!(read(&manager, &ctx, 1), [1, 2]);
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.done, ledger.in_flight), (4, 0));
        assert_eq!(store.saves.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn above_the_live_limit_the_one_used_longest_ago_leaves() {
    let (time, ctx, _cancel) = clocked();
    let manager = Manager::<Log>::builder("logs").context(&ctx).sharded(1);
    let manager = manager.stuck_after(Duration::MAX).live_limit(2).store(MemoryStore::new());
    let manager = manager.build().unwrap();
    for id in [1, 2, 1, 3] {
        time.advance(Duration::from_millis(1));
        read(&manager, &ctx, id);
    }
    until(|| manager.len() == 2);
    let mut left = manager.ids();
    left.sort_unstable();
    assert_eq!((manager.live(), left), (2, vec![1, 3]));
}

#[test]
fn the_thread_of_a_session_that_another_one_put_out_of_memory_goes() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Log>::builder("logs").thread_per_session().live_limit(1);
    let manager = manager.store(MemoryStore::new()).build().unwrap();
    for id in 0..20 {
        manager.tell(&ctx, &id, Cmd::Note(id)).unwrap();
        assert_eq!(read(&manager, &ctx, id), [id]);
    }
    until(|| manager.stats().threads <= 1);
    assert_eq!(read(&manager, &ctx, 0), [0]);
    assert!(manager.close(&ctx).in_time);
}

#[test]
fn a_session_that_is_watched_stays_and_one_that_watches_is_brought_back() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Log>::builder("logs").store(MemoryStore::new()).build().unwrap();
    manager.tell(&ctx, &1, Cmd::Watch(manager.get_or_start(&ctx, &2).unwrap())).unwrap();
    assert!(read(&manager, &ctx, 1).is_empty());
    let watcher = manager.get(&1).unwrap();
    assert!(manager.passivate(&2) && manager.passivate(&1));
    watcher.wait_ended(&ctx).unwrap();
    assert!(read(&manager, &ctx, 2).is_empty());
    assert_eq!(manager.ids(), [2]);
    manager.stop(&ctx, &2).unwrap();
    assert_eq!(read(&manager, &ctx, 1), [2]);
}

#[test]
fn a_cancel_writes_the_final_state_exactly_once() {
    let (_time, ctx, cancel) = clocked();
    let (mine, _keep) = root();
    let store = Arc::new(Counting::default());
    let manager = Manager::<Log>::builder("logs").context(&ctx).store(store.clone());
    let manager = manager.build().unwrap();
    for id in 0..10 {
        manager.tell(&mine, &id, Cmd::Note(id)).unwrap();
        read(&manager, &mine, id);
    }
    cancel.cancel();
    drop(manager);
    assert_eq!((store.saves.load(Ordering::SeqCst), store.kept.len()), (10, 10));
}

#[test]
fn what_cannot_be_saved_is_handed_back_or_stays() {
    let (_time, ctx, _cancel) = clocked();
    let store = Arc::new(Counting::default());
    let (lost, unsaved) = mpsc::channel();
    let manager = Manager::<Log>::builder("logs").context(&ctx).store(store.clone());
    let manager = manager.on_unsaved(move |id, snapshot, e| {
        lost.send((*id, snapshot.map(|s| s.bytes), e.to_string())).unwrap();
    });
    let manager = manager.build().unwrap();
    manager.tell(&ctx, &1, Cmd::Note(7)).unwrap();
    store.failing.store(1, Ordering::SeqCst);
    assert!(manager.passivate(&1));
    let said = "the store failed for session 1: disk full".to_owned();
    assert_eq!(next(&unsaved), (1, None, said.clone()));
    assert_eq!(read(&manager, &ctx, 1), [7]);
    manager.stop(&ctx, &1).unwrap();
    assert_eq!(next(&unsaved), (1, Some(vec![7]), said));
}

#[test]
fn a_corrupt_snapshot_is_an_error_that_names_the_id_or_a_fresh_start() {
    for policy in [Corrupt::Refuse, Corrupt::StartFresh] {
        let (_time, ctx, _cancel) = clocked();
        let store = Arc::new(Counting::default());
        store.kept.save(&ctx, &9, &Snapshot::new(1, *b"old")).unwrap();
        let (told, failures) = mpsc::channel();
        let manager = Manager::<Log>::builder("logs").corrupt(policy).store(store.clone());
        let manager =
            manager.on_failure(move |_, failure, _| told.send(failure.to_string()).unwrap());
        let manager = manager.build().unwrap();
        let started = manager.get_or_start(&ctx, &9);
        let said = "the snapshot of session 9 is corrupt: version 1";
        assert_eq!(next(&failures), said);
        match (policy, started) {
            (Corrupt::Refuse, Err(StartError::Failed(e))) => assert_eq!(e.to_string(), said),
            (Corrupt::StartFresh, Ok(_)) => assert!(read(&manager, &ctx, 9).is_empty()),
            (_, other) => panic!("{other:?}"),
        }
        drop(manager);
        let kept = store.kept.load(&ctx, &9).unwrap().unwrap();
        assert_eq!(kept.version, if policy == Corrupt::Refuse { 1 } else { 2 });
    }
}

#[derive(Debug, Clone)]
enum Step {
    Note(u8, u8),
    Read(u8),
    Crash(u8),
    Passivate(u8),
    Stop(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, any::<u8>()).prop_map(|(id, n)| Step::Note(id, n)),
        2 => (0..3_u8).prop_map(Step::Read),
        1 => (0..3_u8).prop_map(Step::Crash),
        2 => (0..3_u8).prop_map(Step::Passivate),
        1 => (0..3_u8).prop_map(Step::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any history of one sender, against a map: what was saved last is what a crash goes back to.
    #[test]
    fn histories_agree_with_a_sequential_model(steps in prop::collection::vec(step(), 1..40), own: bool) {
        let (ctx, _cancel) = root();
        let store = Arc::new(MemoryStore::<u8>::new());
        let builder = Manager::<Log>::builder("logs").store(store.clone()).on_failure(|_, _, _| ());
        let builder = if own { builder.thread_per_session() } else { builder.sharded(2) };
        let builder = builder.backoff(ironsys::schedule::Backoff::fixed(Duration::ZERO));
        let manager = builder.intensity(1000, MINUTE).build().unwrap();
        let (mut live, mut kept) = (HashMap::<u8, Vec<u8>>::new(), HashMap::<u8, Vec<u8>>::new());
        for step in steps {
            match step {
                Step::Note(id, n) => {
                    manager.tell(&ctx, &id, Cmd::Note(n)).unwrap();
                    let start = || kept.get(&id).cloned().unwrap_or_default();
                    live.entry(id).or_insert_with(start).push(n);
                }
                Step::Read(id) => {
                    let start = || kept.get(&id).cloned().unwrap_or_default();
                    let expected = live.entry(id).or_insert_with(start);
                    prop_assert_eq!(&read(&manager, &ctx, id), expected);
                }
                Step::Crash(id) => {
                    manager.tell(&ctx, &id, Cmd::Crash).unwrap();
                    let start = kept.get(&id).cloned().unwrap_or_default();
                    prop_assert_eq!(&read(&manager, &ctx, id), &start);
                    live.insert(id, start);
                }
                Step::Passivate(id) => {
                    if let Some(address) = manager.get(&id) {
                        manager.passivate(&id);
                        address.wait_ended(&ctx).unwrap();
                        kept.extend(live.remove(&id).map(|log| (id, log)));
                    }
                }
                Step::Stop(id) => {
                    manager.stop(&ctx, &id).unwrap();
                    kept.extend(live.remove(&id).map(|log| (id, log)));
                }
            }
        }
        let ledger = manager.close(&ctx).ledger;
        prop_assert!(ledger.is_balanced() && ledger.in_flight == 0 && ledger.dropped == 0);
        kept.extend(live);
        for (id, log) in kept {
            prop_assert_eq!(store.load(&ctx, &id).unwrap().map(|s| s.bytes), Some(log));
        }
    }
}
