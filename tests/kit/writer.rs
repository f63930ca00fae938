//! The background writer.

use crate::sink::{Sink, Step};
use crate::{ms, root, throw, timeless, until};
use ironsys::schedule::Backoff;
use ironsys::threads::ThreadCache;
use ironsys::time::VirtualClock;
use ironsys::writer::{BackgroundWriter, Reason, WriteError};
use ironsys::{Context, Stop};
use proptest::prelude::*;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn at_once(attempts: u32) -> Backoff {
    Backoff::fixed(Duration::ZERO).max_attempts(attempts)
}

#[test]
fn nothing_is_written_before_it_has_to_be() {
    let (time, ctx, _cancel) = timeless();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone())
        .capacity(100)
        .flush_at(10)
        .flush_every(ms(50))
        .context(&ctx)
        .build()
        .unwrap();
    out.write(&ctx, "12345").unwrap();
    until(|| time.pending() == 1); // The timer runs.
    time.advance(ms(49));
    assert_eq!((sink.writes(), out.stats().buffered), (0, 5));
    time.advance(ms(1));
    until(|| out.stats().flushed == 5);
    assert_eq!((sink.text().as_str(), sink.writes(), sink.flushes()), ("12345", 1, 1));
    until(|| time.pending() == 0); // An idle writer has no timer.

    out.write(&ctx, "1234567890").unwrap(); // Enough: at once, but not flushed.
    until(|| out.stats().ledger.done == 15);
    assert_eq!(sink.flushes(), 1);
    until(|| time.pending() == 1);
    time.advance(ms(50));
    until(|| out.stats().flushed == 15);
    assert_eq!((sink.writes(), sink.flushes()), (2, 2));
}

#[test]
fn with_zero_it_is_flushed_at_once_and_with_max_never() {
    let (ctx, _cancel) = root();
    let now = BackgroundWriter::builder(Vec::new()).flush_every(Duration::ZERO).build().unwrap();
    now.write(&ctx, "x").unwrap();
    until(|| now.stats().flushed == 1);
    let (time, ctx, _cancel) = timeless();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone())
        .flush_every(Duration::MAX)
        .context(&ctx)
        .build()
        .unwrap();
    out.write(&ctx, "x").unwrap();
    assert_eq!(time.advance_to_next(), None);
    assert_eq!(sink.writes(), 0);
    out.flush(&ctx).unwrap();
    assert_eq!(sink.text(), "x");
}

#[test]
fn a_flush_with_nothing_to_flush_returns_at_once() {
    let (ctx, _cancel) = root();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone()).build().unwrap();
    out.flush(&ctx).unwrap();
    out.write(&ctx, "").unwrap();
    out.flush(&ctx).unwrap();
    assert_eq!((sink.writes(), sink.flushes()), (0, 0));
}

#[test]
fn a_write_waits_for_room_and_others_wait_behind_it() {
    let (ctx, _cancel) = root();
    let (sink, open) = Sink::gated();
    let out = BackgroundWriter::builder(sink.clone()).capacity(4).build().unwrap();
    out.write(&ctx, "aaa").unwrap();
    std::thread::scope(|s| {
        let big = s.spawn(|| out.write(&ctx, "bbbb"));
        until(|| out.stats().blocked == 1);
        // There is room for one byte, but somebody waits.
        assert!(out.try_write("c").unwrap_err().is_full());
        let small = s.spawn(|| out.write(&ctx, "c"));
        until(|| out.stats().blocked == 2);
        drop(open);
        big.join().unwrap().unwrap();
        small.join().unwrap().unwrap();
    });
    out.close(&ctx).unwrap();
    assert_eq!(sink.text(), "aaabbbbc");
}

