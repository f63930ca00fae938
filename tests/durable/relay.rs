//! From the outbox to a broker.

use crate::{Dice, root, small, until};
use ironsys::durable::{
    DeadLetters, Event, Memory, Outbox, PublishError, Publisher, RelayError, ReplayError, Sent,
    StartError,
};
use ironsys::resilience::{Breaker, Trip};
use ironsys::schedule::Backoff;
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A broker in memory: it answers later, and can be down.
#[derive(Clone, Default)]
struct Broker {
    got: Arc<Mutex<Vec<String>>>,
    pending: Arc<Mutex<Vec<u64>>>,
    /// So many calls fail from now on.
    fails: Arc<AtomicUsize>,
    most_pending: Arc<AtomicUsize>,
    resets: Arc<AtomicUsize>,
    /// What it rejects.
    poison: Option<&'static str>,
    hang: Arc<AtomicBool>,
}

impl Broker {
    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    fn is_down(&self) -> Result<(), PublishError> {
        let down = |n: usize| n.checked_sub(1);
        match self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, down) {
            Ok(_) => Err(PublishError::down("no route to host")),
            Err(_) => Ok(()),
        }
    }
}

impl Publisher for Broker {
    fn send(&mut self, _: &Context, event: &Event) -> Result<Sent, PublishError> {
        self.is_down()?;
        let text = String::from_utf8(event.body.clone()).unwrap();
        if self.poison.is_some_and(|poison| text == poison) {
            return Err(PublishError::Rejected("it is poison".into()));
        }
        self.got.lock().unwrap().push(text);
        let mut pending = self.pending.lock().unwrap();
        pending.push(event.id);
        self.most_pending.fetch_max(pending.len(), Ordering::SeqCst);
        Ok(Sent::Pending)
    }

    fn settle(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        if self.hang.load(Ordering::SeqCst) {
            return Err(ctx.wait_stopped().into());
        }
        self.is_down()?;
        // One at a time, and not in order.
        let mut pending = self.pending.lock().unwrap();
        let last = pending.pop().unwrap();
        answers.push((last, Ok(())));
        Ok(())
    }

    fn reset(&mut self) {
        self.pending.lock().unwrap().clear();
        self.resets.fetch_add(1, Ordering::SeqCst);
    }
}

fn texts(n: usize) -> Vec<String> {
    (1..=n).map(|n| n.to_string()).collect()
}

#[test]
fn everything_arrives_in_order_and_is_acked() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    let broker = Broker::default();
    let relay = outbox.relay(broker.clone()).window(8).start(&ctx).unwrap();
    outbox.append_many(&ctx, texts(100)).unwrap();
    until(|| outbox.is_empty());
    outbox.append(&ctx, b"last").unwrap();
    let report = relay.drain(&ctx);
    assert!(report.error.is_none() && report.stats.ledger.is_balanced(), "{report:?}");
    assert_eq!((report.stats.ledger.done, report.stats.sent), (101, 101));
    assert_eq!(broker.got()[..100], texts(100));
    assert_eq!(broker.most_pending.load(Ordering::SeqCst), 8);
    assert!(outbox.is_empty());
}

#[test]
fn an_outage_costs_nothing_but_disk() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let outbox = small(&Memory::new()).open().unwrap();
    let broker = Broker::default();
    broker.fails.store(50, Ordering::SeqCst);
    outbox.append_many(&ctx, texts(40)).unwrap();
    let before = ctx.clock().now();
    let minute = Duration::from_secs(60);
    let relay = outbox.relay(broker.clone()).window(5).backoff(Backoff::fixed(minute));
    let relay = relay.start(&ctx).unwrap();
    until(|| outbox.is_empty());
    assert!(ctx.clock().now() - before >= minute * 50);
    let report = relay.drain(&ctx);
    assert_eq!((report.stats.outages, report.stats.is_down), (50, false));
    assert_eq!(broker.resets.load(Ordering::SeqCst), 50);
    assert_eq!(broker.got(), texts(40));
}

