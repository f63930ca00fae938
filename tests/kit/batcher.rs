//! The batcher.

use crate::{ms, root, throw, timeless, until};
use ironsys::schedule::Backoff;
use ironsys::writer::{BatchError, Batcher};
use ironsys::{Context, Stop};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Log = Arc<Mutex<Vec<Vec<u32>>>>;

fn at_once(attempts: u32) -> Backoff {
    Backoff::fixed(Duration::ZERO).max_attempts(attempts)
}

fn into(log: &Log) -> impl FnMut(&Context, &[u32]) -> Result<(), String> + Send + 'static {
    let log = log.clone();
    move |_, batch| {
        log.lock().unwrap().push(batch.to_vec());
        Ok(())
    }
}

#[test]
fn a_batch_is_called_when_it_is_full_or_its_time_is_up() {
    let (time, ctx, _cancel) = timeless();
    let log = Log::default();
    let batcher = Batcher::builder("b", into(&log))
        .max_items(3)
        .max_wait(ms(10))
        .context(&ctx)
        .build()
        .unwrap();
    for i in 0..4 {
        batcher.send(&ctx, i).unwrap();
    }
    until(|| log.lock().unwrap().len() == 1 && time.pending() == 1);
    assert_eq!(log.lock().unwrap()[0], [0, 1, 2]);
    time.advance(ms(9));
    assert_eq!(log.lock().unwrap().len(), 1);
    time.advance(ms(1));
    until(|| log.lock().unwrap().len() == 2);
    assert_eq!(log.lock().unwrap()[1], [3]);
    until(|| batcher.stats().ledger.done == 4);
    assert_eq!(time.pending(), 0); // An idle batcher has no timer.
}

#[test]
fn with_no_wait_a_batch_is_what_is_queued() {
    let (ctx, _cancel) = root();
    let (enter, entered) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let log = Log::default();
    let mut write = into(&log);
    let batcher = Batcher::builder("b", move |ctx: &Context, batch: &[u32]| {
        let _ = enter.send(());
        let _ = gate.recv();
        write(ctx, batch)
    })
    .max_wait(Duration::ZERO)
    .build()
    .unwrap();
    batcher.send(&ctx, 0).unwrap();
    entered.recv().unwrap();
    for i in 1..6 {
        batcher.send(&ctx, i).unwrap();
    }
    drop(open);
    batcher.close(&ctx).unwrap();
    assert_eq!(*log.lock().unwrap(), [vec![0], vec![1, 2, 3, 4, 5]]);
    assert_eq!(batcher.stats().batches, 2);
}

#[test]
fn a_flush_ends_the_batch_and_waits_for_it() {
    let (ctx, _cancel) = root();
    let log = Log::default();
    let batcher = Batcher::builder("b", into(&log)).max_wait(Duration::MAX).build().unwrap();
    batcher.flush(&ctx).unwrap(); // Nothing to wait for.
    batcher.send(&ctx, 1).unwrap();
    batcher.send(&ctx, 2).unwrap();
    batcher.flush(&ctx).unwrap();
    assert_eq!(*log.lock().unwrap(), [[1, 2]]);
    let stats = batcher.stats();
    assert!(stats.ledger.is_balanced());
    assert_eq!((stats.ledger.accepted, stats.ledger.done), (2, 2));
    batcher.close(&ctx).unwrap();
    assert!(batcher.flush(&ctx).unwrap_err().is_closed());
}

