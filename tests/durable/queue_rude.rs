//! A queue among those who do not keep to the rules, and waits that are cancelled.

use crate::{root, until};
use ironsys::Stop;
use ironsys::durable::{Outbox, Queue, QueueError, QueueSource, ReaderError, Source, SourceError};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

fn source(dir: &Path) -> QueueSource {
    QueueSource::open(dir, "q").unwrap()
}

/// A frame as the two sides send it.
fn frame(kind: u8, id: u64, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_le_bytes();
    let rest = [&[kind], id.to_le_bytes().as_slice(), body].concat();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&len), &rest);
    [len.as_slice(), &sum.to_le_bytes(), &rest].concat()
}

fn hello(version: u8, queue: u64, held: u64) -> Vec<u8> {
    let magic = [b"ironque".as_slice(), &[version]].concat();
    frame(1, 0, &[magic.as_slice(), &queue.to_le_bytes(), &held.to_le_bytes()].concat())
}

const WELCOME: u8 = 2;
const EVENT: u8 = 3;
const COMMIT: u8 = 4;

#[test]
fn who_says_what_it_should_not_is_turned_away_and_the_next_is_served() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = Outbox::open(dir.path()).unwrap();
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    outbox.append_many(&ctx, ["a", "b"]).unwrap();
    let mut broken = hello(1, 0, 0);
    broken[20] ^= 1;
    let nobody = std::iter::repeat_n(0xFF, 1 << 20).collect::<Vec<u8>>();
    let rude: [(&str, Vec<u8>); 10] = [
        ("speaks HTTP", b"GET / HTTP/1.1\r\nHost: queue\r\n\r\n".to_vec()),
        ("never ends", nobody),
        ("has a wrong checksum", broken),
        ("is of another version", hello(2, 0, 0)),
        ("commits first", frame(COMMIT, 1, b"")),
        ("has what does not exist", hello(1, 0, 3)),
        ("knows another queue", hello(1, 7, 1)),
        ("is no kind of frame", frame(9, 1, b"")),
        ("commits what it was not sent", [hello(1, 0, 0), frame(COMMIT, 3, b"")].concat()),
        ("sends events", [hello(1, 0, 0), frame(EVENT, 1, b"x")].concat()),
    ];
    for (n, (what, bytes)) in rude.iter().enumerate() {
        let mut guest = UnixStream::connect(queue.path()).unwrap();
        let _ = guest.write_all(bytes); // It may be turned away before it is at its end.
        // The owner hangs up; what it has said until then does not matter.
        let _ = guest.read_to_end(&mut Vec::new());
        until(|| queue.stats().refused == n as u64 + 1 && !queue.stats().has_reader);
        assert_eq!(outbox.len(), 2, "one that {what}");
    }
    // Half a word, and gone: nobody is to blame.
    let mut guest = UnixStream::connect(queue.path()).unwrap();
    guest.write_all(&hello(1, 0, 0)[..9]).unwrap();
    drop(guest);
    let mut reader = source(dir.path());
    assert_eq!(reader.recv(&ctx).unwrap().unwrap().body, b"a");
    assert_eq!(queue.stats().refused, rude.len() as u64);
}

#[test]
fn an_owner_that_says_what_it_should_not_is_an_error_that_names_the_socket() {
    let (ctx, _cancel) = root();
    let ok = frame(WELCOME, 7, b"");
    let huge = u32::MAX.to_le_bytes().repeat(10);
    let rude: [(Vec<u8>, &str); 4] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "bytes, of"),
        ([ok.clone(), huge].concat(), "4294967295 bytes"),
        ([ok.clone(), ok.clone()].concat(), "it says Welcome"),
        (frame(EVENT, 1, b"x"), "its first word is Event"),
    ];
    for (bytes, what) in rude {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut reader = source(dir.path());
        let e = std::thread::scope(|s| {
            s.spawn(|| {
                let mut guest = listener.accept().unwrap().0;
                guest.write_all(&bytes).unwrap();
                let _ = guest.read_to_end(&mut Vec::new()); // Until it hangs up.
            });
            let e = reader.recv(&ctx).unwrap_err();
            drop(reader);
            e.to_string()
        });
        assert!(e.contains(what) && e.contains(path.to_str().unwrap()), "{e}");
    }
}

