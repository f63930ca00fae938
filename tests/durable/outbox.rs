//! What an outbox does when nothing goes wrong.

use crate::{Dice, rest, root, small, until};
use ironsys::Context;
use ironsys::durable::{
    AppendError, Durability, Memory, OpenError, Outbox, ReadError, ReaderError, SubmitError,
    WhenFull,
};
use ironsys::time::VirtualClock;
use std::time::Duration;

#[test]
fn events_come_back_in_order_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (ctx, _cancel) = root();
    let outbox = Outbox::open(dir.path()).unwrap();
    assert_eq!(outbox.append(&ctx, b"a").unwrap(), 1);
    assert_eq!(outbox.append_many(&ctx, ["b", "c"]).unwrap(), 2..4);
    assert_eq!(outbox.append_many(&ctx, [""; 0]).unwrap(), 0..0);
    assert_eq!(outbox.append(&ctx, b"").unwrap(), 4);
    drop(outbox);
    let (outbox, report) = Outbox::builder(dir.path()).open_with_report().unwrap();
    assert_eq!((report.pending, report.torn_tail), (4, false));
    assert!(report.damaged.is_none());
    let mut reader = outbox.reader("r").unwrap();
    assert_eq!(rest(&mut reader), ["a", "b", "c", ""]);
    reader.ack(2).unwrap();
    assert_eq!(outbox.len(), 2);
    drop((reader, outbox));
    let outbox = Outbox::open(dir.path()).unwrap();
    assert_eq!(outbox.len(), 2);
    assert_eq!(rest(&mut outbox.reader("r").unwrap()), ["c", ""]);
    assert_eq!(outbox.append(&ctx, b"d").unwrap(), 5);
}

#[test]
fn a_directory_belongs_to_one_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let first = Outbox::open(dir.path()).unwrap();
    let OpenError::Storage(e) = Outbox::open(dir.path()).unwrap_err() else { panic!("not that") };
    assert!(e.is_in_use() && e.path() == dir.path().join("lock"), "{e}");
    drop(first);
    Outbox::open(dir.path()).unwrap();
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let e = Outbox::open(file.path()).unwrap_err();
    assert_eq!(e.storage().unwrap().path(), file.path());
}

#[test]
fn settings_are_checked() {
    let field = |e: OpenError| match e {
        OpenError::Build(e) => e.field(),
        e => panic!("{e}"),
    };
    let memory = Memory::new();
    let build = || small(&memory);
    assert_eq!(field(build().segment_bytes(0).open().unwrap_err()), "segment_bytes");
    assert_eq!(field(build().group_bytes(0).open().unwrap_err()), "group_bytes");
    assert_eq!(field(build().group_bytes(usize::MAX).open().unwrap_err()), "group_bytes");
    assert_eq!(field(build().max_bytes(0).open().unwrap_err()), "max_bytes");
    assert_eq!(field(build().segment_bytes(u64::MAX).open().unwrap_err()), "max_bytes");
    assert!(build().segment_bytes(u64::MAX).max_bytes(u64::MAX).open().is_ok());
}

#[test]
fn an_event_too_large_is_refused() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    let e = outbox.append(&ctx, &[0; 2029]).unwrap_err();
    let AppendError::Refused(SubmitError::TooLarge { len: 2029, max: 2028 }) = e else {
        panic!("{e}")
    };
    outbox.append(&ctx, &[0; 2028]).unwrap();
    assert_eq!(outbox.stats().ledger.accepted, 1);
}

