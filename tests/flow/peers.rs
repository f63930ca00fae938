//! What olympipe and pariter were measured to do wrong, each with its name.

use crate::laws::watched;
use crate::{root, throw};
use ironsys::flow::{Flow, Par};
use ironsys::time::VirtualClock;
use ironsys::{Context, channel};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// The run came back only when the blocked source had given its next item, 3 s later.
#[test]
fn olympipe_a_stage_that_fails_does_not_wait_for_a_blocked_source() {
    watched("olympipe: a blocked source", || {
        let (ctx, _cancel) = root();
        let (tx, rx) = channel::bounded(4);
        (0..3u32).for_each(|n| tx.try_send(n).unwrap());
        let bad = |n| if n == 2 { Err("two") } else { Ok(n) };
        // Nobody sends any more, and nobody closes.
        let error = Flow::receiver(&rx).buffer(1).par_try_map(2, bad).count(&ctx).unwrap_err();
        assert_eq!((error.error(), error.item()), (Some(&"two"), Some(2)));
        drop(tx);
    });
}

/// A timeout of 200 ms let the first item take 2 s, and said that all was well.
#[test]
fn olympipe_a_timeout_covers_the_first_item() {
    watched("olympipe: the first item", || {
        let time = VirtualClock::auto();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let slow = Flow::of([2000u64]).inspect(|ms| {
            let _ = ctx.sleep(Duration::from_millis(*ms));
        });
        let error = slow.timeout(Duration::from_millis(200)).count(&ctx).unwrap_err();
        assert_eq!((error.stage(), error.item(), error.is_timeout()), ("timeout", Some(0), true));
    });
}

/// An error came out as text, and there was no way to cancel from outside.
#[test]
fn olympipe_an_error_keeps_its_type_and_a_deadline_ends_a_run() {
    watched("olympipe: types and deadlines", || {
        #[derive(Debug, PartialEq)]
        struct Mine(u32);
        let (ctx, _cancel) = root();
        let error = Flow::of(0..9u32).par_try_map(2, |n| if n < 4 { Ok(n) } else { Err(Mine(n)) });
        assert_eq!(error.count(&ctx).unwrap_err().error(), Some(&Mine(4)));
        let (_tx, rx) = channel::bounded::<u8>(1);
        let soon = ctx.with_timeout(Duration::from_millis(5));
        let error = Flow::receiver(&rx).par_map(2, |n| n).count(&soon).unwrap_err();
        assert!(error.is_timeout(), "{error}");
    });
}

/// With more than one worker the order was lost.
#[test]
fn olympipe_many_workers_keep_the_order() {
    watched("olympipe: order", || {
        let (ctx, _cancel) = root();
        let out = Flow::of(0..500u32).par_map(4, |n| {
            (0..n % 7).for_each(|_| std::thread::yield_now());
            n
        });
        assert!(out.collect::<Vec<_>>(&ctx).unwrap().into_iter().eq(0..500));
    });
}

/// It said "panic indicator set", and the payload was gone.
#[test]
fn pariter_the_payload_of_a_workers_panic_is_kept() {
    watched("pariter: the payload", || {
        let (ctx, _cancel) = root();
        let bad = |n| if n == 5 { throw("five of nine") } else { n };
        let error = Flow::of(0..9u32).par_map(2, bad).count(&ctx).unwrap_err();
        assert_eq!(error.panicked().unwrap().message(), "five of nine");
        assert_eq!((error.stage(), error.item()), ("par_map", Some(5)));
    });
}

/// Workers went on after the iterator was dropped: 2 items were done, and 5 a moment later.
#[test]
fn pariter_an_iterator_that_is_left_has_no_workers_any_more() {
    watched("pariter: a dropped iterator", || {
        let (ctx, _cancel) = root();
        let (began, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let flow = Flow::of(0u32..).par_map(Par::workers(3).window(8), |n| {
            began.fetch_add(1, SeqCst);
            (0..100).for_each(|_| std::thread::yield_now());
            ended.fetch_add(1, SeqCst);
            n
        });
        let first = flow.with_iter(&ctx, |mut items| (items.next(), items.next())).unwrap();
        assert_eq!(first, (Some(0), Some(1)));
        // The borrow checker would not let them, and the counts say so.
        assert_eq!(began.load(SeqCst), ended.load(SeqCst));
        assert_eq!(ctx.linked(), (0, 0));
    });
}
