//! Writers: what was accepted is written once or handed back, and whoever waits is told.

use crate::{Count, SOON, join, model, spawn, timed};
use ironsys::Context;
use ironsys::schedule::Backoff;
use ironsys::testing::Model;
use ironsys::writer::{BackgroundWriter, BatchError, Batcher, WriteError};
use std::io::{self, Write};
use std::time::Duration;

/// Counts the bytes it takes, one at a time.
#[derive(Clone, Default)]
struct Sink {
    bytes: Count,
    inside: Count,
    broken: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert_eq!(self.inside.enter(), 0, "two calls at a time");
        self.inside.leave();
        if self.broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = bytes.len().min(1);
        self.bytes.add(n);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn writer(sink: &Sink, capacity: usize, flush_every: Duration) -> BackgroundWriter<Sink> {
    BackgroundWriter::builder(sink.clone())
        .capacity(capacity)
        .flush_at(capacity)
        .flush_every(flush_every)
        .retry(Backoff::fixed(Duration::ZERO).max_attempts(1))
        .build()
        .expect("fine numbers")
}

fn assert_done(out: &BackgroundWriter<Sink>, sink: &Sink) {
    let stats = out.stats();
    assert!(stats.ledger.is_balanced() && stats.ledger.in_flight == 0, "{}", stats.ledger);
    assert_eq!(stats.ledger.done, sink.bytes.get() as u64);
}

/// A flush comes back when the bytes are in the sink; nothing else would have sent them there.
#[test]
fn flush_hands_over() {
    model("writer::flush_hands_over", || {
        let (ctx, _cancel) = Context::root();
        let sink = Sink::default();
        let out = writer(&sink, 4, Duration::MAX);
        out.write(&ctx, "ab").expect("there is room");
        out.flush(&ctx).expect("the sink is fine");
        assert_eq!(sink.bytes.get(), 2);
        out.close(&ctx).expect("the sink is fine");
        assert_done(&out, &sink);
    });
}

/// Room comes back as the thread writes, though nobody asks it to.
#[test]
fn write_vs_room() {
    model("writer::write_vs_room", || {
        let (ctx, _cancel) = Context::root();
        let sink = Sink::default();
        let out = writer(&sink, 2, Duration::MAX);
        out.write(&ctx, "a").expect("there is room");
        out.write(&ctx, "bc").expect("there will be");
        let report = out.drain(&ctx);
        assert_eq!((report.written, sink.bytes.get()), (3, 3));
    });
}

/// A write gives up waiting for room as it comes: it has all of its bytes accepted, or none, and the
/// one behind it gets through.
#[test]
fn cancel_vs_room() {
    Model::new("writer::cancel_vs_room").check(|| {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let sink = Sink::default();
        let out = ironsys::sync::Arc::new(writer(&sink, 2, Duration::MAX));
        out.write(&ctx, "a").expect("there is room");
        let big = spawn({
            let out = out.clone();
            move || out.write(&child, "bc").is_ok()
        });
        cancel.cancel();
        out.write(&ctx, "d").expect("it comes round"); // Hangs if the room was lost.
        let big = join(big);
        out.close(&ctx).expect("the sink is fine");
        assert_eq!(sink.bytes.get(), if big { 4 } else { 2 });
        assert_done(&out, &sink);
    });
}

/// A wait for room with a deadline.
#[test]
fn deadline_vs_room() {
    timed("writer::deadline_vs_room").check(|| {
        let (ctx, _cancel) = Context::root();
        let sink = Sink::default();
        let out = writer(&sink, 1, Duration::MAX);
        out.write(&ctx, "a").expect("there is room");
        let second = out.write(&ctx.with_timeout(SOON), "b").is_ok();
        out.close(&ctx).expect("the sink is fine");
        assert_eq!(sink.bytes.get(), 1 + usize::from(second));
        assert_done(&out, &sink);
    });
}

/// The thread's timer flushes what nobody asks for; a flush that is out of time takes place all the
/// same.
#[test]
fn flush_vs_deadline() {
    timed("writer::flush_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let sink = Sink::default();
        let out = writer(&sink, 4, SOON);
        out.write(&ctx, "a").expect("there is room");
        match out.flush(&ctx.with_timeout(SOON)) {
            Ok(()) => assert_eq!(sink.bytes.get(), 1),
            Err(e) => assert!(e.stop().is_some_and(|stop| stop.is_timeout())),
        }
        out.close(&ctx).expect("the sink is fine");
        assert_done(&out, &sink);
    });
}

