//! The outbox as a queue: one process plays both sides.

use crate::{root, until};
use ironsys::durable::{
    Committer, Consumer, Delivery, Outbox, Queue, QueueError, QueueSource, Source, WhenFull,
};
use ironsys::{Context, Stop};
use std::path::Path;
use std::time::Duration;

fn open(dir: &Path) -> Outbox {
    Outbox::builder(dir).segment_bytes(4096).group_bytes(2048).open().unwrap()
}

fn source(dir: &Path) -> QueueSource {
    QueueSource::open(dir, "q").unwrap()
}

fn next(ctx: &Context, source: &mut QueueSource) -> (u64, String) {
    let delivery = source.recv(ctx).unwrap().unwrap();
    (delivery.position, String::from_utf8(delivery.body).unwrap())
}

/// The first event that is not committed.
fn position(outbox: &Outbox) -> u64 {
    outbox.stats().readers.iter().find(|reader| reader.name == "q").unwrap().position
}

#[test]
fn what_is_appended_is_received_in_order_and_given_back_when_it_is_committed() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let mut reader = source(dir.path());
    let mut committer = reader.committer();
    for n in 1..=300 {
        let text = format!("{n} {}", "x".repeat(n % 97 * 20));
        outbox.append(&ctx, text.as_bytes()).unwrap();
        assert_eq!(next(&ctx, &mut reader), (n as u64, text));
        if n % 10 == 0 {
            committer.commit(&ctx, n as u64).unwrap();
        }
    }
    until(|| outbox.is_empty());
    assert!(outbox.stats().segments <= 2);
    let stats = queue.stats();
    assert_eq!((stats.readers, stats.refused, stats.has_reader), (1, 0, true));
    // It ends without the reader's help, as there is nothing left.
    assert!(queue.drain(&ctx).error.is_none());
}

#[test]
fn without_a_reader_the_bounds_hold_and_with_one_there_is_room_again() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = Outbox::builder(dir.path()).segment_bytes(4096).group_bytes(2048);
    let outbox = outbox.max_bytes(64 << 10).when_full(WhenFull::Refuse).open().unwrap();
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let mut n = 0;
    while outbox.append(&ctx, &[b'x'; 500]).is_ok() {
        n += 1;
    }
    assert!(n > 100 && outbox.stats().bytes_on_disk <= (64 << 10) + 4096, "{n}");
    let consumer = Consumer::builder().workers(1).in_flight(8).build().unwrap();
    let control = consumer.control();
    ironsys::scope(&ctx, |s| {
        let source = source(dir.path());
        let run = s.spawn(move |ctx| {
            let handler = |_: &Context, _: &Delivery| Ok::<_, String>(());
            Ok::<_, Stop>(consumer.run(ctx, source, handler))
        });
        until(|| outbox.is_empty());
        outbox.append(&ctx, &[b'x'; 500]).unwrap();
        until(|| outbox.is_empty());
        control.stop();
        let report = run.join(&ctx)?.unwrap();
        assert_eq!((report.ledger.done, report.committed), (n + 1, Some(n + 1)));
        Ok(())
    })
    .unwrap();
    drop(queue);
}

#[test]
fn the_next_reader_has_what_the_first_has_not_committed() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append_many(&ctx, ["a", "b", "c"]).unwrap();
    let mut first = source(dir.path());
    let a = first.recv(&ctx).unwrap().unwrap();
    assert_eq!((next(&ctx, &mut first).0, next(&ctx, &mut first).0), (2, 3));
    ironsys::scope(&ctx, |s| {
        let dir = dir.path();
        let standby = s.spawn(move |ctx| {
            let mut second = source(dir);
            let got: Vec<_> = (0..2).map(|_| second.recv(ctx).unwrap().unwrap()).collect();
            second.committer().commit(ctx, 3).unwrap();
            Ok::<_, Stop>(got)
        });
        // A commit is read out although the reader is gone when the owner looks.
        first.committer().commit(&ctx, a.position).unwrap();
        drop(first);
        let got = standby.join(&ctx)?;
        let texts: Vec<_> = got.iter().map(|m| (m.position, m.body.as_slice())).collect();
        assert_eq!(texts, [(2, b"b".as_slice()), (3, b"c")]);
        // The id is the same in every reader, and not the same as in another queue.
        assert!(a.id.ends_with(b"-1") && got[0].id.ends_with(b"-2") && a.id.len() == 18);
        assert_eq!(a.id[..16], got[0].id[..16]);
        Ok(())
    })
    .unwrap();
    assert!(queue.drain(&ctx).error.is_none());
    assert!(outbox.is_empty());
}

#[test]
fn a_restart_of_the_owner_brings_nothing_twice_and_loses_no_commit() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append_many(&ctx, ["a", "b", "c", "d"]).unwrap();
    let mut reader = source(dir.path());
    let mut committer = reader.committer();
    for n in 1..=4 {
        assert_eq!(next(&ctx, &mut reader).0, n);
    }
    drop(queue);
    drop(outbox);
    committer.commit(&ctx, 3).unwrap(); // Nobody hears it.
    let outbox = open(dir.path());
    let _queue = Queue::start(&ctx, &outbox, "q").unwrap();
    assert_eq!(position(&outbox), 1);
    outbox.append(&ctx, b"e").unwrap();
    assert_eq!(next(&ctx, &mut reader), (5, "e".into()));
    until(|| position(&outbox) == 4);
    // Another reader knows nothing of that.
    drop((reader, committer));
    assert_eq!(next(&ctx, &mut source(dir.path())), (4, "d".into()));
}