#[test]
fn a_stopped_context_submits_nothing_and_waits_for_nothing() {
    let (ctx, cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    let ticket = outbox.submit(&ctx, b"a").unwrap();
    cancel.cancel();
    assert!(outbox.submit(&ctx, b"b").unwrap_err().stop().is_some());
    assert!(ticket.wait(&ctx).unwrap_err().stop().is_some());
    assert!(!ticket.is_safe());
    let (ctx, _cancel) = root();
    ticket.wait(&ctx).unwrap();
    assert!(ticket.is_safe() && outbox.len() == 1);
}

#[test]
fn tickets_share_a_sync() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    let before = memory.syncs();
    let tickets: Vec<_> = (0..20).map(|_| outbox.submit(&ctx, b"x").unwrap()).collect();
    assert_eq!(outbox.stats().unsynced, 20);
    tickets.iter().rev().for_each(|ticket| ticket.wait(&ctx).unwrap());
    assert_eq!((memory.syncs() - before, outbox.stats().syncs), (1, 1));
}

#[test]
fn appends_of_many_threads_are_all_there_in_the_order_of_their_numbers() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    let ids = ironsys::scope::map(&ctx, 8, 0..8u64, |ctx, thread| {
        let append = |n| outbox.append(ctx, format!("{thread} {n}").as_bytes());
        (0..200).map(append).collect::<Result<Vec<_>, _>>().map_err(|e| e.stop().cloned().unwrap())
    })
    .unwrap();
    assert!(ids.iter().all(|ids| ids.is_sorted()));
    let read = |outbox: &Outbox| {
        let mut reader = outbox.reader("r").unwrap();
        let mut seen = vec![Vec::new(); 8];
        let mut last = 0;
        while let Some(event) = reader.try_next().unwrap() {
            assert_eq!(event.id, last + 1);
            last = event.id;
            let text = String::from_utf8(event.body).unwrap();
            let (thread, n) = text.split_once(' ').unwrap();
            let (thread, n): (usize, usize) = (thread.parse().unwrap(), n.parse().unwrap());
            assert_eq!(event.id, ids[thread][n]);
            seen[thread].push(n);
        }
        assert!(seen.iter().all(|seen| seen.iter().copied().eq(0..200)));
    };
    read(&outbox);
    let stats = outbox.stats();
    assert!(stats.ledger.is_balanced() && stats.segments > 5, "{stats:?}");
    drop(outbox);
    read(&small(&memory).open().unwrap());
}

#[test]
fn a_reader_waits_and_writes_what_nobody_else_writes() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    let mut reader = outbox.reader("r").unwrap();
    let got = ironsys::scope(&ctx, |s| {
        let got = s.spawn(|ctx| reader.next(ctx).map_err(|e| e.stop().cloned().unwrap()));
        until(|| ironsys::observe::tasks().to_string().contains("recv"));
        drop(outbox.submit(s.ctx(), b"unwatched").unwrap());
        got.join(&ctx)
    })
    .unwrap();
    assert_eq!(got.body, b"unwatched");
}

#[test]
fn readers_have_positions_of_their_own() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    outbox.append_many(&ctx, ["a", "b", "c"]).unwrap();
    let mut one = outbox.reader("one").unwrap();
    let mut two = outbox.reader("two").unwrap();
    assert!(matches!(outbox.reader("one"), Err(ReaderError::InUse(_))));
    assert!(matches!(outbox.forget_reader("one"), Err(ReaderError::InUse(_))));
    for name in ["", ".x", "a/b", "ü"] {
        assert!(matches!(outbox.reader(name), Err(ReaderError::Name(_))), "{name}");
    }
    assert_eq!((rest(&mut one).len(), rest(&mut two).len()), (3, 3));
    one.ack(u64::MAX).unwrap();
    assert_eq!(outbox.stats().oldest, Some(1));
    two.ack(1).unwrap();
    let stats = outbox.stats();
    assert_eq!((stats.len, stats.oldest, stats.ledger.done), (2, Some(2), 1));
    let lags: Vec<_> = stats.readers.iter().map(|r| (r.name.as_str(), r.lag)).collect();
    assert_eq!(lags, [("one", 0), ("two", 2)]);
    two.rewind();
    assert_eq!(rest(&mut two), ["b", "c"]);
    drop(two);
    outbox.forget_reader("two").unwrap();
    assert!(outbox.is_empty() && outbox.stats().ledger.is_balanced());
}