#[test]
fn what_was_under_way_in_an_outage_is_sent_again_in_order() {
    let (ctx, _cancel) = root();
    for nth in 1..30 {
        let outbox = small(&Memory::new()).open().unwrap();
        outbox.append_many(&ctx, texts(12)).unwrap();
        let broker = Broker::default();
        let calls = AtomicUsize::new(0);
        // Down at the nth call, whichever that is.
        struct Flaky(Broker, AtomicUsize, usize);
        impl Publisher for Flaky {
            fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError> {
                if self.1.fetch_add(1, Ordering::SeqCst) + 1 == self.2 {
                    self.0.fails.store(1, Ordering::SeqCst);
                }
                self.0.send(ctx, event)
            }
            fn settle(
                &mut self,
                ctx: &Context,
                answers: &mut Vec<(u64, Result<(), String>)>,
            ) -> Result<(), PublishError> {
                if self.1.fetch_add(1, Ordering::SeqCst) + 1 == self.2 {
                    self.0.fails.store(1, Ordering::SeqCst);
                }
                self.0.settle(ctx, answers)
            }
            fn reset(&mut self) {
                self.0.reset();
            }
        }
        let flaky = Flaky(broker.clone(), calls, nth);
        let relay = outbox.relay(flaky).window(4).backoff(Backoff::fixed(Duration::ZERO));
        let report = relay.start(&ctx).unwrap().drain(&ctx);
        assert!(report.error.is_none() && outbox.is_empty(), "{nth}: {report:?}");
        // Without what came twice it is the list, in order.
        let mut first = Vec::new();
        for text in broker.got() {
            if !first.contains(&text) {
                first.push(text);
            }
        }
        assert_eq!(first, texts(12), "{nth}");
    }
}

#[test]
fn a_rejected_event_becomes_a_dead_letter_and_can_be_replayed() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    let letters = DeadLetters::new(small(&Memory::new()).open().unwrap());
    let broker = Broker { poison: Some("3"), ..Broker::default() };
    outbox.append_many(&ctx, texts(5)).unwrap();
    let relay = outbox.relay(broker.clone()).dead_letters(&letters).start(&ctx).unwrap();
    until(|| outbox.is_empty());
    let report = relay.drain(&ctx);
    let ledger = report.stats.ledger;
    assert_eq!((ledger.done, ledger.dropped, report.stats.sent), (4, 1, 7));
    assert_eq!(broker.got(), ["1", "2", "4", "5"]);
    let mut open = letters.open().unwrap();
    assert!(letters.open().is_err());
    let letter = open.try_next().unwrap().unwrap();
    assert_eq!((letter.id, &*letter.reason, &*letter.body), (3, "it is poison", &b"3"[..]));
    assert!(open.try_next().unwrap().is_none());
    assert_eq!(letters.len(), 1);
    open.done().unwrap();
    assert!(letters.is_empty());
}

#[test]
fn without_a_place_for_dead_letters_a_rejection_ends_the_relay_and_loses_nothing() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    outbox.append_many(&ctx, texts(5)).unwrap();
    let broker = Broker { poison: Some("3"), ..Broker::default() };
    let relay = outbox.relay(broker).window(1).start(&ctx).unwrap();
    until(|| relay.is_finished());
    let report = relay.drain(&ctx);
    assert!(matches!(report.error, Some(RelayError::DeadLetter { id: 3, .. })), "{report:?}");
    assert_eq!((outbox.len(), report.stats.ledger.in_flight), (3, 1));
}

#[test]
fn dropping_a_relay_stops_it_wherever_it_is_and_the_next_goes_on() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    outbox.append_many(&ctx, texts(5)).unwrap();
    let broker = Broker::default();
    broker.hang.store(true, Ordering::SeqCst);
    let relay = outbox.relay(broker.clone()).start(&ctx).unwrap();
    assert!(matches!(outbox.relay(broker.clone()).start(&ctx), Err(StartError::Reader(_))));
    until(|| broker.got().len() == 5);
    drop(relay);
    assert_eq!(outbox.len(), 5);
    // A drain that is cut short says so.
    let relay = outbox.relay(broker.clone()).start(&ctx).unwrap();
    until(|| broker.got().len() == 10);
    let report = relay.drain(&ctx.with_timeout(Duration::ZERO));
    assert!(matches!(report.error, Some(RelayError::Stopped(Stop::Cancelled(_)))), "{report:?}");
    assert_eq!(report.stats.ledger.in_flight, 5);
    broker.hang.store(false, Ordering::SeqCst);
    broker.pending.lock().unwrap().clear();
    let report = outbox.relay(broker.clone()).start(&ctx).unwrap().drain(&ctx);
    assert!(report.error.is_none() && outbox.is_empty());
}

