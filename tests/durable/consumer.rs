//! From a source to workers, and back with the commit.

use crate::{root, small, until};
use ironsys::durable::{
    Committer, ConsumeError, Consumer, DeadLetters, Delivery, Memory, Outbox, Source, SourceError,
};
use ironsys::schedule::Backoff;
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn filled(n: usize) -> Outbox {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    outbox.append_many(&ctx, (1..=n).map(|n| n.to_string())).unwrap();
    outbox
}

fn number(message: &Delivery) -> usize {
    String::from_utf8_lossy(&message.body).parse().unwrap()
}

fn ok(_: &Context, _: &Delivery) -> Result<(), String> {
    Ok(())
}

#[test]
fn keys_run_beside_each_other_and_each_in_order() {
    let (ctx, _cancel) = root();
    let outbox = filled(500);
    outbox.close(&ctx).unwrap();
    let seen: Mutex<HashMap<usize, Vec<usize>>> = Mutex::default();
    let consumer = Consumer::builder().workers(4).in_flight(16);
    let consumer = consumer.key_by(|m| vec![(number(m) % 7) as u8]).build().unwrap();
    let report = consumer.run_outbox(&ctx, outbox.reader("w").unwrap(), |_, m| {
        let n = number(m);
        seen.lock().unwrap().entry(n % 7).or_default().push(n);
        Ok::<_, String>(())
    });
    let report = report.unwrap();
    assert!(report.ledger.is_balanced(), "{report:?}");
    assert_eq!((report.ledger.done, report.committed), (500, Some(500)));
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() == 7 && seen.values().all(|seen| seen.is_sorted()));
    assert!(outbox.is_empty());
}