#[test]
fn what_was_not_read_is_not_acked() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    outbox.append_many(&ctx, ["a", "b"]).unwrap();
    let mut reader = outbox.reader("r").unwrap();
    reader.next(&ctx).unwrap();
    reader.ack(u64::MAX).unwrap();
    assert_eq!((reader.acked(), outbox.len()), (2, 1));
}

#[test]
fn space_is_given_back_and_segments_are_used_again() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    let mut reader = outbox.reader("r").unwrap();
    for round in 0..40 {
        let body = format!("{round:0500}");
        for _ in 0..10 {
            outbox.append(&ctx, body.as_bytes()).unwrap();
        }
        for _ in 0..10 {
            let event = reader.next(&ctx).unwrap();
            assert_eq!(event.body, body.as_bytes());
            reader.ack(event.id).unwrap();
        }
        assert!(outbox.stats().segments <= 3, "{:?}", outbox.stats());
    }
    use ironsys::durable::Storage;
    let names = memory.list().unwrap();
    assert!(names.len() <= 7, "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("spare-")));
    drop((reader, outbox));
    assert!(small(&memory).open().unwrap().is_empty());
}

#[test]
fn a_full_outbox_refuses() {
    let (ctx, _cancel) = root();
    let outbox =
        small(&Memory::new()).max_bytes(13_000).when_full(WhenFull::Refuse).open().unwrap();
    let mut reader = outbox.reader("r").unwrap();
    let mut n = 0;
    let e = loop {
        match outbox.append(&ctx, &[7; 500]) {
            Ok(_) => n += 1,
            Err(e) => break e,
        }
    };
    assert!(
        matches!(e, AppendError::Refused(SubmitError::Full)) && (20..26).contains(&n),
        "{n} {e}"
    );
    assert!(outbox.try_submit(&[7; 500]).unwrap_err().is_full());
    while reader.try_next().unwrap().is_some() {}
    reader.ack(n).unwrap();
    outbox.append(&ctx, &[7; 500]).unwrap();
    assert_eq!(outbox.stats().refused, 2);
}

#[test]
fn a_full_outbox_holds_the_submitter_until_a_reader_acks() {
    let (ctx, cancel) = root();
    let outbox = small(&Memory::new()).max_bytes(13_000).open().unwrap();
    let mut reader = outbox.reader("r").unwrap();
    let total = ironsys::scope(&ctx, |s| {
        let feed = s.spawn(|ctx| {
            for _ in 0..200 {
                outbox.append(ctx, &[7; 500]).map_err(|e| e.stop().cloned().unwrap())?;
            }
            Ok(())
        });
        until(|| outbox.stats().waiting == 1);
        let full = outbox.stats();
        assert!(full.bytes_on_disk <= 13_000, "{full:?}");
        for _ in 0..200 {
            let event = reader.next(&ctx).unwrap();
            reader.ack(event.id).unwrap();
        }
        feed.join(&ctx)?;
        Ok::<_, ironsys::Stop>(outbox.stats().ledger.done)
    });
    assert_eq!(total.unwrap(), 200);
    // A wait for room ends with its context, and with the outbox.
    while outbox.try_submit(&[7; 500]).unwrap().is_some() {}
    cancel.cancel();
    assert!(outbox.submit(&ctx, &[7; 500]).unwrap_err().stop().is_some());
    let (ctx, _cancel) = root();
    ironsys::scope(&ctx, |s| {
        let blocked = s.spawn(|ctx| Ok::<_, ironsys::Stop>(outbox.submit(ctx, &[7; 500])));
        until(|| outbox.stats().waiting == 1);
        outbox.close(&ctx).unwrap();
        assert!(blocked.join(&ctx)?.unwrap_err().is_closed());
        Ok(())
    })
    .unwrap();
}