#[test]
fn a_write_that_is_cut_short_has_accepted_nothing_and_lets_the_next_one_pass() {
    let (ctx, _cancel) = root();
    let (sink, open) = Sink::gated();
    let out = BackgroundWriter::builder(sink.clone()).capacity(4).build().unwrap();
    out.write(&ctx, "aaa").unwrap();
    let (child, cancel) = ctx.with_cancel();
    std::thread::scope(|s| {
        let big = s.spawn(|| out.write(&child, "bbbb"));
        until(|| out.stats().blocked == 1);
        let small = s.spawn(|| out.write(&ctx, "c"));
        until(|| out.stats().blocked == 2);
        cancel.cancel();
        assert!(big.join().unwrap().unwrap_err().stop().is_some());
        small.join().unwrap().unwrap(); // The sink is still shut: there was room all along.
    });
    assert!(out.write(&child, "d").unwrap_err().stop().is_some(), "although there might be room");
    drop(open);
    out.close(&ctx).unwrap();
    assert_eq!(sink.text(), "aaac");
}

#[test]
fn close_refuses_those_who_wait_and_writes_the_rest() {
    let (ctx, _cancel) = root();
    let (sink, open) = Sink::gated();
    let out = BackgroundWriter::builder(sink.clone()).capacity(4).build().unwrap();
    out.write(&ctx, "aaaa").unwrap();
    std::thread::scope(|s| {
        let late = s.spawn(|| out.write(&ctx, "b"));
        until(|| out.stats().blocked == 1);
        let short = ctx.with_timeout(Duration::ZERO);
        assert_eq!(out.close(&short).unwrap_err().stop(), Some(&Stop::DeadlineExceeded));
        assert!(late.join().unwrap().unwrap_err().is_closed());
    });
    drop(open);
    out.close(&ctx).unwrap();
    out.close(&ctx).unwrap();
    assert_eq!((sink.text().as_str(), out.stats().rejected), ("aaaa", 1));
}

#[test]
fn partial_writes_and_interrupts_lose_and_double_nothing() {
    let (ctx, _cancel) = root();
    let steps = [
        Step::Take(1),
        Step::Fail(ErrorKind::Interrupted),
        Step::Fail(ErrorKind::Interrupted),
        Step::Take(2),
        Step::Fail(ErrorKind::TimedOut),
        Step::Take(1),
        Step::Fail(ErrorKind::TimedOut), // Progress was made: it counts from the beginning.
    ];
    let sink = Sink::new(steps);
    let out = BackgroundWriter::builder(sink.clone()).retry(at_once(2)).build().unwrap();
    out.write(&ctx, "abcdefgh").unwrap();
    out.close(&ctx).unwrap();
    assert_eq!((sink.text().as_str(), out.stats().sink_errors), ("abcdefgh", 2));
}

#[test]
fn retries_wait_as_the_sequence_says() {
    let (time, ctx, _cancel) = timeless();
    let sink = Sink::new([Step::Fail(ErrorKind::TimedOut); 2]);
    let out = BackgroundWriter::builder(sink.clone())
        .retry(Backoff::exponential(ms(10)).max_attempts(5))
        .flush_every(Duration::MAX)
        .flush_at(1)
        .context(&ctx)
        .build()
        .unwrap();
    out.write(&ctx, "x").unwrap();
    for (writes, delay) in [(1, ms(10)), (2, ms(20))] {
        until(|| sink.writes() == writes && time.pending() == 1);
        time.advance(delay - ms(1));
        assert_eq!((sink.writes(), time.pending()), (writes, 1));
        time.advance(ms(1));
    }
    until(|| sink.text() == "x");
}

#[test]
fn a_flush_that_fails_is_tried_again_and_then_said() {
    let (ctx, _cancel) = root();
    let sink = Sink::default().fail_flushes([ErrorKind::TimedOut]);
    let out = BackgroundWriter::builder(sink.clone()).retry(at_once(2)).build().unwrap();
    out.write(&ctx, "x").unwrap();
    out.flush(&ctx).unwrap();
    assert_eq!(sink.flushes(), 2);
    let sink = Sink::default().fail_flushes([ErrorKind::TimedOut; 2]);
    let out = BackgroundWriter::builder(sink.clone()).retry(at_once(2)).build().unwrap();
    out.write(&ctx, "x").unwrap();
    let e = out.flush(&ctx).unwrap_err();
    let failure = e.failure().unwrap();
    assert_eq!((failure.written(), failure.flushed()), (1, 0)); // Taken, and who knows where it is.
    assert!(out.take_unwritten().is_empty());
}