#[test]
fn everybody_learns_what_became_of_his_item() {
    let (ctx, _cancel) = root();
    let batcher = Batcher::builder("b", |_, batch: &[u32]| match batch {
        [1, ..] => Err("no ones"),
        [2, ..] => throw("no twos"),
        _ => Ok(()),
    })
    .max_items(2)
    .retry(at_once(3))
    .build()
    .unwrap();
    let tickets: Vec<_> =
        [1, 10, 2, 20, 3, 30].map(|i| batcher.submit(&ctx, i).unwrap()).into_iter().collect();
    let mut outs = tickets.into_iter().map(|mut ticket| ticket.wait(&ctx));
    for item in [1, 10] {
        let Some(Err(BatchError::Failed { item: i, error })) = outs.next() else { panic!() };
        assert_eq!((i, *error), (item, "no ones"));
    }
    for item in [2, 20] {
        let Some(Err(BatchError::Panicked { item: i, message })) = outs.next() else { panic!() };
        assert_eq!((i, &*message), (item, "no twos"));
    }
    assert!(outs.all(|out| out.is_ok()));
    let stats = batcher.stats();
    assert_eq!((stats.batches, stats.retries), (3, 2)); // A panic is not tried again.
    assert_eq!((stats.ledger.done, stats.ledger.failed), (2, 4));
}