#[test]
fn a_panic_of_the_publisher_is_an_error_of_the_relay() {
    let (ctx, _cancel) = root();
    let outbox = small(&Memory::new()).open().unwrap();
    outbox.append(&ctx, b"x").unwrap();
    let bad = |_: &Context, _: &Event| -> Result<(), PublishError> { panic!("no such field") };
    let relay = outbox.relay(bad).start(&ctx).unwrap();
    until(|| relay.is_finished());
    let error = relay.drain(&ctx).error;
    assert!(matches!(&error, Some(RelayError::Panicked(why)) if why == "no such field"));
    assert_eq!(outbox.len(), 1);
}

#[test]
fn settings_are_checked() {
    let (ctx, _cancel) = root();
    let outbox: Outbox = small(&Memory::new()).open().unwrap();
    let field = |e: StartError| match e {
        StartError::Build(e) => e.field(),
        e => panic!("{e}"),
    };
    let relay = || outbox.relay(Broker::default());
    assert_eq!(field(relay().window(0).start(&ctx).unwrap_err()), "window");
    assert_eq!(field(relay().rejections(0).start(&ctx).unwrap_err()), "rejections");
    assert!(matches!(relay().name("a/b").start(&ctx), Err(StartError::Reader(_))));
    drop(relay().window(usize::MAX).start(&ctx).unwrap());
}

#[test]
fn an_open_breaker_holds_the_relay_back_and_a_probe_lets_it_on() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let minute = Duration::from_secs(60);
    let breaker = Breaker::builder("broker").trip(Trip::consecutive(3)).open_for(minute);
    let breaker = breaker.clock(ctx.clock()).build().unwrap();
    let outbox = small(&Memory::new()).open().unwrap();
    let broker = Broker::default();
    broker.fails.store(7, Ordering::SeqCst);
    outbox.append_many(&ctx, texts(10)).unwrap();
    let since = ctx.clock().now();
    let relay = outbox.relay(broker.clone()).backoff(Backoff::fixed(Duration::ZERO));
    let relay = relay.breaker(&breaker).start(&ctx).unwrap();
    until(|| outbox.is_empty());
    // Three failures open it, and each probe that fails costs another minute.
    assert_eq!(ctx.clock().now() - since, minute * 5);
    let report = relay.drain(&ctx);
    assert_eq!((report.stats.outages, report.stats.is_down), (7, false));
    assert_eq!(broker.got(), texts(10));
    // A relay that waits for it can be stopped.
    breaker.force_open();
    outbox.append(&ctx, b"x").unwrap();
    let relay = outbox.relay(broker.clone()).breaker(&breaker).start(&ctx).unwrap();
    until(|| relay.stats().is_down);
    let report = relay.drain(&ctx.with_timeout(Duration::ZERO));
    assert!(matches!(report.error, Some(RelayError::Stopped(_))), "{report:?}");
    assert_eq!((broker.got().len(), outbox.len()), (10, 1));
}

/// Answers late, in any order, and rejects each event a number of times.
struct Moody {
    dice: Dice,
    pending: Vec<u64>,
    left: HashMap<u64, u64>,
    texts: HashMap<u64, String>,
    took: Arc<Mutex<Vec<String>>>,
}

impl Publisher for Moody {
    fn send(&mut self, _: &Context, event: &Event) -> Result<Sent, PublishError> {
        self.pending.push(event.id);
        self.texts.insert(event.id, String::from_utf8(event.body.clone()).unwrap());
        let times = self.dice.below(4);
        self.left.entry(event.id).or_insert(times);
        Ok(Sent::Pending)
    }