#[test]
fn a_sink_that_panics_or_lies_fails_the_writer_only() {
    let (ctx, _cancel) = root();
    let out = BackgroundWriter::builder(Sink::new([Step::Panic])).build().unwrap();
    out.write(&ctx, "x").unwrap();
    let e = out.flush(&ctx).unwrap_err();
    let reason = e.failure().unwrap().reason().clone();
    assert!(matches!(reason, Reason::Panicked(m) if &*m == "the disk is on fire"));
    let report = out.drain(&ctx);
    assert!(report.sink.is_some() && report.unwritten == b"x");

    let out = BackgroundWriter::builder(Sink::new([Step::Lie])).retry(at_once(1)).build().unwrap();
    out.write(&ctx, "x").unwrap();
    assert!(out.flush(&ctx).unwrap_err().failure().unwrap().io().is_some());
    assert_eq!(out.take_unwritten(), b"x");
}

#[test]
fn an_on_error_that_panics_changes_nothing() {
    let (ctx, _cancel) = root();
    let sink = Sink::new([Step::Fail(ErrorKind::TimedOut)]);
    let out = BackgroundWriter::builder(sink.clone())
        .retry(at_once(2))
        .on_error(|_| throw("callback"))
        .build()
        .unwrap();
    out.write(&ctx, "x").unwrap();
    out.close(&ctx).unwrap();
    assert_eq!(sink.text(), "x");
}

#[test]
fn a_drain_out_of_time_hands_everything_back() {
    let (ctx, _cancel) = root();
    let sink = Sink::new([Step::Take(2), Step::Fail(ErrorKind::TimedOut)]);
    let for_ever = Backoff::fixed(Duration::from_secs(3600));
    let out = BackgroundWriter::builder(sink.clone()).retry(for_ever).build().unwrap();
    out.write(&ctx, "abc").unwrap();
    assert!(out.flush(&ctx.with_timeout(Duration::ZERO)).is_err());
    until(|| out.stats().sink_errors == 1);
    let report = out.drain(&ctx.with_timeout(Duration::ZERO));
    assert_eq!((report.written, sink.text().as_str()), (2, "ab"));
    assert_eq!(report.unwritten, b"c");
    assert!(report.sink.is_some());
    assert!(matches!(report.failure.unwrap().reason(), Reason::Stopped(_)));
}

#[test]
fn a_writer_whose_context_stops_says_so_to_everybody() {
    let (ctx, _cancel) = root();
    let (service, stop) = ctx.with_cancel();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone())
        .flush_every(Duration::MAX)
        .context(&service)
        .build()
        .unwrap();
    out.write(&ctx, "kept").unwrap();
    stop.cancel_with("over");
    let e = out.flush(&ctx).unwrap_err();
    assert!(matches!(e.failure().unwrap().reason(), Reason::Stopped(Stop::Cancelled(_))));
    assert!(out.write(&ctx, "more").unwrap_err().failure().is_some());
    let ledger = out.stats().ledger;
    assert!(ledger.is_balanced() && ledger.cancelled == 4, "{ledger}");
    assert_eq!(out.take_unwritten(), b"kept");
    assert_eq!(sink.writes(), 0);
}

#[test]
fn dropping_joins_and_leaves_no_thread() {
    let cache = ThreadCache::new(2);
    let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone()).context(&ctx).build().unwrap();
    out.write(&ctx, "x").unwrap();
    drop(out);
    until(|| ctx.linked() == (0, 0));
    until(|| cache.idle() == cache.len()); // Its thread goes back to the cache a moment later.
    assert!(!sink.is_entered());
}

#[test]
fn it_is_an_io_write_that_cuts() {
    let (ctx, cancel) = root();
    let sink = Sink::default();
    let out = BackgroundWriter::builder(sink.clone()).capacity(8).build().unwrap();
    let text = "the quick brown fox jumps over the lazy dog";
    out.io(&ctx).write_all(text.as_bytes()).unwrap();
    out.io(&ctx).flush().unwrap();
    assert_eq!(sink.text(), text);
    cancel.cancel();
    let e = out.io(&ctx).write_all(b"x").unwrap_err();
    assert!(e.get_ref().is_some_and(|e| e.downcast_ref::<WriteError>().is_some()));
}

