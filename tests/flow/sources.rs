//! Sources that block, and what becomes of them.

use crate::root;
use ironsys::flow::{Flow, FlowError, Monitor, Never};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel};
use std::io::{self, BufReader, Read};
use std::sync::mpsc;
use std::time::Duration;

type Plain = Result<(), FlowError<Never>>;

/// A reader that blocks until it is closed, and then fails.
struct Socket(mpsc::Receiver<u8>);

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.recv() {
            Ok(byte) => {
                buf[0] = byte;
                Ok(1)
            }
            Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

#[test]
fn a_blocked_channel_source_is_cancelled_and_loses_nothing() {
    let (ctx, _cancel) = root();
    let (ctx, cancel) = ctx.with_cancel();
    let (tx, rx) = channel::bounded::<u32>(4);
    let flow = Flow::receiver(&rx).buffer(4).inspect(|n| {
        if *n == 1 {
            cancel.cancel();
        }
    });
    tx.try_send(1).unwrap();
    let error = flow.count(&ctx).unwrap_err();
    assert!(error.is_cancelled());
    tx.try_send(2).unwrap();
    assert_eq!(rx.try_recv(), Ok(2));
}

#[test]
fn an_early_end_stops_a_blocked_channel_source() -> Plain {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(4);
    for n in 0..3 {
        tx.try_send(n).unwrap();
    }
    assert_eq!(Flow::receiver(&rx).take(2).collect::<Vec<_>>(&ctx)?, [0, 1]);
    assert_eq!(rx.len(), 1);
    // Here the buffer takes what it can; the source then waits, and is stopped.
    let found = Flow::receiver(rx.clone()).buffer(4).find_first(&ctx, |_| true)?;
    assert_eq!(found, Some(2));
    Ok(())
}

#[test]
fn a_deadline_ends_a_blocked_source() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let ctx = ctx.with_timeout(Duration::from_secs(3));
    let (_tx, rx) = channel::bounded::<u32>(4);
    let error = Flow::receiver(&rx).buffer(2).map(|n| n).buffer(2).count(&ctx).unwrap_err();
    assert!(error.is_timeout());
}

/// A failed stage must not wait for its blocked source.
#[test]
fn a_closer_cuts_a_blocked_read_short() {
    let (ctx, _cancel) = root();
    let (tx, socket) = mpsc::channel();
    for byte in *b"1\nx\n3\n" {
        tx.send(byte).unwrap();
    }
    let error = Flow::lines(BufReader::new(Socket(socket)))
        .closer(move || drop(tx))
        .buffer(8)
        .map_err(|e| e.to_string())
        .try_map(|line| line.parse::<u32>().map_err(|_| format!("bad line {line}")))
        .buffer(8)
        .count(&ctx)
        .unwrap_err();
    // The read that was cut short failed as well; that came second.
    assert_eq!((error.error().map(String::as_str), error.item()), (Some("bad line x"), Some(1)));
}

#[test]
fn a_closer_is_not_called_after_the_end() -> Result<(), FlowError<io::Error>> {
    let (ctx, _cancel) = root();
    let closed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = closed.clone();
    let lines = Flow::lines(&b"a\nb"[..])
        .closer(move || flag.store(true, std::sync::atomic::Ordering::SeqCst));
    assert_eq!(lines.count(&ctx)?, 2);
    assert!(!closed.load(std::sync::atomic::Ordering::SeqCst));
    Ok(())
}

#[test]
fn a_line_that_is_no_text_has_a_number() {
    let (ctx, _cancel) = root();
    let error = Flow::lines(&b"a\nb\n\xff\n"[..]).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("lines", Some(2)));
    assert_eq!(error.error().map(|e| e.kind()), Some(io::ErrorKind::InvalidData));
}

#[test]
fn a_generator_stops_with_the_run() {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    let forever =
        Flow::generate(|ctx: &Context| -> Result<Option<u32>, Stop> { Err(ctx.wait_stopped()) });
    let flow =
        Flow::range(0..10u32).try_map(|n| if n < 9 { Ok(n) } else { Err(Stop::DeadlineExceeded) });
    let error = flow.merge(forever).monitor(&monitor).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("try_map", Some(9)));
    assert!(monitor.report().is_balanced());
}