/// The sink fails while somebody waits for it and somebody waits for room.
#[test]
fn failure_vs_waits() {
    model("writer::failure_vs_waits", || {
        let (ctx, _cancel) = Context::root();
        let sink = Sink { broken: true, ..Sink::default() };
        let out = ironsys::sync::Arc::new(writer(&sink, 1, Duration::MAX));
        let flusher = spawn({
            let (ctx, out) = (ctx.clone(), out.clone());
            move || out.flush(&ctx)
        });
        let first = out.write(&ctx, "a");
        assert!(first.is_ok());
        assert!(matches!(out.write(&ctx, "b"), Err(WriteError::Failed(_))));
        match join(flusher) {
            Ok(()) => {} // It came before there was anything to flush.
            Err(e) => assert!(e.failure().is_some()),
        }
        assert_eq!(out.take_unwritten(), b"a");
        assert!(out.stats().ledger.is_balanced());
    });
}

/// Closing while somebody writes: the bytes are refused, or written.
#[test]
fn close_vs_write() {
    model("writer::close_vs_write", || {
        let (ctx, _cancel) = Context::root();
        let sink = Sink::default();
        let out = ironsys::sync::Arc::new(writer(&sink, 1, Duration::MAX));
        let user = spawn({
            let (ctx, out) = (ctx.clone(), out.clone());
            move || match out.write(&ctx, "a") {
                Ok(()) => 1,
                Err(e) => {
                    assert!(e.is_closed());
                    0
                }
            }
        });
        out.close(&ctx).expect("the sink is fine");
        let accepted = join(user);
        assert_eq!(sink.bytes.get(), accepted);
        assert_done(&out, &sink);
    });
}

/// A drain that is cut short: each byte is in the sink or handed back.
#[test]
fn drain_vs_deadline() {
    timed("writer::drain_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let sink = Sink::default();
        let out = writer(&sink, 4, Duration::MAX);
        out.write(&ctx, "ab").expect("there is room");
        let report = out.drain(&ctx.with_timeout(SOON));
        assert_eq!(report.written as usize + report.unwritten.len(), 2);
        assert_eq!(report.written as usize, sink.bytes.get());
        assert!(report.sink.is_some());
    });
}

fn batcher(called: &Count, max_wait: Duration) -> Batcher<usize, &'static str> {
    let called = called.clone();
    Batcher::builder("b", move |_, batch: &[usize]| {
        called.add(batch.len());
        Ok(())
    })
    .max_items(2)
    .max_wait(max_wait)
    .queue(2)
    .build()
    .expect("fine numbers")
}

/// An item with a ticket, and one before it.
#[test]
fn batch_vs_ticket() {
    timed("writer::batch_vs_ticket").check(|| {
        let (ctx, _cancel) = Context::root();
        let called = Count::default();
        let batcher = batcher(&called, SOON);
        let mut ticket = batcher.submit(&ctx, 1).expect("there is room");
        ticket.wait(&ctx).expect("it is called");
        assert_eq!(called.get(), 1);
        let report = batcher.drain(&ctx);
        assert_eq!((report.done, report.undelivered.len()), (1, 0));
    });
}

/// A flush ends a batch that would wait for ever.
#[test]
fn batch_vs_flush() {
    model("writer::batch_vs_flush", || {
        let (ctx, _cancel) = Context::root();
        let called = Count::default();
        let batcher = batcher(&called, Duration::MAX);
        batcher.send(&ctx, 1).expect("there is room");
        batcher.flush(&ctx).expect("it is open");
        assert_eq!(called.get(), 1);
        assert!(batcher.stats().ledger.is_balanced());
    });
}

/// A batcher dropped with an item: it was called, or the ticket has it.
#[test]
fn batch_vs_drop() {
    model("writer::batch_vs_drop", || {
        let (ctx, _cancel) = Context::root();
        let called = Count::default();
        let batcher = batcher(&called, Duration::ZERO);
        let mut ticket = batcher.submit(&ctx, 7).expect("there is room");
        drop(batcher);
        match ticket.wait(&ctx) {
            Ok(()) => assert_eq!(called.get(), 1),
            Err(BatchError::Undelivered(item)) => assert_eq!((called.get(), item), (0, Some(7))),
            Err(e) => panic!("{e:?}"),
        }
    });
}