#[test]
fn builders_say_which_field_is_wrong() {
    let field = |b: ironsys::writer::Builder<Vec<u8>>| b.build().unwrap_err().field();
    let new = || BackgroundWriter::builder(Vec::new());
    assert_eq!(field(new().capacity(0)), "capacity");
    assert_eq!(field(new().flush_at(0)), "flush_at");
    assert_eq!(field(new().capacity(5).flush_at(6)), "flush_at");
    assert_eq!(field(new().name("a\0b")), "name");
    assert!(new().capacity(1).build().is_ok());
    assert!(new().capacity(usize::MAX).build().is_ok());
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..5_usize).prop_map(Step::Take),
        Just(Step::Take(0)),
        Just(Step::Fail(ErrorKind::Interrupted)),
        Just(Step::Fail(ErrorKind::TimedOut)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the sink does: what it has and what is handed back are, together and in order, what
    /// was accepted.
    #[test]
    fn what_was_accepted_is_written_or_handed_back(
        steps in prop::collection::vec(step(), 0..20),
        writes in prop::collection::vec((0..9_usize, any::<bool>()), 0..12),
        attempts in 1..4_u32,
    ) {
        let (ctx, _cancel) = root();
        let sink = Sink::new(steps);
        let out = BackgroundWriter::builder(sink.clone())
            .capacity(8)
            .flush_at(3)
            .retry(at_once(attempts))
            .build()
            .unwrap();
        let mut accepted = String::new();
        for (i, (n, flush)) in writes.into_iter().enumerate() {
            let text = char::from(b'a' + i as u8).to_string().repeat(n);
            match out.write(&ctx, &text) {
                Ok(()) => accepted += &text,
                Err(WriteError::TooLarge { .. }) => assert!(n > 8),
                Err(e) => assert!(e.failure().is_some()),
            }
            if flush && out.flush(&ctx).is_ok() {
                prop_assert_eq!(sink.text(), accepted.clone());
            }
        }
        let report = out.drain(&ctx);
        prop_assert_eq!(report.failure.is_some(), !report.unwritten.is_empty());
        let all = sink.text() + std::str::from_utf8(&report.unwritten).unwrap();
        prop_assert_eq!(all, accepted);
        prop_assert_eq!(report.written as usize, sink.text().len());
    }
}

#[test]
fn an_on_error_whose_drop_panics_does_not_take_the_sink_along() {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            throw("spite");
        }
    }
    let (ctx, _cancel) = root();
    let spite = Spiteful;
    let on_error = move |_: &std::io::Error| {
        let _mine = &spite;
    };
    let out = BackgroundWriter::builder(Vec::new()).on_error(on_error).build().unwrap();
    out.write(&ctx, "abc").unwrap();
    assert_eq!(out.drain(&ctx).sink.unwrap(), b"abc");
}

/// A time that no clock can hold is never: the thread waits for other things, and does not look at the
/// clock again and again. (Virtual time jumps when everybody waits, the writer among them.)
#[test]
fn a_flush_beyond_the_end_of_time_is_waited_for_like_none() {
    for beyond in [Duration::from_secs(u64::MAX), Duration::MAX] {
        let time = VirtualClock::auto();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let out = BackgroundWriter::builder(Vec::new()).flush_every(beyond).context(&ctx);
        let out = out.build().unwrap();
        out.write(&ctx, "a").unwrap();
        let (slept, ctx2) = (Arc::new(AtomicBool::new(false)), ctx.clone());
        let sleeper = std::thread::spawn({
            let slept = slept.clone();
            move || slept.store(ctx2.sleep(ms(1000)).is_ok(), Ordering::SeqCst)
        });
        until(|| slept.load(Ordering::SeqCst));
        sleeper.join().unwrap();
        out.write(&ctx, "b").unwrap();
        assert_eq!(out.stats().ledger.done, 0);
        out.flush(&ctx).unwrap();
        assert_eq!(out.drain(&ctx).sink.unwrap(), b"ab");
    }
}
