//! What the asynchronous writer of goflow was found to do wrong, each with its number in the list.

use crate::sink::{Sink, Step};
use crate::{root, timeless};
use ironsys::schedule::Backoff;
use ironsys::writer::{BackgroundWriter, WriteError};
use std::io::ErrorKind;
use std::time::Duration;

/// 27: a sink that returns `(0, nil)` made Flush return nil, and the data was gone.
#[test]
fn defect_27_a_sink_that_takes_nothing_fails_the_flush_and_the_bytes_are_kept() {
    let (ctx, _cancel) = root();
    let sink = Sink::new([Step::Take(3), Step::Take(0), Step::Take(0)]);
    let twice = Backoff::fixed(Duration::ZERO).max_attempts(2);
    let out = BackgroundWriter::builder(sink.clone()).retry(twice).build().unwrap();
    out.write(&ctx, "precious").unwrap();
    let e = out.flush(&ctx).unwrap_err();
    let failure = e.failure().unwrap();
    assert_eq!(failure.io().unwrap().kind(), ErrorKind::WriteZero);
    assert_eq!((failure.written(), failure.flushed()), (3, 0));
    assert_eq!(out.take_unwritten(), b"cious");
    assert_eq!(sink.text(), "pre");
    let ledger = out.stats().ledger;
    assert!(ledger.is_balanced() && ledger.failed == 5, "{ledger}");
}

/// 28: a non-blocking writer that was closed right after its writes lost 9746 of 10000 bytes.
#[test]
fn defect_28_closing_right_after_the_writes_writes_all_of_it() {
    let (ctx, _cancel) = root();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone()).capacity(10_000).build().unwrap();
    for _ in 0..1000 {
        out.try_write("0123456789").unwrap();
    }
    out.close(&ctx).unwrap();
    assert_eq!(sink.text(), "0123456789".repeat(1000));
    let stats = out.stats();
    assert_eq!((stats.flushed, stats.ledger.done, stats.ledger.in_flight), (10_000, 10_000, 0));
}

/// 29: Flush overtook writes that were queued.
#[test]
fn defect_29_a_flush_does_not_overtake_a_write() {
    let (ctx, _cancel) = root();
    let (sink, open) = Sink::gated();
    let out = BackgroundWriter::builder(sink.clone()).flush_at(1).build().unwrap();
    out.write(&ctx, "in the sink, ").unwrap();
    while !sink.is_entered() {
        std::thread::yield_now();
    }
    out.write(&ctx, "in the buffer").unwrap();
    std::thread::scope(|s| {
        let flush = s.spawn(|| {
            out.flush(&ctx).unwrap();
            sink.text()
        });
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert_eq!(flush.join().unwrap(), "in the sink, in the buffer");
    });
    assert!(sink.flushes() >= 1);
}

/// 30: two goroutines called the sink at once, one by the flush tick, one by the loop.
#[test]
fn defect_30_the_sink_is_never_called_twice_at_a_time() {
    let (ctx, _cancel) = root();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone())
        .capacity(64)
        .flush_at(8)
        .flush_every(Duration::ZERO)
        .build()
        .unwrap();
    std::thread::scope(|s| {
        for me in 0..4 {
            let (out, ctx) = (&out, &ctx);
            s.spawn(move || {
                for i in 0..500 {
                    out.write(ctx, format!("{me}-{i};")).unwrap();
                    if i % 7 == 0 {
                        out.flush(ctx).unwrap();
                    }
                }
            });
        }
    });
    out.close(&ctx).unwrap();
    assert_eq!(sink.overlaps(), 0);
    let text = sink.text();
    for me in 0..4 {
        let mine = text.split(';').filter_map(|word| word.strip_prefix(&format!("{me}-")));
        assert!(mine.eq((0..500).map(|i| i.to_string())), "of one caller, all and in order");
    }
    assert!(out.stats().peak <= 64);
}

/// 31: a write bigger than the buffer made it grow for ever, from 8 to 112.
#[test]
fn defect_31_the_buffer_never_holds_more_than_its_capacity() {
    let (_time, ctx, _cancel) = timeless();
    let (sink, open) = Sink::gated();
    let out = BackgroundWriter::builder(sink.clone()).capacity(8).context(&ctx).build().unwrap();
    let e = out.write(&ctx, [b'x'; 112]).unwrap_err();
    assert!(matches!(e, WriteError::TooLarge { bytes: 112, capacity: 8 }), "{e}");
    for _ in 0..8 {
        out.try_write("y").unwrap();
    }
    assert!(out.try_write("y").unwrap_err().is_full());
    drop(open);
    out.flush(&ctx).unwrap();
    for _ in 0..20 {
        out.write(&ctx, "zzzzzzzz").unwrap();
    }
    out.close(&ctx).unwrap();
    assert_eq!((out.stats().peak, out.stats().capacity), (8, 8));
    assert_eq!(sink.text().len(), 8 + 160);
}

/// 32: after the last retry the data was dropped, and only a callback knew.
#[test]
fn defect_32_after_the_last_retry_every_call_says_so_and_nothing_is_dropped() {
    let (ctx, _cancel) = root();
    let sink = Sink::new([Step::Fail(ErrorKind::StorageFull); 3]);
    let thrice = Backoff::fixed(Duration::ZERO).max_attempts(3);
    let (seen, errors) = std::sync::mpsc::channel();
    let out = BackgroundWriter::builder(sink.clone())
        .retry(thrice)
        .on_error(move |e| seen.send(e.kind()).unwrap())
        .build()
        .unwrap();
    out.write(&ctx, "a").unwrap();
    assert!(out.flush(&ctx).unwrap_err().failure().is_some());
    for _ in 0..2 {
        // Sticky: none of these is accepted, none is silent.
        assert!(out.write(&ctx, "b").unwrap_err().failure().is_some());
        assert!(out.try_write("b").unwrap_err().failure().is_some());
        assert!(out.flush(&ctx).unwrap_err().failure().is_some());
        assert!(out.close(&ctx).unwrap_err().failure().is_some());
    }
    assert_eq!((sink.writes(), errors.try_iter().count()), (3, 3));
    let report = out.drain(&ctx);
    assert_eq!((report.written, report.unwritten), (0, b"a".to_vec()));
    assert!(report.failure.is_some() && report.sink.is_some());
}
