//! Ids and errors whose text panics: nobody dies of it, and the text says so.

use crate::{next, root};
use ironsys::schedule::Backoff;
use ironsys::session::{Child, Cx, Manager, Restart, Session, Supervisor};
use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id(u32);

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id")?;
        std::panic::resume_unwind(Box::new("no text"))
    }
}

struct Bad;

impl fmt::Display for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::panic::resume_unwind(Box::new("no text"))
    }
}

enum Msg {
    Fail,
    Panic,
    Get(ironsys::channel::Reply<u32>),
}

struct Mute;

impl Session for Mute {
    type Id = Id;
    type Msg = Msg;
    type Error = Bad;

    fn start(id: &Id, _: &mut Cx<'_, Self>) -> Result<Self, Bad> {
        if id.0 == 0 { Err(Bad) } else { Ok(Mute) }
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<'_, Self>) -> Result<(), Bad> {
        match msg {
            Msg::Fail => return Err(Bad),
            Msg::Panic => std::panic::resume_unwind(Box::new("thrown")),
            Msg::Get(reply) => drop(reply.send(cx.id().0)),
        }
        Ok(())
    }
}

/// There is a logger, and it formats every record.
fn listen() {
    crate::inside::warnings();
}

#[test]
fn a_session_whose_text_panics_is_restarted() {
    crate::patience();
    listen();
    for builder in [
        Manager::<Mute>::builder("mute").sharded(1),
        Manager::<Mute>::builder("mute").thread_per_session(),
        Manager::<Mute>::builder("mute").sharded(1).observe_turns(8),
    ] {
        let (ctx, _cancel) = root();
        let manager = builder.backoff(Backoff::fixed(Duration::ZERO)).build().unwrap();
        manager.tell(&ctx, &Id(1), Msg::Fail).unwrap();
        manager.tell(&ctx, &Id(1), Msg::Panic).unwrap();
        assert_eq!(manager.ask(&ctx, &Id(1), Msg::Get).unwrap(), 1);
        assert!(manager.get_or_start(&ctx, &Id(0)).is_err());
        assert_eq!(manager.stats().restarts, 2);
        manager.close(&ctx);
    }
}

#[test]
fn a_supervisor_hears_of_an_end_whose_text_panics() {
    listen();
    let (ctx, _cancel) = root();
    let manager = Manager::<Mute>::builder("mute").sharded(1).restart(Restart::Temporary);
    let manager = manager.build().unwrap();
    let child = Child::session(&manager.sessions(), Id(1)).restart(Restart::Transient);
    let (told, end) = mpsc::channel();
    let mut supervisor = Supervisor::builder("top")
        .intensity(1, Duration::MAX)
        .child(child)
        .on_end(move |failure| told.send(failure.map(str::to_owned)).unwrap())
        .start(&ctx)
        .unwrap();
    manager.tell(&ctx, &Id(1), Msg::Fail).unwrap();
    crate::until(|| manager.ids().contains(&Id(1)));
    while supervisor.wait_ended(&ctx.with_timeout(Duration::from_millis(1))).is_err() {
        let _ = manager.tell(&ctx, &Id(1), Msg::Fail);
    }
    assert_eq!(next(&end).as_deref(), Some("mute-Id(its text panicked): (its text panicked)"));
}

#[test]
fn a_child_that_cannot_say_why_it_did_not_start_is_an_error() {
    listen();
    let (ctx, _cancel) = root();
    let manager = Manager::<Mute>::builder("mute").sharded(1).build().unwrap();
    let child = Child::session(&manager.sessions(), Id(0));
    let error = Supervisor::builder("top").child(child).start(&ctx).unwrap_err();
    assert_eq!(error.child(), "mute-Id(its text panicked)");
    assert!(error.to_string().contains("(its text panicked)"));
}
