//! When things happen. One test binary: a module for each part of the room.
//!
//! Nothing sleeps: all time is virtual. In a [`World`] the clock jumps to whatever is due next as soon
//! as everybody waits, the test among them; so a test that waits for a message lives through the time
//! until then, and everything comes at its very moment.

mod backoff;
#[cfg(feature = "cron")]
mod cron;
mod defects;
mod every;
mod idle;
mod jobs;
mod misfire;
mod overlap;
mod shutdown;
mod ticker;
mod wall;

use ironsys::channel::{self, Receiver, Sender};
use ironsys::schedule::{Builder, Scheduler};
use ironsys::time::{Participant, VirtualClock};
use ironsys::{Canceller, Context};
use std::time::{Duration, Instant};

/// A time that jumps, and what has happened in it.
pub(crate) struct World {
    pub(crate) time: VirtualClock,
    pub(crate) ctx: Context,
    pub(crate) cancel: Canceller,
    pub(crate) start: Instant,
    pub(crate) tx: Sender<Event>,
    rx: Receiver<Event>,
    _me: Participant,
}

/// Something that happened, and when: in seconds from the start of the world.
pub(crate) type Event = (&'static str, u64);

impl World {
    pub(crate) fn new() -> World {
        let time = VirtualClock::auto();
        let (ctx, cancel) = Context::builder().clock(time.clock()).build();
        let (tx, rx) = channel::bounded(10_000);
        World { start: time.now(), ctx, cancel, tx, rx, _me: time.participate(), time }
    }

    pub(crate) fn builder(&self) -> Builder {
        Scheduler::builder("test").context(&self.ctx).seed(1)
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        self.builder().build().unwrap()
    }

    /// A job that reports that it ran.
    pub(crate) fn says(
        &self,
        what: &'static str,
    ) -> impl Fn(&Context) + Clone + Send + Sync + 'static {
        let (tx, start) = (self.tx.clone(), self.start);
        move |ctx| {
            let at = (ctx.clock().now() - start).as_secs();
            tx.try_send((what, at)).unwrap();
        }
    }

    /// A job that reports its begin, takes so many seconds each time, and reports how it ended.
    pub(crate) fn takes(
        &self,
        seconds: u64,
        begin: &'static str,
        end: &'static str,
        stopped: &'static str,
    ) -> impl Fn(&Context) + Clone + Send + Sync + 'static {
        let (begin, end, stopped) = (self.says(begin), self.says(end), self.says(stopped));
        move |ctx| {
            begin(ctx);
            match ctx.sleep(Duration::from_secs(seconds)) {
                Ok(()) => end(ctx),
                Err(_) => stopped(ctx),
            }
        }
    }

    /// Lives until something happens.
    #[track_caller]
    pub(crate) fn next(&self) -> Event {
        let far = self.ctx.with_timeout(Duration::from_secs(1 << 32));
        self.rx.recv(&far).expect("nothing happens any more")
    }

    #[track_caller]
    pub(crate) fn expect(&self, events: &[Event]) {
        for event in events {
            assert_eq!(self.next(), *event);
        }
    }

    /// Lives for so many seconds; returns what happened.
    pub(crate) fn live(&self, seconds: u64) -> Vec<Event> {
        self.ctx.sleep(secs(seconds)).unwrap();
        std::iter::from_fn(|| self.rx.try_recv().ok()).collect()
    }

    pub(crate) fn now(&self) -> u64 {
        (self.time.now() - self.start).as_secs()
    }
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

/// Panics without a word on standard error.
pub(crate) fn throw(text: &'static str) {
    std::panic::resume_unwind(Box::new(text))
}