    fn settle(
        &mut self,
        _: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        if self.dice.below(20) == 0 {
            return Err(PublishError::down("again"));
        }
        let id = self.pending.swap_remove(self.dice.below(self.pending.len() as u64) as usize);
        let left = self.left.get_mut(&id).unwrap();
        if *left > 0 {
            *left -= 1;
            answers.push((id, Err("not now".into())));
        } else {
            self.took.lock().unwrap().push(self.texts[&id].clone());
            answers.push((id, Ok(())));
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.pending.clear();
    }
}

#[test]
fn of_one_key_nothing_passes_and_others_pass_within_the_window() {
    let (ctx, _cancel) = root();
    for (seed, ordered) in (0..40).map(|seed| (seed, true)).chain([(3, false)]) {
        let outbox = small(&Memory::new()).open().unwrap();
        let events: Vec<String> = (0..60).map(|n| format!("{} {n:03}", n % 4)).collect();
        outbox.append_many(&ctx, &events).unwrap();
        let took = Arc::new(Mutex::new(Vec::new()));
        let moody = Moody {
            dice: Dice(seed),
            pending: Vec::new(),
            left: HashMap::new(),
            texts: HashMap::new(),
            took: took.clone(),
        };
        let relay = outbox.relay(moody).window(16).rejections(10);
        let mut relay = relay.backoff(Backoff::fixed(Duration::ZERO));
        if ordered {
            relay = relay.order_by(|event| vec![event.body[0]]);
        }
        let report = relay.start(&ctx).unwrap().drain(&ctx);
        assert!(report.error.is_none() && outbox.is_empty(), "{report:?}");
        let took = took.lock().unwrap();
        assert_eq!(took.len(), events.len());
        let in_order = |key: &str| took.iter().filter(|t| t.starts_with(key)).is_sorted();
        assert_eq!(["0", "1", "2", "3"].iter().all(|key| in_order(key)), ordered, "{took:?}");
        assert!(!took.iter().is_sorted_by_key(|text| &text[2..]), "others do pass");
    }
}

#[test]
fn dead_letters_are_replayed_each_at_least_once_and_keep_their_reasons() {
    let (ctx, _cancel) = root();
    let letters = DeadLetters::new(small(&Memory::new()).open().unwrap());
    for n in 1..=4 {
        letters.put(&ctx, n, "too large", n.to_string().as_bytes()).unwrap();
    }
    // One is rejected again; then the broker goes down.
    let (tx, rx) = std::sync::mpsc::channel();
    let mut broker = move |_: &Context, event: &Event| match event.id {
        2 => Err(PublishError::Rejected("still".into())),
        3 => Err(PublishError::down("gone")),
        _ => tx.send(event.id).map_err(PublishError::down),
    };
    let error = letters.replay(&ctx, &mut broker).unwrap_err();
    assert!(matches!(error, ReplayError::Publish(PublishError::Down(_))), "{error}");
    assert_eq!((rx.try_iter().collect::<Vec<_>>(), letters.len()), (vec![1], 3));
    // The rest go into an outbox; the one that was rejected twice says so.
    let outbox = small(&Memory::new()).open().unwrap();
    let mut replayed = letters.replay_into(&ctx, &outbox).unwrap().returned;
    let order: Vec<_> = replayed.iter().map(|letter| (letter.id, letter.new_id)).collect();
    assert_eq!(order, [(3, 1), (4, 2), (2, 3)]);
    assert_eq!(replayed.pop().unwrap().reason, "too large; still");
    assert!(letters.is_empty());
    // What is stopped keeps the letter, and one that is always rejected has one turn a replay.
    letters.put(&ctx, 9, "bad", b"9").unwrap();
    let reject = |_: &Context, _: &Event| Err(PublishError::Rejected("no".into()));
    let twice = letters.replay(&ctx, &mut { reject }).unwrap();
    assert_eq!((twice.returned.len(), twice.kept, letters.len()), (0, 1, 1));
    let stopped = ctx.with_timeout(Duration::ZERO);
    assert!(matches!(letters.replay_into(&stopped, &outbox), Err(ReplayError::Stopped(_))));
    assert_eq!(letters.len(), 1);
}