#[test]
fn nothing_is_committed_before_all_in_front_of_it_and_intake_is_bounded() {
    let (ctx, _cancel) = root();
    let outbox = filled(100);
    let (open, gate) = ironsys::channel::bounded::<()>(1);
    let handled = AtomicUsize::new(0);
    let consumer = Consumer::builder().workers(16).in_flight(10);
    let consumer = consumer.key_by(|m| vec![u8::from(number(m) == 1)]).build().unwrap();
    let control = consumer.control();
    ironsys::scope(&ctx, |s| {
        let run = s.spawn(|ctx| {
            let reader = outbox.reader("w").unwrap();
            Ok::<_, ironsys::Stop>(consumer.run_outbox(ctx, reader, |ctx, m| {
                if number(m) == 1 {
                    gate.recv(ctx).map_err(|e| e.to_string())?;
                }
                handled.fetch_add(1, Ordering::SeqCst);
                Ok::<_, String>(())
            }))
        });
        // Ten are in flight, nine are done, and nothing can be committed.
        until(|| handled.load(Ordering::SeqCst) == 9);
        assert_eq!(outbox.len(), 100);
        open.send(s.ctx(), ()).unwrap();
        until(|| outbox.is_empty());
        control.stop();
        let report = run.join(&ctx)?.unwrap();
        assert_eq!((report.ledger.done, report.ledger.cancelled), (100, 0));
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_failure_is_tried_again_and_then_a_dead_letter() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let outbox = filled(4);
    outbox.close(&ctx).unwrap();
    let letters = DeadLetters::new(small(&Memory::new()).open().unwrap());
    let retry = Backoff::fixed(Duration::from_secs(60)).max_attempts(3);
    let consumer = Consumer::builder().workers(1).retry(retry).dead_letters(&letters);
    let tries = AtomicUsize::new(0);
    let run =
        consumer.build().unwrap().run_outbox(
            &ctx,
            outbox.reader("w").unwrap(),
            |_, m| match number(m) {
                2 if tries.fetch_add(1, Ordering::SeqCst) < 2 => Err("not yet"),
                3 => panic!("no such field"),
                _ => Ok(()),
            },
        );
    let report = run.unwrap();
    let ledger = report.ledger;
    assert_eq!((ledger.done, ledger.failed, report.retries, report.committed), (3, 1, 4, Some(4)));
    let letter = letters.open().unwrap().try_next().unwrap().unwrap();
    assert_eq!((letter.id, &*letter.reason), (3, "it panicked: no such field"));
}

#[test]
fn without_a_place_for_dead_letters_a_failure_ends_the_run_and_loses_nothing() {
    let (ctx, _cancel) = root();
    let outbox = filled(5);
    let never = Backoff::fixed(Duration::ZERO).max_attempts(1);
    let consumer = Consumer::builder().workers(1).retry(never).build().unwrap();
    let run = consumer.run_outbox(&ctx, outbox.reader("w").unwrap(), |_, m| {
        if number(m) == 3 { Err("poison") } else { Ok(()) }
    });
    let e = run.unwrap_err();
    assert!(matches!(e, ConsumeError::DeadLetter { position: 3, .. }), "{e}");
    assert!(outbox.len() >= 3);
}

/// A source with ids that come twice.
struct Twice {
    next: u64,
    commits: Commits,
}

#[derive(Clone, Default)]
struct Commits {
    all: Arc<Mutex<Vec<u64>>>,
    back: Arc<Mutex<Vec<u64>>>,
}

impl Source for Twice {
    type Committer = Commits;

    fn committer(&mut self) -> Commits {
        self.commits.clone()
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        ctx.check()?;
        self.next += 1;
        let id = vec![(self.next / 2) as u8];
        let body = self.next.to_string().into_bytes();
        let message = Delivery { position: self.next, id, body, ..Delivery::default() };
        Ok((self.next <= 20).then_some(message))
    }
}

impl Committer for Commits {
    fn commit(&mut self, _: &Context, position: u64) -> Result<(), SourceError> {
        self.all.lock().unwrap().push(position);
        Ok(())
    }

    fn hand_back(&mut self, positions: &[u64]) {
        self.back.lock().unwrap().extend(positions);
    }
}

#[test]
fn an_id_that_comes_again_is_dropped_and_committed() {
    let (ctx, _cancel) = root();
    for (window, handled) in [(0, 20), (4, 11)] {
        let commits = Commits::default();
        let source = Twice { next: 0, commits: commits.clone() };
        let consumer = Consumer::builder().workers(2).dedupe(window).build().unwrap();
        let report = consumer.run(&ctx, source, ok).unwrap();
        assert_eq!((report.ledger.done, report.ledger.dropped), (handled, 20 - handled));
        let commits = commits.all.lock().unwrap();
        assert!(commits.is_sorted() && commits.last() == Some(&20));
    }
}

#[test]
fn a_hard_stop_hands_back_what_is_not_done_with() {
    let (ctx, _cancel) = root();
    let (child, cancel) = ctx.with_cancel();
    let commits = Commits::default();
    let source = Twice { next: 0, commits: commits.clone() };
    let consumer = Consumer::builder().workers(1).in_flight(3).build().unwrap();
    let begun = AtomicUsize::new(0);
    ironsys::scope(&ctx, |s| {
        let run = s.spawn(|_| {
            Ok::<_, ironsys::Stop>(consumer.run(&child, source, |ctx, _| {
                begun.fetch_add(1, Ordering::SeqCst);
                Err::<(), _>(ctx.wait_stopped().to_string())
            }))
        });
        until(|| begun.load(Ordering::SeqCst) == 1);
        cancel.cancel();
        let e = run.join(&ctx)?.unwrap_err();
        assert!(matches!(e, ConsumeError::Stopped(_)), "{e}");
        Ok(())
    })
    .unwrap();
    assert!(commits.all.lock().unwrap().is_empty());
    let back = commits.back.lock().unwrap();
    assert!(back.first() == Some(&1) && back.len() <= 3, "{back:?}");
}

#[test]
fn a_pause_receives_nothing_until_it_is_over() {
    let (ctx, _cancel) = root();
    let outbox = filled(50);
    let consumer = Consumer::builder().workers(1).build().unwrap();
    let control = consumer.control();
    control.pause();
    ironsys::scope(&ctx, |s| {
        let run = s.spawn(|ctx| {
            let reader = outbox.reader("w").unwrap();
            Ok::<_, ironsys::Stop>(consumer.run_outbox(ctx, reader, ok))
        });
        until(|| ironsys::observe::tasks().len() >= 3);
        assert_eq!(outbox.len(), 50);
        control.resume();
        until(|| outbox.is_empty());
        control.stop();
        assert_eq!(run.join(&ctx)?.unwrap().committed, Some(50));
        Ok(())
    })
    .unwrap();
}

#[test]
fn settings_are_checked() {
    let field = |b: ironsys::durable::ConsumerBuilder| b.build().unwrap_err().field();
    assert_eq!(field(Consumer::builder().workers(0)), "workers");
    assert_eq!(field(Consumer::builder().workers(usize::MAX)), "workers");
    assert_eq!(field(Consumer::builder().in_flight(0)), "in_flight");
    assert_eq!(field(Consumer::builder().in_flight(usize::MAX)), "in_flight");
}

/// One message, and a stop in the midst of its commit.
struct Interrupted {
    given: bool,
    stop: Canceller,
    commits: Commits,
}

struct Interrupts(Interrupted);

impl Source for Interrupted {
    type Committer = Interrupts;

    fn committer(&mut self) -> Interrupts {
        let (stop, commits) = (self.stop.clone(), self.commits.clone());
        Interrupts(Interrupted { given: true, stop, commits })
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        if std::mem::replace(&mut self.given, true) {
            return Err(SourceError::Stopped(ctx.wait_stopped()));
        }
        Ok(Some(Delivery { position: 1, ..Delivery::default() }))
    }
}

impl Committer for Interrupts {
    fn commit(&mut self, ctx: &Context, position: u64) -> Result<(), SourceError> {
        if self.0.stop.cancel_with("in the midst") {
            return Err(SourceError::Stopped(ctx.wait_stopped()));
        }
        ctx.check()?;
        self.0.commits.all.lock().unwrap().push(position);
        Ok(())
    }

    fn hand_back(&mut self, positions: &[u64]) {
        self.0.commits.back.lock().unwrap().extend(positions);
    }
}

#[test]
fn a_commit_that_a_stop_interrupts_is_made_all_the_same() {
    let (ctx, _cancel) = root();
    let (ctx, stop) = ctx.with_cancel();
    let commits = Commits::default();
    let source = Interrupted { given: false, stop, commits: commits.clone() };
    let consumer = Consumer::builder().workers(1).build().unwrap();
    assert!(consumer.run(&ctx, source, ok).is_err());
    assert_eq!(*commits.all.lock().unwrap(), [1]);
    assert!(commits.back.lock().unwrap().is_empty());
}

/// Delivers a message some time after the stop: it was on its way.
struct Late {
    stop: Canceller,
    commits: Commits,
}

impl Source for Late {
    type Committer = Commits;

    fn committer(&mut self) -> Commits {
        self.commits.clone()
    }

    fn recv(&mut self, _: &Context) -> Result<Option<Delivery>, SourceError> {
        self.stop.cancel();
        // Time for all others to see the stop.
        (0..2_000).for_each(|_| std::thread::yield_now());
        Ok(Some(Delivery { position: 1, ..Delivery::default() }))
    }
}

#[test]
fn what_comes_after_a_stop_is_handed_back() {
    for _ in 0..20 {
        let (ctx, _cancel) = root();
        let (ctx, stop) = ctx.with_cancel();
        let commits = Commits::default();
        let source = Late { stop, commits: commits.clone() };
        let consumer = Consumer::builder().workers(1).build().unwrap();
        assert!(consumer.run(&ctx, source, ok).is_err());
        assert_eq!(*commits.back.lock().unwrap(), [1]);
    }
}
