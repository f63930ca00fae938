//! Sessions whose code misbehaves in every place where it is called: nothing is lost, nobody hangs, and
//! the order of each sender holds.

use crate::root;
use ironsys::Context;
use ironsys::channel::{Overflow, Reply};
use ironsys::schedule::Backoff;
use ironsys::session::{Cx, Idle, Manager, Reason, Restore, Session, Snapshot, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The sender of questions whose order does not matter.
const NOBODY: u64 = 99;

const HOUR: Duration = Duration::from_secs(3600);

/// Numbers by chance, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What all of them share: counts, and who misbehaves next.
#[derive(Default)]
struct World {
    calls: AtomicU64,
    /// One call in so many panics; 0: none does.
    rudeness: u64,
    disorders: AtomicU64,
    /// The number of the last message of each sender that a session has seen.
    last: Mutex<HashMap<(u8, u64), u64>>,
}

impl World {
    /// Panics now and then.
    fn rude(&self) {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls.is_multiple_of(self.rudeness) && !std::thread::panicking() {
            std::panic::resume_unwind(Box::new("rude"));
        }
    }
}

struct Rude(Arc<World>);

impl Drop for Rude {
    fn drop(&mut self) {
        self.0.rude();
    }
}

#[derive(Clone)]
struct Said {
    world: Arc<World>,
    sender: u64,
    number: u64,
    /// 0: nothing; 1: fails; 2: panics; 3: stops; 4: blocks in place; 5: asks its neighbour.
    what: u64,
}

impl Drop for Said {
    fn drop(&mut self) {
        self.world.rude();
    }
}

enum Msg {
    Say(Said),
    Ask(Said, Reply<u64>),
}

impl Session for Rude {
    type Id = u8;
    type Msg = Msg;
    type Error = &'static str;

    fn start(_: &u8, cx: &mut Cx<'_, Self>) -> Result<Self, &'static str> {
        let world = cx.context().value::<Arc<World>>().unwrap().clone();
        world.rude();
        Ok(Rude(world))
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<'_, Self>) -> Result<(), &'static str> {
        let (said, reply) = match msg {
            Msg::Say(said) => (said, None),
            Msg::Ask(said, reply) => (said, Some(reply)),
        };
        let seen = self.0.last.lock().unwrap().insert((*cx.id(), said.sender), said.number);
        // One that is tried again comes again.
        if said.sender != NOBODY && seen.is_some_and(|seen| seen > said.number) {
            self.0.disorders.fetch_add(1, Ordering::Relaxed);
        }
        match said.what {
            1 => return Err("told to"),
            2 => std::panic::resume_unwind(Box::new("told to")),
            3 => cx.stop(),
            4 => cx.block_in_place(std::thread::yield_now),
            5 => {
                let (neighbour, mut quiet) = (*cx.id() + 1, said.clone());
                (quiet.what, quiet.sender) = (0, NOBODY);
                let patient = cx.context().with_timeout(Duration::from_millis(1));
                let _ = cx.sessions().ask(&patient, &neighbour, |reply| Msg::Ask(quiet, reply));
            }
            _ => {}
        }
        if let Some(reply) = reply {
            let _ = reply.send(said.number);
        }
        Ok(())
    }

    fn idle(&mut self, _: &mut Cx<'_, Self>) -> Idle {
        self.0.rude();
        Idle::Passivate
    }

    fn stop(&mut self, _: &Reason<&'static str>, _: &mut Cx<'_, Self>) {
        self.0.rude();
    }

    fn save(&self) -> Option<Snapshot> {
        self.0.rude();
        Some(Snapshot::new(1, Vec::new()))
    }

    fn restore(id: &u8, _: Snapshot, cx: &mut Cx<'_, Self>) -> Result<Self, Restore<&'static str>> {
        Rude::start(id, cx).map_err(Restore::Failed)
    }

    fn again(msg: &Msg) -> Option<Msg> {
        match msg {
            Msg::Say(said) => Some(Msg::Say(said.clone())),
            Msg::Ask(..) => None,
        }
    }
}

/// Fails and panics now and then.
struct Rusty(Arc<World>);

impl Store<u8> for Rusty {
    fn load(&self, _: &Context, _: &u8) -> Result<Option<Snapshot>, StoreError> {
        self.0.rude();
        Ok(None)
    }

    fn save(&self, _: &Context, id: &u8, _: &Snapshot) -> Result<(), StoreError> {
        self.0.rude();
        match self.0.calls.load(Ordering::Relaxed) % 3 {
            0 => Err(StoreError::Failed { id: id.to_string(), problem: "rust".into() }),
            _ => Ok(()),
        }
    }
}

#[test]
fn every_message_of_rude_sessions_is_accounted_for() {
    for seed in 1..=24_u64 {
        let mut dice = Dice(seed << 20 | 77);
        let world = Arc::new(World { rudeness: [0, 5, 31][seed as usize % 3], ..World::default() });
        let (ctx, _cancel) = Context::builder().value(world.clone()).build();
        let (lost, dead) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (loses, dies, shouts) = (lost.clone(), dead.clone(), world.clone());
        let builder = Manager::<Rude>::builder("rude").context(&ctx);
        let builder =
            if dice.roll(3) == 0 { builder.thread_per_session() } else { builder.sharded(2) };
        let overflow = match dice.roll(5) {
            0 => Overflow::Reject,
            1 => Overflow::DropNewest,
            2 => Overflow::DropOldest,
            3 => Overflow::drop_lowest(|msg: &Msg| match msg {
                Msg::Say(said) | Msg::Ask(said, _) => said.number as i64 % 3,
            }),
            _ => Overflow::Block,
        };
        let manager = builder
            .mailbox(1 + dice.roll(3) as usize)
            .overflow(overflow)
            .turn(1 + dice.roll(3) as usize)
            .poison_after(1 + dice.roll(3) as u32)
            .caller_runs(dice.roll(2) == 0)
            .live_limit(2)
            .intensity(4, HOUR)
            .backoff(Backoff::fixed(Duration::from_micros(dice.roll(2) * 100)))
            .stuck_after(Duration::from_micros(500))
            .store(Rusty(world.clone()))
            .on_failure(move |_, _, _| shouts.rude())
            .on_unsaved(|_, _, _| ())
            .on_undelivered(move |_, left, _| {
                loses.fetch_add(left.len() as u64, Ordering::Relaxed);
            })
            .on_dead_letter(move |_| {
                dies.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .unwrap();
        let accepted = AtomicU64::new(0);
        std::thread::scope(|s| {
            for sender in 0..3_u64 {
                let (manager, world, accepted) = (&manager, &world, &accepted);
                let mut dice = Dice(seed * 1000 + sender + 1);
                s.spawn(move || {
                    for number in 0..150 {
                        let (id, ctx) = (dice.roll(4) as u8, root().0);
                        let patient = ctx.with_timeout(Duration::from_millis(20));
                        let what = if dice.roll(4) == 0 { dice.roll(6) } else { 0 };
                        let said = Said { world: world.clone(), sender, number, what };
                        let roll = dice.roll(12);
                        // What comes back, and what is not used, is dropped here, and may panic.
                        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            let taken = match roll {
                                0 => manager.stop(&patient, &id).is_ok(),
                                1 => manager.try_stop(&id),
                                2 => manager.abort(&id),
                                3 => manager.passivate(&id),
                                4 => manager.get_or_start(&patient, &id).is_ok(),
                                5 => {
                                    let ask = |reply| Msg::Ask(said, reply);
                                    manager.ask(&patient, &id, ask).is_ok()
                                }
                                6 => manager.try_tell(&id, Msg::Say(said)).is_ok(),
                                _ => manager.tell(&patient, &id, Msg::Say(said)).is_ok(),
                            };
                            accepted.fetch_add(u64::from(roll > 5 && taken), Ordering::Relaxed);
                        }));
                    }
                });
            }
        });
        let sessions = manager.sessions();
        let ledger = match seed % 2 {
            0 => manager.close(&root().0).ledger,
            _ => {
                drop(manager);
                sessions.stats().ledger
            }
        };
        assert!(ledger.is_balanced() && ledger.in_flight == 0, "{seed}: {ledger:?}");
        assert_eq!(world.disorders.load(Ordering::Relaxed), 0, "{seed}");
        assert!(ledger.accepted >= accepted.load(Ordering::Relaxed));
        let told = lost.load(Ordering::Relaxed) + dead.load(Ordering::Relaxed);
        assert_eq!(told, ledger.failed + ledger.dropped, "{seed}: {ledger:?}");
        assert_eq!(
            (sessions.stats().threads, sessions.len(), sessions.live()),
            (0, 0, 0),
            "{seed}"
        );
    }
}
