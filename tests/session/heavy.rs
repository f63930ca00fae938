//! Errors that panic as they are dropped, whoever is the last to hold them.

use crate::root;
use ironsys::channel::Reply;
use ironsys::schedule::Backoff;
use ironsys::session::{AskError, Child, Cx, Manager, Restart, Session, Supervisor};
use std::fmt;
use std::time::Duration;

struct Heavy;

impl Drop for Heavy {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::resume_unwind(Box::new("too heavy"));
        }
    }
}

impl fmt::Display for Heavy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("heavy")
    }
}

struct Carrier;

impl Session for Carrier {
    type Id = u32;
    type Msg = Option<Reply<u32>>;
    type Error = Heavy;

    fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Heavy> {
        Ok(Carrier)
    }

    fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<'_, Self>) -> Result<(), Heavy> {
        match msg {
            Some(reply) => drop(reply.send(*cx.id())),
            None => return Err(Heavy),
        }
        Ok(())
    }
}

#[test]
fn a_session_that_fails_with_one_takes_nobody_with_it() {
    for own in [false, true] {
        for restart in [Restart::Permanent, Restart::Temporary] {
            let (ctx, _cancel) = root();
            let builder =
                Manager::<Carrier>::builder("heavy").restart(restart).intensity(3, Duration::MAX);
            let builder = builder.backoff(Backoff::fixed(Duration::ZERO));
            let builder = if own { builder.thread_per_session() } else { builder.sharded(1) };
            let manager = builder.build().unwrap();
            for n in 0..60 {
                manager.tell(&ctx, &(n % 3), None).unwrap();
                match manager.ask(&ctx, &(n % 3), Some) {
                    Ok(id) => assert_eq!(id, n % 3),
                    // It was in the mailbox of one that ended.
                    Err(AskError::Dropped) => {}
                    Err(e) => panic!("{e:?}"),
                }
            }
            if own { drop(manager.close(&ctx)) } else { drop(manager) }
        }
    }
}

#[test]
fn a_supervisor_of_one_lives_and_gives_up_in_good_order() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Carrier>::builder("heavy").sharded(1).restart(Restart::Temporary);
    let manager = manager.build().unwrap();
    let child = Child::session(&manager.sessions(), 1).restart(Restart::Transient);
    let mut supervisor =
        Supervisor::builder("top").intensity(2, Duration::MAX).child(child).start(&ctx).unwrap();
    while supervisor.wait_ended(&ctx.with_timeout(Duration::from_millis(1))).is_err() {
        let _ = manager.tell(&ctx, &1, None);
    }
    let stopped = supervisor.stop(&ctx);
    assert_eq!((stopped.restarts, stopped.gave_up.as_deref()), (2, Some("heavy-1: heavy")));
}
