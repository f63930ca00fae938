//! The last write: once, whatever the end; and who is late with it.

use crate::{clocked, next, root, until};
use ironsys::Context;
use ironsys::channel::Reply;
use ironsys::session::{Cx, Manager, MemoryStore, Reason, Session, Snapshot, Store, StoreError};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// The context that sessions work under.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Option<Context>>>);

/// Panics as it stops.
struct Falls(u8);

impl Session for Falls {
    type Id = u8;
    type Msg = Option<Reply<u8>>;
    type Error = &'static str;

    fn start(_: &u8, cx: &mut Cx<'_, Self>) -> Result<Self, &'static str> {
        if let Some(seen) = cx.context().value::<Seen>() {
            *seen.0.lock().unwrap() = Some(cx.context().clone());
        }
        Ok(Falls(0))
    }

    fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<'_, Self>) -> Result<(), &'static str> {
        self.0 += 1;
        match msg {
            Some(reply) => drop(reply.send(self.0)),
            None => cx.stop(),
        }
        Ok(())
    }

    fn stop(&mut self, _: &Reason<&'static str>, _: &mut Cx<'_, Self>) {
        self.0 += 10;
        std::panic::resume_unwind(Box::new("it falls"));
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, vec![self.0]))
    }
}

/// Notes every save; one of session 1 says that it has begun, and waits until it may go on.
struct Slow {
    kept: MemoryStore<u8>,
    saves: Mutex<Vec<(u8, Vec<u8>)>>,
    gate: Option<(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>)>,
}

impl Store<u8> for Slow {
    fn load(&self, ctx: &Context, id: &u8) -> Result<Option<Snapshot>, StoreError> {
        self.kept.load(ctx, id)
    }

    fn save(&self, ctx: &Context, id: &u8, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.saves.lock().unwrap().push((*id, snapshot.bytes.to_vec()));
        if let (1, Some((begun, go))) = (id, &self.gate) {
            begun.send(()).unwrap();
            go.lock().unwrap().recv().unwrap();
        }
        self.kept.save(ctx, id, snapshot)
    }
}

fn slow(gate: Option<(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>)>) -> Arc<Slow> {
    Arc::new(Slow { kept: MemoryStore::new(), saves: Mutex::default(), gate })
}

#[test]
fn a_stop_that_panics_is_a_failure_and_the_state_is_saved_once() {
    for own in [false, true] {
        for way in 0..4 {
            let (ctx, _cancel) = root();
            let store = slow(None);
            let (told, failures) = mpsc::channel();
            let builder = Manager::<Falls>::builder("falls").store(store.clone());
            let builder = if own { builder.thread_per_session() } else { builder.sharded(1) };
            let manager = builder
                .on_failure(move |_, failure, _| told.send(failure.to_string()).unwrap())
                .build()
                .unwrap();
            let address = manager.get_or_start(&ctx, &1).unwrap();
            assert_eq!(address.ask(&ctx, Some).unwrap(), 1);
            let last = match way {
                0 => manager.stop(&ctx, &1).map(|_| 11).unwrap(),
                1 => manager.tell(&ctx, &1, None).map(|()| 12).unwrap(),
                _ => 11,
            };
            match way {
                3 => drop(manager),
                _ => {
                    if way < 2 {
                        let reason = address.wait_ended(&ctx).unwrap().unwrap();
                        assert!(reason.is_normal());
                    }
                    assert!(manager.close(&ctx).in_time);
                }
            }
            assert_eq!(*store.saves.lock().unwrap(), [(1, vec![last])]);
            assert_eq!(next(&failures), "panicked: it falls");
            assert!(failures.try_recv().is_err());
        }
    }
}

