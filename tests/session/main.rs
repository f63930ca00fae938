//! Sessions: actors on shards and on threads of their own.
//!
//! One test binary. Nothing sleeps: a test waits for an answer, for a state (`until`), or on a virtual
//! clock. What holds for both executors is tested on both (`both`).

mod basics;
mod heavy;
mod inside;
mod keeping;
mod lasting;
mod mute;
mod overseers;
mod promises;
mod rings;
mod rude;
mod shards;
mod supervision;
mod timers;

use ironsys::channel::Reply;
use ironsys::session::{Builder, Cx, Manager, Session};
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex, Once, mpsc};
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the whole run if a test hangs where no context reaches: in a drop, or on a virtual clock. The
/// harness has named it by then.
pub(crate) fn patience() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            let (_never, told) = mpsc::channel::<()>();
            let _ = told.recv_timeout(2 * PATIENCE);
            let _ = std::io::stderr().write_all(b"a test hangs, so the run ends here\n");
            std::process::exit(101);
        });
    });
}

/// A root that ends a test that hangs.
pub(crate) fn root() -> (Context, Canceller) {
    patience();
    Context::builder().timeout(PATIENCE).build()
}

/// A root under a clock that the test moves.
pub(crate) fn clocked() -> (VirtualClock, Context, Canceller) {
    patience();
    let time = VirtualClock::new();
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx, cancel)
}

/// A root at which sessions find where to leave notes.
pub(crate) fn noted(notes: &Notes) -> (Context, Canceller) {
    patience();
    Context::builder().value(notes.clone()).timeout(PATIENCE).build()
}

/// The next thing that is told, which must come.
#[track_caller]
pub(crate) fn next<T: Debug>(told: &mpsc::Receiver<T>) -> T {
    told.recv_timeout(PATIENCE).expect("what the test waits for does not come")
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

/// What sessions note, for the test to read.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// The error of the tests' sessions.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("oops {0}")]
pub(crate) struct Oops(pub(crate) u32);

/// A session that counts, and does what it is told.
pub(crate) struct Counter {
    pub(crate) count: u64,
}

type Call = dyn FnOnce(&mut Counter, &mut Cx<'_, Counter>) + Send;

pub(crate) enum Cmd {
    Add(u64),
    Get(Reply<u64>),
    /// Waits for the word to go on; says first that it has begun.
    Block(ironsys::channel::Sender<()>, ironsys::channel::Receiver<()>),
    Fail(u32),
    Panic,
    Stop,
    /// Never answers.
    Forget(Reply<u64>),
    Dedicate,
    /// Runs on the session.
    Run(Box<Call>),
}

impl Session for Counter {
    type Id = u64;
    type Msg = Cmd;
    type Error = Oops;

    fn start(id: &u64, cx: &mut Cx<'_, Self>) -> Result<Self, Oops> {
        if let Some(notes) = cx.context().value::<Notes>() {
            notes.add(format!("start {id}"));
        }
        if *id >= 1000 { Err(Oops(*id as u32)) } else { Ok(Counter { count: 0 }) }
    }

    fn handle(&mut self, msg: Cmd, cx: &mut Cx<'_, Self>) -> Result<(), Oops> {
        match msg {
            Cmd::Add(n) => self.count += n,
            Cmd::Get(reply) => drop(reply.send(self.count)),
            Cmd::Block(begun, go) => {
                let _ = begun.try_send(());
                let (ctx, _cancel) = root();
                let _ = go.recv(&ctx);
            }
            Cmd::Fail(n) => return Err(Oops(n)),
            Cmd::Panic => std::panic::resume_unwind(Box::new("thrown")),
            Cmd::Stop => cx.stop(),
            Cmd::Forget(reply) => drop(reply),
            Cmd::Dedicate => cx.dedicate(),
            Cmd::Run(f) => f(self, cx),
        }
        Ok(())
    }

    fn stop(&mut self, reason: &ironsys::session::Reason<Oops>, cx: &mut Cx<'_, Self>) {
        if let Some(notes) = cx.context().value::<Notes>() {
            notes.add(format!("stop {} at {}: {reason}", cx.id(), self.count));
        }
    }
}

/// A message that runs `f` on the session.
pub(crate) fn run(f: impl FnOnce(&mut Counter, &mut Cx<'_, Counter>) + Send + 'static) -> Cmd {
    Cmd::Run(Box::new(f))
}

/// Runs `test` on shards, and again with a thread for each session.
#[track_caller]
pub(crate) fn both(test: impl Fn(Builder<Counter>)) {
    patience();
    test(Manager::builder("counters").sharded(2));
    test(Manager::builder("counters").thread_per_session());
}