#[test]
fn only_errors_that_are_worth_it_are_tried_again() {
    let (ctx, _cancel) = root();
    let calls = Arc::new(Mutex::new(0));
    let counted = calls.clone();
    let batcher = Batcher::builder("b", move |_, _: &[u32]| {
        *counted.lock().unwrap() += 1;
        Err::<(), _>("fatal")
    })
    .retry(at_once(9))
    .retry_when(|e| *e == "transient")
    .build()
    .unwrap();
    assert!(batcher.submit(&ctx, 1).unwrap().wait(&ctx).is_err());
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[test]
fn items_without_a_ticket_go_to_on_failed() {
    let (ctx, _cancel) = root();
    let (dead, letters) = mpsc::channel();
    let batcher = Batcher::builder("b", |_, _: &[u32]| Err::<(), _>("no"))
        .retry(at_once(1))
        .max_items(3)
        .on_failed(move |items, e| dead.send((items, *e)).unwrap())
        .build()
        .unwrap();
    batcher.send(&ctx, 1).unwrap();
    let mut kept = batcher.submit(&ctx, 2).unwrap();
    drop(batcher.submit(&ctx, 3).unwrap()); // Nobody asks any more.
    assert_eq!(kept.wait(&ctx).unwrap_err().into_item(), Some(2));
    assert_eq!(letters.recv().unwrap(), (vec![1, 3], "no"));
}

/// A batcher in the middle of its first item, and what lets it go on.
fn stuck(ctx: &Context) -> (Batcher<u32, &'static str>, mpsc::Sender<()>) {
    let (enter, entered) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let batcher = Batcher::builder("b", move |_, _: &[u32]| {
        let _ = enter.send(());
        let _ = gate.recv();
        Ok(())
    })
    .max_items(1)
    .queue(2)
    .build()
    .unwrap();
    batcher.send(ctx, 0).unwrap();
    entered.recv().unwrap();
    (batcher, open)
}

#[test]
fn it_is_bounded_and_what_is_refused_comes_back() {
    let (ctx, _cancel) = root();
    let (batcher, open) = stuck(&ctx);
    batcher.send(&ctx, 1).unwrap();
    batcher.send(&ctx, 2).unwrap();
    assert_eq!(batcher.try_send(3).unwrap_err().into_inner(), 3);
    let e = batcher.send(&ctx.with_timeout(Duration::ZERO), 4).unwrap_err();
    assert_eq!((e.stop().cloned(), e.into_inner()), (Some(Stop::DeadlineExceeded), 4));
    drop(open);
    batcher.close(&ctx).unwrap();
    assert_eq!(batcher.send(&ctx, 5).unwrap_err().into_inner(), 5);
    assert_eq!(batcher.stats().ledger.done, 3);
}

#[test]
fn a_drain_out_of_time_hands_back_what_had_no_turn() {
    let (ctx, _cancel) = root();
    let (batcher, open) = stuck(&ctx);
    let mut one = batcher.submit(&ctx, 1).unwrap();
    batcher.send(&ctx, 2).unwrap();
    let (short, stop) = ctx.with_cancel();
    std::thread::scope(|s| {
        let drain = s.spawn(|| batcher.drain(&short));
        stop.cancel();
        drop(open);
        let report = drain.join().unwrap();
        // The call under way was finished; more only if it was faster than the cancel.
        assert_eq!(report.done as usize + report.undelivered.len(), 3);
        assert!(report.done >= 1 && report.failed == 0);
        match one.wait(&ctx) {
            Ok(()) => assert!(!report.undelivered.contains(&1)),
            Err(BatchError::Undelivered(None)) => assert_eq!(report.undelivered[0], 1),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_batcher_that_is_dropped_tells_its_tickets() {
    let (ctx, _cancel) = root();
    let (batcher, open) = stuck(&ctx);
    let mut one = batcher.submit(&ctx, 1).unwrap();
    std::thread::scope(|s| {
        let dropper = s.spawn(|| drop(batcher));
        drop(open);
        dropper.join().unwrap();
    });
    match one.wait(&ctx) {
        Ok(()) | Err(BatchError::Undelivered(Some(1))) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wait_that_is_cut_short_can_be_made_again() {
    let (ctx, _cancel) = root();
    let (batcher, open) = stuck(&ctx);
    let mut one = batcher.submit(&ctx, 1).unwrap();
    assert!(one.try_wait().is_none());
    let e = one.wait(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
    assert!(e.stop().is_some());
    drop(open);
    one.wait(&ctx).unwrap();
    assert!(matches!(one.wait(&ctx), Err(BatchError::Undelivered(None))));
    drop(batcher);
}

#[test]
fn many_callers_one_order_each_and_never_two_calls() {
    let (ctx, _cancel) = root();
    let log = Log::default();
    let batcher = Batcher::builder("b", into(&log)).queue(3).max_items(7).build().unwrap();
    std::thread::scope(|s| {
        for me in 0..4_u32 {
            let (batcher, ctx) = (&batcher, &ctx);
            s.spawn(move || (0..300).for_each(|i| batcher.send(ctx, me * 1000 + i).unwrap()));
        }
    });
    batcher.close(&ctx).unwrap();
    let all = log.lock().unwrap().concat();
    for me in 0..4 {
        assert!(all.iter().filter(|i| **i / 1000 == me).map(|i| i % 1000).eq(0..300));
    }
    assert!(log.lock().unwrap().iter().all(|batch| (1..=7).contains(&batch.len())));
    assert!(batcher.stats().ledger.is_balanced());
}

/// Its drop panics, without a word.
#[derive(Debug)]
struct Spiteful;

impl Drop for Spiteful {
    fn drop(&mut self) {
        throw("spite");
    }
}

impl std::fmt::Display for Spiteful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("spite")
    }
}

#[test]
fn an_error_whose_drop_panics_fails_its_batch_and_no_other() {
    let (ctx, _cancel) = root();
    let call = |_: &Context, batch: &[u32]| if batch == [1] { Err(Spiteful) } else { Ok(()) };
    let batcher = Batcher::builder("b", call).max_items(1).retry(at_once(2)).build().unwrap();
    batcher.send(&ctx, 1).unwrap();
    batcher.send(&ctx, 2).unwrap();
    let report = batcher.drain(&ctx);
    assert_eq!((report.done, report.failed), (1, 1));
}

#[test]
fn a_closure_whose_drop_panics_takes_nothing_along() {
    let (ctx, _cancel) = root();
    let (begun, has_begun) = mpsc::channel();
    let spite = Spiteful;
    let call = move |job: &Context, _: &[u32]| {
        let _mine = &spite;
        begun.send(()).unwrap();
        job.wait_stopped();
        Ok::<_, String>(())
    };
    let batcher = Batcher::builder("b", call).max_items(1).build().unwrap();
    (0..4).for_each(|n| batcher.send(&ctx, n).unwrap());
    has_begun.recv().unwrap();
    let report = batcher.drain(&ctx.with_timeout(Duration::ZERO));
    assert_eq!((report.done, report.undelivered), (1, vec![1, 2, 3]));
}
