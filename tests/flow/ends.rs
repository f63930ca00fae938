//! Flows that end before their sources do.

use crate::{PATIENCE, root};
use ironsys::flow::{Flow, FlowError, Monitor, Never, Par};
use ironsys::{Context, Stop, channel};
use std::sync::{Condvar, Mutex, mpsc};
use std::time::Duration;

type Plain = Result<(), FlowError<Never>>;

#[test]
fn an_early_end_stops_the_stages_before() -> Plain {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    for capacity in [0, 1, 64] {
        let flow = Flow::range(0..u64::MAX).buffer(capacity).map(|n| n).buffer(capacity);
        assert_eq!(flow.monitor(&monitor).find_first(&ctx, |n| *n == 500)?, Some(500));
        let report = monitor.report();
        assert!(report.is_balanced(), "{report}");
        assert!(report.links.iter().all(|link| link.ledger.in_flight == 0), "{report}");
        let taken: Vec<u64> =
            Flow::of(0..).buffer(capacity).take(3).buffer(capacity).collect(&ctx)?;
        assert_eq!(taken, [0, 1, 2]);
    }
    assert_eq!(ctx.linked(), (0, 0));
    Ok(())
}

#[test]
fn take_takes_no_more_than_it_passes_on() -> Plain {
    let (ctx, _cancel) = root();
    let mut source = 0..100;
    assert_eq!(Flow::of(source.by_ref()).take(4).count(&ctx)?, 4);
    assert_eq!(source.next(), Some(4));
    assert_eq!(Flow::of(source.by_ref()).take(0).count(&ctx)?, 0);
    assert_eq!(source.next(), Some(5));
    Ok(())
}

/// A source that ends because of the stop has not come to its end.
#[test]
fn a_source_that_a_stop_has_ended_is_not_complete() {
    for boundary in [false, true] {
        let (ctx, cancel) = root();
        let (tx, rx) = channel::bounded(4);
        for n in 0..4 {
            tx.try_send(n).unwrap();
        }
        let flow =
            Flow::of(rx.iter(&ctx)).inspect(|n| assert_eq!(*n == 3 && cancel.cancel(), *n == 3));
        let out = if boundary { flow.buffer(8).count(&ctx) } else { flow.count(&ctx) };
        assert!(out.unwrap_err().is_cancelled());
    }
}

/// What stands before notices the deadline first, and is gone by the time that the rest looks.
#[test]
fn a_deadline_does_not_make_a_conflated_flow_look_complete() {
    for n in 0..200 {
        let (tx, rx) = channel::bounded(1);
        tx.try_send(1).unwrap();
        let (ctx, _cancel) = Context::builder().timeout(Duration::from_micros(100 + n)).build();
        let out = Flow::receiver(&rx).conflate(|n| n, |a: u64, b| a + b).collect::<Vec<_>>(&ctx);
        assert!(out.unwrap_err().is_timeout());
    }
}

/// Items of an idle worker are not kept back while the thread that gives them waits for another.
#[test]
fn a_worker_that_is_held_up_keeps_nothing_from_the_others() -> Plain {
    const QUICK: u32 = 400;
    for _ in 0..8 {
        let (ctx, _cancel) = root();
        let (done, changed) = (Mutex::new(0), Condvar::new());
        // Each round hashes anew: sooner or later the two keys are of two workers.
        let flow = Flow::range(0..2000u32).key_by(|n| *n < QUICK);
        let waited = flow.par_map(Par::workers(2).window(1024), |n| {
            let mut done = done.lock().unwrap();
            *done += 1;
            changed.notify_all();
            if n == QUICK {
                let (done, out) =
                    changed.wait_timeout_while(done, PATIENCE / 4, |done| *done < QUICK).unwrap();
                drop(done);
                return out.timed_out();
            }
            false
        });
        assert!(waited.none(&ctx, |late| *late)?);
    }
    Ok(())
}

/// The same at the end of the source, with a chunk for each worker left to give.
#[test]
fn the_last_chunk_of_a_worker_does_not_wait_for_another() -> Plain {
    // The slow ones fill their lane, and with those at the end some are left in the chunk.
    const QUICK: u32 = 400;
    const LATE: std::ops::Range<u32> = 800..810;
    const END: u32 = 870;
    let quick = |n: u32| n < QUICK || LATE.contains(&n);
    for _ in 0..16 {
        let (ctx, _cancel) = root();
        // How many quick ones are done, and on which thread.
        let (done, changed) = (Mutex::new((0, None)), Condvar::new());
        let waited =
            Flow::range(0..END).key_by(|n| quick(*n)).par_map(Par::workers(2).window(1024), |n| {
                let mut done = done.lock().unwrap();
                let here = std::thread::current().id();
                if quick(n) {
                    *done = (done.0 + 1, Some(here));
                    changed.notify_all();
                    return false;
                }
                let more = |done: &mut (u32, _)| done.0 < QUICK + 10 && done.1 != Some(here);
                n == QUICK
                    && changed.wait_timeout_while(done, PATIENCE / 4, more).unwrap().1.timed_out()
            });
        assert!(waited.none(&ctx, |late| *late)?);
    }
    Ok(())
}

#[test]
fn a_batch_ends_in_time_although_items_come_without_a_pause() -> Plain {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(200_000);
    for n in 0..200_000 {
        tx.try_send(n).unwrap();
    }
    drop(tx);
    let batches = Flow::receiver(&rx).batch(usize::MAX, Duration::from_micros(20));
    let sizes = batches.map(|batch| batch.len()).collect::<Vec<_>>(&ctx)?;
    assert_eq!(sizes.iter().sum::<usize>(), 200_000);
    assert!(sizes.len() > 1, "200,000 items in 20 us");
    Ok(())
}

/// Sends when it is dropped.
struct Tells(mpsc::Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A source that says that it was stopped, since nobody wants more of it, fails nothing: what it has
/// given is still on its way.
#[test]
fn a_source_that_is_stopped_early_does_not_fail_the_rest() {
    let (ctx, _cancel) = Context::root();
    let (tells, gone) = mpsc::channel();
    let (tells, mut first) = (Tells(tells), true);
    let source = Flow::generate(move |ctx: &Context| {
        let _until_the_end = &tells;
        if !std::mem::take(&mut first) {
            ctx.sleep(Duration::MAX)?;
        }
        Ok::<_, Stop>(Some(1))
    });
    let flow = source.buffer(1).take(1).buffer(1).inspect(move |_| {
        gone.recv_timeout(PATIENCE).expect("the source has ended");
    });
    assert_eq!(flow.collect::<Vec<_>>(&ctx).expect("nothing failed"), [1]);
}

/// A closure that returns the caller's own stop as its error does not hide that the caller stopped it.
#[test]
fn a_cancel_is_a_cancel_whoever_sees_it_first() {
    for _ in 0..100 {
        let (ctx, cancel) = Context::root();
        let (begins, begun) = mpsc::channel();
        let source = Flow::generate(|ctx: &Context| {
            let _ = begins.send(());
            ctx.sleep(Duration::MAX).map(|()| Some(1))
        });
        let error = std::thread::scope(|s| {
            let flow = s.spawn(|| source.par_map(2, |n| n).count(&ctx));
            begun.recv().expect("it begins");
            cancel.cancel();
            flow.join().expect("no panic").expect_err("it was stopped")
        });
        assert!(error.is_cancelled(), "{error:?}");
    }
}