#[test]
fn closing_writes_what_is_there_and_readers_read_to_the_end() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    drop(outbox.submit(&ctx, b"a").unwrap());
    outbox.close(&ctx).unwrap();
    outbox.close(&ctx).unwrap();
    assert!(outbox.submit(&ctx, b"b").unwrap_err().is_closed());
    let mut reader = outbox.reader("r").unwrap();
    assert_eq!(reader.next(&ctx).unwrap().body, b"a");
    assert!(matches!(reader.next(&ctx), Err(ReadError::Closed)));
}

#[test]
fn dropping_the_last_handle_writes_what_is_there() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    let ticket = outbox.submit(&ctx, b"a").unwrap();
    drop(outbox);
    assert!(ticket.is_safe());
    let again = small(&memory).open().unwrap();
    assert_eq!(rest(&mut again.reader("r").unwrap()), ["a"]);
}

#[test]
fn every_syncs_by_the_clock() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let memory = Memory::new();
    let every = Durability::Every(Duration::from_secs(5));
    let outbox = small(&memory).durability(every).context(&ctx).open().unwrap();
    let before = memory.syncs();
    outbox.append(&ctx, b"a").unwrap();
    outbox.append(&ctx, b"b").unwrap();
    assert_eq!((memory.syncs(), outbox.stats().unsynced), (before, 2));
    let mut reader = outbox.reader("r").unwrap();
    assert!(reader.try_next().unwrap().is_none(), "a power cut could still take it back");
    until(|| ironsys::observe::tasks().to_string().contains("sleep"));
    time.advance(Duration::from_secs(5));
    until(|| outbox.stats().unsynced == 0);
    assert_eq!(rest(&mut reader), ["a", "b"]);
    outbox.append(&ctx, b"c").unwrap();
    outbox.flush(&ctx).unwrap();
    assert_eq!(rest(&mut reader), ["c"]);
}

#[test]
fn os_never_syncs_unless_asked() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).durability(Durability::Os).open().unwrap();
    let before = memory.syncs();
    outbox.append(&ctx, b"a").unwrap();
    let mut reader = outbox.reader("r").unwrap();
    assert_eq!(rest(&mut reader), ["a"]);
    assert_eq!(memory.syncs(), before);
    outbox.close(&ctx).unwrap();
    assert_eq!(memory.syncs(), before + 1);
}

/// Random calls, restarts among them, against a list.
#[test]
fn it_is_a_list_with_a_mark() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let (ctx, _cancel) = root();
        let memory = Memory::new();
        let mut outbox = small(&memory).open().unwrap();
        let mut reader = outbox.reader("r").unwrap();
        let (mut list, mut acked, mut read) = (Vec::new(), 0, 0);
        for step in 0..300 {
            match dice.below(20) {
                0 => {
                    drop((reader, outbox));
                    outbox = small(&memory).open().unwrap();
                    reader = outbox.reader("r").unwrap();
                    read = acked;
                }
                1 => {
                    reader.rewind();
                    read = acked;
                }
                2..=5 => {
                    acked = (acked + dice.below(8) as usize).min(read);
                    if acked > 0 {
                        reader.ack(acked as u64).unwrap();
                    }
                }
                6..=12 => {
                    let event = reader.try_next().unwrap();
                    assert_eq!(event.as_ref().map(|e| &e.body), list.get(read), "seed {seed}");
                    read += usize::from(event.is_some());
                }
                _ => {
                    let body = vec![step as u8; dice.below(900) as usize];
                    let id = outbox.append(&ctx, &body).unwrap();
                    list.push(body);
                    assert_eq!(id, list.len() as u64);
                }
            }
            let stats = outbox.stats();
            assert!(stats.ledger.is_balanced(), "seed {seed}: {stats:?}");
            assert_eq!(stats.len, (list.len() - acked) as u64, "seed {seed}, step {step}");
        }
    }
}