#[test]
fn an_outbox_that_is_another_one_now_is_an_error_and_not_a_mix_up() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let mut reader = source(dir.path());
    for round in 0..2 {
        let outbox = open(dir.path());
        let queue = Queue::start(&ctx, &outbox, "q").unwrap();
        outbox.append_many(&ctx, ["a", "b"]).unwrap();
        if round == 0 {
            assert_eq!(next(&ctx, &mut reader).0, 1);
            drop((queue, outbox));
            std::fs::remove_dir_all(dir.path()).unwrap();
        } else {
            reader.committer().commit(&ctx, 1).unwrap();
            // Who had received two would not see that these are others.
            let e = loop {
                match reader.recv(&ctx) {
                    Ok(_) => {} // What the socket still held.
                    Err(e) => break e,
                }
            };
            assert!(e.to_string().contains("q.sock") && e.to_string().contains("another"), "{e}");
            until(|| queue.stats().refused == 1);
            assert_eq!(outbox.len(), 2);
        }
    }
}

#[test]
fn a_drain_waits_for_the_last_commit_and_a_stop_does_not() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append_many(&ctx, ["a", "b"]).unwrap();
    let report = queue.drain(&ctx.with_timeout(Duration::from_millis(50)));
    assert!(matches!(report.error, Some(QueueError::Stopped(_))), "{report:?}");
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let mut reader = source(dir.path());
    assert_eq!(next(&ctx, &mut reader).0, 1);
    ironsys::scope(&ctx, |s| {
        let drained = s.spawn(|ctx| Ok::<_, Stop>(queue.drain(ctx)));
        assert_eq!(next(s.ctx(), &mut reader).0, 2);
        reader.committer().commit(s.ctx(), 2).unwrap();
        assert!(drained.join(&ctx)?.error.is_none());
        Ok(())
    })
    .unwrap();
    // A closed outbox comes to its end in the same way.
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append(&ctx, b"c").unwrap();
    outbox.close(&ctx).unwrap();
    assert_eq!(next(&ctx, &mut reader).0, 3);
    assert!(!queue.is_finished());
    reader.committer().commit(&ctx, 3).unwrap();
    until(|| queue.is_finished());
    assert!(outbox.is_empty());
}

#[test]
fn a_drain_ends_although_more_is_appended() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append(&ctx, b"a").unwrap();
    let mut reader = source(dir.path());
    let mut committer = reader.committer();
    assert_eq!(next(&ctx, &mut reader).0, 1);
    ironsys::scope(&ctx, |s| {
        let drained = s.spawn(|ctx| Ok::<_, Stop>(queue.drain(ctx)));
        // It has looked, most likely, whether there is more.
        ctx.sleep(Duration::from_millis(50))?;
        outbox.append(&ctx, b"b").unwrap();
        committer.commit(&ctx, 1).unwrap();
        if let Ok(Some(b)) = reader.recv(&ctx.with_timeout(Duration::from_millis(50))) {
            committer.commit(&ctx, b.position).unwrap();
        }
        let report = drained.join(&ctx)?;
        assert!(report.error.is_none(), "{report:?}");
        Ok(())
    })
    .unwrap();
    assert!(outbox.len() <= 1);
}

#[test]
fn one_that_stands_by_does_not_wait_with_what_it_commits_and_tells_it_at_its_turn() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append_many(&ctx, vec!["x"; 2000]).unwrap();
    let mut first = source(dir.path());
    let mut committer = first.committer();
    for n in 1..=2000 {
        assert_eq!(next(&ctx, &mut first).0, n);
    }
    // The owner starts again, and another one is faster.
    drop(queue);
    let _queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let mut second = source(dir.path());
    assert_eq!(next(&ctx, &mut second).0, 1);
    ironsys::scope(&ctx, |s| {
        let waits = s.spawn(move |ctx| Ok::<_, Stop>(next(ctx, &mut first)));
        ctx.sleep(Duration::from_millis(100))?;
        for n in 1..=1500 {
            committer.commit(&ctx, n).unwrap(); // More than the socket takes.
        }
        assert_eq!(position(&outbox), 1);
        drop(second);
        until(|| position(&outbox) == 1501);
        outbox.append(&ctx, b"new").unwrap();
        assert_eq!(waits.join(&ctx)?, (2001, "new".into()));
        committer.commit(&ctx, 2001).unwrap();
        Ok(())
    })
    .unwrap();
    until(|| outbox.is_empty());
}

#[test]
fn a_deadline_does_not_cost_one_that_stands_by_its_place() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append(&ctx, b"a").unwrap();
    let (mut first, mut second) = (source(dir.path()), source(dir.path()));
    assert_eq!(next(&ctx, &mut first).0, 1);
    for _ in 0..3 {
        assert!(second.recv(&ctx.with_timeout(Duration::from_millis(10))).is_err());
    }
    ironsys::scope(&ctx, |s| {
        let third = s.spawn(|ctx| Ok::<_, Stop>(next(ctx, &mut source(dir.path()))));
        ctx.sleep(Duration::from_millis(50))?;
        drop(first);
        assert_eq!(next(&ctx, &mut second).0, 1);
        assert!(!third.is_finished());
        assert_eq!(queue.stats().readers, 2);
        drop(second);
        assert_eq!(third.join(&ctx)?.0, 1);
        Ok(())
    })
    .unwrap();
}