#[test]
fn a_word_that_is_cut_off_is_a_lost_connection_and_not_an_error() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let listener = UnixListener::bind(dir.path().join("q.sock")).unwrap();
    let mut reader = source(dir.path());
    std::thread::scope(|s| {
        s.spawn(|| {
            let event = [frame(WELCOME, 7, b""), frame(EVENT, 1, b"paid")].concat();
            for cut in [0, 3, 17, 20, 36, event.len()] {
                let mut guest = listener.accept().unwrap().0;
                guest.read_exact(&mut vec![0; hello(1, 0, 0).len()]).unwrap();
                guest.write_all(&event[..cut]).unwrap();
            }
        });
        assert_eq!(reader.recv(&ctx).unwrap().unwrap().body, b"paid");
    });
}

/// Cancels one that receives, when `ready` says that it waits, and it has to end.
fn cancelled(mut reader: QueueSource, ready: impl Fn() -> bool) {
    let (ctx, cancel) = root();
    std::thread::scope(|s| {
        let waits = s.spawn(|| reader.recv(&ctx));
        until(ready);
        cancel.cancel_with("enough");
        let e = waits.join().unwrap().unwrap_err();
        assert!(matches!(e, SourceError::Stopped(_)), "{e}");
    });
}

#[test]
fn every_wait_of_a_reader_ends_with_its_context() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    // For an owner.
    cancelled(source(dir.path()), || true);
    let outbox = Outbox::open(dir.path()).unwrap();
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    // For an event.
    cancelled(source(dir.path()), || queue.stats().readers == 1);
    // For its turn, which a silent guest has: that has said hello, and nothing more.
    let mut guest = UnixStream::connect(queue.path()).unwrap();
    guest.write_all(&hello(1, 0, 0)).unwrap();
    until(|| queue.stats().readers == 2);
    cancelled(source(dir.path()), || true);
    // And a deadline is one, too.
    let e = source(dir.path()).recv(&ctx.with_timeout(std::time::Duration::from_millis(20)));
    assert!(matches!(e, Err(SourceError::Stopped(Stop::DeadlineExceeded))), "{e:?}");
    assert!(queue.stats().has_reader);
}

#[test]
fn every_wait_of_an_owner_ends_with_its_context() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let outbox = Outbox::open(dir.path()).unwrap();
    // For a reader.
    drop(Queue::start(&ctx, &outbox, "q").unwrap());
    // For the hello of one that says nothing.
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let silent = UnixStream::connect(queue.path()).unwrap();
    drop(queue);
    drop(silent);
    // For an event, and for a commit.
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let mut guest = UnixStream::connect(queue.path()).unwrap();
    guest.write_all(&hello(1, 0, 0)).unwrap();
    until(|| queue.stats().has_reader);
    drop(queue);
    // For a reader that takes nothing: more than the socket holds.
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let mut guest = UnixStream::connect(queue.path()).unwrap();
    guest.write_all(&hello(1, 0, 0)).unwrap();
    for _ in 0..40 {
        outbox.append(&ctx, &vec![7; 100_000]).unwrap();
    }
    until(|| queue.stats().has_reader);
    drop(queue);
    // And the one that is above it all.
    let (child, cancel) = ctx.with_cancel();
    let queue = Queue::start(&child, &outbox, "q").unwrap();
    cancel.cancel_with("enough");
    until(|| queue.is_finished());
    assert_eq!(outbox.len(), 40);
}

#[test]
fn what_cannot_be_is_an_error_that_says_where() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let long = dir.path().join("x".repeat(120));
    let outbox = Outbox::open(&long).unwrap();
    let ours = Queue::start(&ctx, &outbox, "q").unwrap_err();
    for e in [ours, QueueSource::open(&long, "q").unwrap_err()] {
        assert!(matches!(&e, QueueError::Path { bytes, .. } if *bytes > 120), "{e}");
        assert!(e.to_string().contains(long.to_str().unwrap()), "{e}");
    }
    for name in ["", "../q", "a b"] {
        let e = QueueSource::open(dir.path(), name).unwrap_err();
        assert!(matches!(e, QueueError::Reader(ReaderError::Name(_))), "{e}");
    }
    let outbox = Outbox::open(dir.path()).unwrap();
    let _queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let e = Queue::start(&ctx, &outbox, "q").unwrap_err();
    assert!(matches!(e, QueueError::Reader(ReaderError::InUse(_))), "{e}");
    // That has not taken the socket away.
    outbox.append(&ctx, b"a").unwrap();
    assert_eq!(source(dir.path()).recv(&ctx).unwrap().unwrap().body, b"a");
    // One in memory has no place for a socket.
    let outbox = crate::small(&ironsys::durable::Memory::new()).open().unwrap();
    let e = Queue::start(&ctx, &outbox, "q").unwrap_err();
    assert!(matches!(e, QueueError::Io { .. }), "{e}");
}
