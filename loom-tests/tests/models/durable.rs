//! The group commit: whoever needs an event on disk writes for all, and nobody waits for a leader who
//! does not come. The disk is in memory.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::durable::{
    AppendError, Builder, Durability, Fault, FaultAt, Memory, Outbox, SubmitError,
};
use ironsys::sync::Arc;
use std::io::ErrorKind;
use std::time::Duration;

fn outbox(memory: &Memory) -> Builder {
    Outbox::over(Arc::new(memory.clone())).name("o").segment_bytes(4096).group_bytes(64)
}

fn open() -> Outbox {
    outbox(&Memory::new()).open().expect("an empty folder")
}

fn read(outbox: &Outbox) -> u64 {
    let mut reader = outbox.reader("r").expect("the only one");
    let mut n = 0;
    while let Some(event) = reader.try_next().expect("nothing is damaged") {
        assert_eq!(event.id, n + 1);
        n += 1;
    }
    n
}

/// One leads, the other follows or leads after it.
#[test]
fn append_vs_append() {
    model("durable::append_vs_append", || {
        let (ctx, _cancel) = Context::root();
        let outbox = open();
        let threads = [(); 2].map(|()| {
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            spawn(move || outbox.append(&ctx, b"x").expect("the disk works"))
        });
        let ids = join_all(threads);
        assert!(ids == [1, 2] || ids == [2, 1]);
        assert_eq!((outbox.stats().unsynced, read(&outbox)), (0, 2));
    });
}

/// The one who was to lead gives up.
#[test]
fn cancel_vs_lead() {
    model("durable::cancel_vs_lead", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let outbox = open();
        let given_up = spawn({
            let outbox = outbox.clone();
            move || outbox.append(&child, b"x").is_ok()
        });
        let canceller = spawn(move || cancel.cancel());
        outbox.append(&ctx, b"y").expect("somebody leads");
        join(given_up);
        join(canceller);
        outbox.flush(&ctx).expect("the disk works");
        assert!(outbox.stats().ledger.is_balanced());
    });
}

/// The same with a deadline.
#[test]
fn deadline_vs_lead() {
    timed("durable::deadline_vs_lead").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let outbox = open();
        let given_up = spawn({
            let outbox = outbox.clone();
            move || match outbox.append(&short, b"x") {
                Ok(_) => {}
                Err(e) => assert!(e.stop().is_some_and(|stop| stop.is_timeout())),
            }
        });
        outbox.append(&ctx, b"y").expect("somebody leads");
        join(given_up);
    });
}

/// Closing writes what was accepted and refuses the rest.
#[test]
fn append_vs_close() {
    model("durable::append_vs_close", || {
        let (ctx, _cancel) = Context::root();
        let outbox = open();
        let appender = spawn({
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            move || match outbox.append(&ctx, b"x") {
                Ok(_) => 1,
                Err(AppendError::Refused(SubmitError::Closed)) => 0,
                Err(e) => panic!("{e}"),
            }
        });
        outbox.close(&ctx).expect("the disk works");
        let accepted = join(appender);
        assert_eq!((outbox.stats().unsynced, read(&outbox)), (0, accepted));
    });
}

/// A failed sync reaches everybody who waits, and everybody who comes.
#[test]
fn failed_sync() {
    model("durable::failed_sync", || {
        let (ctx, _cancel) = Context::root();
        let memory = Memory::new();
        let outbox = outbox(&memory).open().expect("an empty folder");
        let error = ErrorKind::Other;
        memory.fail(Fault { at: FaultAt::Sync, skip: 0, times: 1, error });
        let other = spawn({
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            move || outbox.append(&ctx, b"x").is_ok()
        });
        assert!(outbox.append(&ctx, b"y").is_err());
        assert!(!join(other));
        assert_eq!(read(&outbox), 0);
    });
}

/// A full disk reaches those who wait; the events stay, and a later try writes them.
#[test]
fn full_disk() {
    model("durable::full_disk", || {
        let (ctx, _cancel) = Context::root();
        let memory = Memory::new();
        let outbox = outbox(&memory).open().expect("an empty folder");
        let error = ErrorKind::StorageFull;
        memory.fail(Fault { at: FaultAt::Write, skip: 0, times: 1, error });
        let append = |ctx: &Context, outbox: &Outbox| match outbox.append(ctx, b"x") {
            Ok(_) => {}
            Err(e) => {
                let ticket = e.ticket().expect("it was accepted");
                ticket.wait(ctx).expect("the disk has room again");
            }
        };
        let other = spawn({
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            move || append(&ctx, &outbox)
        });
        append(&ctx, &outbox);
        join(other);
        assert_eq!(read(&outbox), 2);
    });
}

/// The group has room for one event: the next one waits, or makes room.
#[test]
fn full_group() {
    model("durable::full_group", || {
        let (ctx, _cancel) = Context::root();
        let outbox = open();
        let threads = [(); 2].map(|()| {
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            spawn(move || drop(outbox.submit(&ctx, &[7; 40]).expect("room comes")))
        });
        join_all(threads);
        outbox.flush(&ctx).expect("the disk works");
        assert_eq!(read(&outbox), 2);
    });
}

/// Nobody waits for what was submitted: the reader writes it.
#[test]
fn reader_vs_submit() {
    model("durable::reader_vs_submit", || {
        let (ctx, _cancel) = Context::root();
        let outbox = open();
        let reader = spawn({
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            move || {
                let mut reader = outbox.reader("r").expect("the only one");
                reader.next(&ctx).expect("it comes").id
            }
        });
        drop(outbox.submit(&ctx, b"x").expect("there is room"));
        assert_eq!(join(reader), 1);
    });
}

/// A reader that gives up while it is called to write.
#[test]
fn reader_cancelled() {
    timed("durable::reader_cancelled").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let outbox = open();
        let mut stays = outbox.reader("stays").expect("the first");
        let goes = spawn({
            let outbox = outbox.clone();
            move || {
                let mut goes = outbox.reader("goes").expect("the second");
                goes.next(&short).is_ok()
            }
        });
        drop(outbox.submit(&ctx, b"x").expect("there is room"));
        stays.next(&ctx).expect("one of the two writes it");
        join(goes);
    });
}

/// An ack gives the space back that a submitter waits for.
#[test]
fn ack_vs_full() {
    model("durable::ack_vs_full", || {
        let (ctx, _cancel) = Context::root();
        let memory = Memory::new();
        let outbox = outbox(&memory).group_bytes(3000).max_bytes(14_200).open().expect("empty");
        let mut reader = outbox.reader("r").expect("the only one");
        while outbox.try_submit(&[7; 2500]).expect("it is open").is_some() {
            outbox.flush(&ctx).expect("the disk works");
        }
        while reader.try_next().expect("nothing is damaged").is_some() {}
        let waiting = spawn({
            let (ctx, outbox) = (ctx.clone(), outbox.clone());
            move || drop(outbox.submit(&ctx, &[7; 2500]).expect("space comes"))
        });
        reader.ack(u64::MAX).expect("the cursor works");
        join(waiting);
    });
}

/// The thread that syncs ends with the outbox, whatever it is at.
#[test]
fn every_vs_drop() {
    model("durable::every_vs_drop", || {
        let (ctx, _cancel) = Context::root();
        let memory = Memory::new();
        let every = Durability::Every(Duration::ZERO);
        let outbox = outbox(&memory).durability(every).open().expect("an empty folder");
        outbox.append(&ctx, b"x").expect("the disk works");
        drop(outbox);
        assert!(memory.syncs() > 0);
    });
}