#[test]
fn a_close_waits_for_a_slow_save_and_says_whose_it_was() {
    for own in [false, true] {
        let (time, ctx, _cancel) = clocked();
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let store = slow(Some((begun, Mutex::new(may_go))));
        let seen = Seen::default();
        let ctx = ctx.with_value(seen.clone());
        let builder = Manager::<Falls>::builder("slow").context(&ctx).store(store.clone());
        let builder = builder.stuck_after(Duration::MAX).on_failure(|_, _, _| ());
        let builder = if own { builder.thread_per_session() } else { builder.sharded(2) };
        let manager = builder.build().unwrap();
        let all = manager.sessions();
        for id in 1..=3 {
            assert_eq!(manager.ask(&ctx, &id, Some).unwrap(), 1);
        }
        let soon = ctx.with_timeout(Duration::from_secs(1));
        let closer = std::thread::spawn(move || manager.close(&soon));
        next(&has_begun);
        // On a shard others may be behind it: the watch that would find that is off.
        until(|| all.len() == 1 || !own);
        time.advance(Duration::from_secs(1));
        let its = seen.0.lock().unwrap().take().unwrap();
        until(|| its.is_stopped());
        go.send(()).unwrap();
        let closed = closer.join().unwrap();
        assert!(!closed.in_time);
        assert!(closed.late.contains(&"1".to_owned()));
        assert!(closed.late.len() == 1 || !own);
        assert_eq!((store.kept.len(), store.saves.lock().unwrap().len()), (3, 3));
    }
}

/// Tells when it is dropped.
struct Held(MemoryStore<u8>, mpsc::Sender<()>);

impl Store<u8> for Held {
    fn load(&self, ctx: &Context, id: &u8) -> Result<Option<Snapshot>, StoreError> {
        self.0.load(ctx, id)
    }

    fn save(&self, ctx: &Context, id: &u8, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.0.save(ctx, id, snapshot)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.1.send(());
    }
}

#[test]
fn a_manager_that_has_ended_has_let_go_of_its_store_whatever_handles_there_are() {
    for own in [false, true] {
        for closes in [false, true] {
            let (ctx, _cancel) = root();
            let (told, dropped) = mpsc::channel();
            let builder = Manager::<Falls>::builder("held").store(Held(MemoryStore::new(), told));
            let builder = if own { builder.thread_per_session() } else { builder.sharded(1) };
            let manager = builder.on_failure(|_, _, _| ()).build().unwrap();
            let (handle, address) = (manager.sessions(), manager.get_or_start(&ctx, &1).unwrap());
            assert_eq!(address.ask(&ctx, Some).unwrap(), 1);
            assert!(dropped.try_recv().is_err());
            if closes {
                drop(manager.close(&ctx))
            } else {
                drop(manager)
            }
            assert_eq!(dropped.try_recv(), Ok(()));
            assert!(handle.try_tell(&1, None).unwrap_err().is_closed());
            assert!(address.try_tell(None).is_err());
        }
    }
}

/// Saves nothing.
struct Full;

impl Store<u8> for Full {
    fn load(&self, _: &Context, _: &u8) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    fn save(&self, _: &Context, id: &u8, _: &Snapshot) -> Result<(), StoreError> {
        match id {
            2 => std::panic::resume_unwind(Box::new("no store")),
            _ => Err(StoreError::Failed { id: id.to_string(), problem: "disk full".into() }),
        }
    }
}

#[test]
fn a_close_names_those_whose_last_state_was_not_saved() {
    for handed in [false, true] {
        let (ctx, _cancel) = root();
        let mut builder = Manager::<Falls>::builder("full").sharded(2).store(Full);
        builder = builder.on_failure(|_, _, _| ());
        if handed {
            builder = builder.on_unsaved(|_, snapshot, _| assert!(snapshot.is_some()));
        }
        let manager = builder.build().unwrap();
        for id in 0..=3 {
            manager.ask(&ctx, &id, Some).unwrap();
        }
        // Not one of those that the close ends.
        manager.stop(&ctx, &0).unwrap();
        let mut closed = manager.close(&ctx);
        closed.unsaved_ids.sort_unstable();
        assert!(closed.in_time && closed.late.is_empty());
        assert_eq!(
            (closed.unsaved, &closed.unsaved_ids[..]),
            (3, &["1".into(), "2".into(), "3".into()][..])
        );
    }
}

#[test]
fn a_service_says_so_too() {
    let (ctx, _cancel) = root();
    let builder = Manager::<Falls>::builder("full").store(Full).on_failure(|_, _, _| ());
    let manager = builder.build().unwrap();
    manager.ask(&ctx, &7, Some).unwrap();
    let mut service = ironsys::service::Service::builder("shop").build().unwrap();
    service.start("sessions", |_| Ok::<_, String>((manager, ()))).unwrap();
    let report = service.drain(&ctx);
    assert!(!report.is_clean(), "{report}");
    assert!(report.to_string().contains("states not saved"), "{report}");
    assert!(report.to_string().contains("not saved: 7"), "{report}");
}
