//! Sixteen workers on one channel, each cancelled again and again: all of them stay at work.
//!
//! flume's `Selector` leaves one of sixteen here: a wake-up that is taken by a receiver that leaves
//! another way is lost. Ours is passed on.

use ironsys::{Canceller, Context, Stop, channel};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

const WORKERS: usize = 16;
const MESSAGES: u64 = 1_000_000;

enum Message {
    Count,
    /// Every worker takes one of these and waits for the others.
    Meet,
}

#[test]
fn sixteen_workers_stay_active_after_a_million_messages_and_a_thousand_cancels_a_second() {
    let (root, _cancel) = Context::root();
    let ctx = &root.with_timeout(Duration::from_secs(120)); // A hang is a failure.
    let (tx, rx) = &channel::bounded(64);
    let current: &Vec<Mutex<Option<Canceller>>> = &(0..WORKERS).map(|_| Mutex::new(None)).collect();
    let counts: &Vec<AtomicU64> = &(0..WORKERS).map(|_| AtomicU64::new(0)).collect();
    let cancels = &AtomicU64::new(0);
    let done = &AtomicBool::new(false);
    let meeting = &Barrier::new(WORKERS + 1);

    let result = ironsys::scope(ctx, |s| {
        for (me, count) in counts.iter().enumerate() {
            s.execute(move |ctx| {
                loop {
                    let (mine, cancel) = ctx.with_cancel();
                    *current[me].lock().unwrap() = Some(cancel);
                    loop {
                        match rx.recv(&mine) {
                            Ok(Message::Count) => {
                                count.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(Message::Meet) => {
                                meeting.wait();
                                return Ok(());
                            }
                            Err(e) if e.is_closed() => return Ok(()),
                            Err(_) => break,
                        }
                    }
                    ctx.check()?;
                }
            });
        }
        s.execute(move |ctx| {
            let mut next = 0;
            while !done.load(Ordering::Acquire) {
                if let Some(cancel) = current[next % WORKERS].lock().unwrap().as_ref() {
                    cancels.fetch_add(u64::from(cancel.cancel()), Ordering::Relaxed);
                }
                next += 7;
                ctx.sleep(Duration::from_millis(1))?;
            }
            Ok(())
        });
        for _ in 0..MESSAGES {
            tx.send(s.ctx(), Message::Count).map_err(|e| e.stop().cloned().unwrap())?;
        }
        done.store(true, Ordering::Release);
        for _ in 0..WORKERS {
            tx.send(s.ctx(), Message::Meet).map_err(|e| e.stop().cloned().unwrap())?;
        }
        meeting.wait(); // Only if all sixteen have taken one.
        Ok::<_, Stop>(())
    });
    result.unwrap();
    let received: u64 = counts.iter().map(|c| c.load(Ordering::Relaxed)).sum();
    assert_eq!(received, MESSAGES, "every message once");
    assert!(cancels.load(Ordering::Relaxed) > 0, "nobody was ever cancelled");
    let stats = rx.stats();
    assert!(stats.ledger.is_balanced() && stats.depth == 0, "{stats:?}");
}
