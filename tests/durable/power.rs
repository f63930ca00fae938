//! Power cuts at random moments, with reader, acks and segments that are used again.

use crate::{root, small};
use ironsys::Stop;
use ironsys::durable::{AppendError, Memory, OnDamage, ReadError};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn body(id: u64, thread: u64) -> Vec<u8> {
    format!("{thread}:{id}:{}", "x".repeat((id % 700) as usize)).into_bytes()
}

/// How often the power is cut.
const ROUNDS: u64 = if cfg!(debug_assertions) { 60 } else { 300 };
/// How many events are appended for each cut at most, so that the checks keep up.
const EVENTS: usize = 32;

/// Cuts the power again and again while four threads append and one reads and acks. Returns how many
/// cuts there were, and how many acknowledged events were missing after one.
fn cuts(rounds: u64, lie: bool) -> (usize, usize) {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    if lie {
        memory.lie();
    }
    let acked = Mutex::new(BTreeSet::new());
    let handled = AtomicU64::new(0);
    let (mut made, mut missing) = (0, 0);
    let mut reader = outbox.reader("r").unwrap();
    let (give, go) = ironsys::channel::bounded(EVENTS);
    ironsys::scope(&ctx, |s| {
        for thread in 0..4 {
            let (outbox, acked, go) = (&outbox, &acked, go.clone());
            s.daemon(move |ctx| {
                for n in 0.. {
                    if go.recv(ctx).is_err() {
                        break;
                    }
                    match outbox.append(ctx, &body(n, thread)) {
                        Ok(id) => drop(acked.lock().unwrap().insert((id, thread, n))),
                        Err(AppendError::Refused(_) | AppendError::Unconfirmed { .. }) => break,
                        Err(e) => panic!("{e}"),
                    }
                }
                Ok(())
            });
        }
        s.daemon(|ctx| {
            loop {
                let event = match reader.next(ctx) {
                    Ok(event) => event,
                    Err(ReadError::Stopped(_)) => break,
                    Err(e) => panic!("{e}"),
                };
                handled.fetch_max(event.id, Ordering::SeqCst);
                if event.id % 5 == 0 {
                    reader.ack(event.id).unwrap();
                }
            }
            Ok(())
        });
        for round in 0..rounds {
            while give.try_send(()).is_ok() {}
            let goal = handled.load(Ordering::SeqCst) + 1 + round % 13;
            crate::until(|| handled.load(Ordering::SeqCst) >= goal);
            let before = acked.lock().unwrap().clone();
            let after = memory.after_power_cut(round);
            made += 1;
            let on_damage = if lie { OnDamage::Open } else { OnDamage::Refuse };
            let outbox = match small(&after).on_damage(on_damage).open() {
                Ok(outbox) => outbox,
                Err(_) if lie => {
                    missing += 1;
                    continue;
                }
                Err(e) => panic!("round {round}: {e}"),
            };
            let mut again = outbox.reader("r").unwrap();
            let mut found = BTreeSet::new();
            let mut last = 0;
            loop {
                match again.try_next() {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        assert!(event.id > last, "round {round}");
                        last = event.id;
                        let text = String::from_utf8(event.body.clone()).unwrap();
                        let mut parts = text.split(':');
                        let thread: u64 = parts.next().unwrap().parse().unwrap();
                        let n = parts.next().unwrap().parse().unwrap();
                        assert_eq!(event.body, body(n, thread), "round {round}: garbage");
                        assert!(found.insert((event.id, thread, n)));
                    }
                    Err(_) if lie && again.skip_damage().is_ok_and(|lost| !lost.is_empty()) => {}
                    Err(_) if lie => break,
                    Err(e) => panic!("round {round}: {e}"),
                }
            }
            // What the reader has acked may be gone; nothing else is.
            assert!(again.acked() <= handled.load(Ordering::SeqCst) + 1, "round {round}");
            let wanted = before.iter().filter(|(id, ..)| *id >= again.acked());
            let lost = wanted.filter(|event| !found.contains(event)).count();
            missing += lost;
            let acked_there = again.acked();
            acked.lock().unwrap().retain(|(id, ..)| *id >= acked_there);
            if !lie {
                assert_eq!(lost, 0, "round {round}");
            }
        }
        Ok::<_, Stop>(())
    })
    .unwrap();
    (made, missing)
}

#[test]
fn nothing_acknowledged_is_lost() {
    assert_eq!(cuts(ROUNDS, false), (ROUNDS as usize, 0));
}

/// The test of the test.
#[test]
fn a_disk_that_lies_loses_events() {
    let (_, missing) = cuts(40, true);
    assert!(missing > 0, "the simulator takes nothing away");
}
