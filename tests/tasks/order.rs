//! Priorities, deadlines and aging: what a pool with an order runs next.

use crate::pool::{SECOND, occupy};
use crate::until;
use ironsys::Context;
use ironsys::pool::{JobOptions, Order, Pool};
use ironsys::time::VirtualClock;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One worker, and the order in which it ran its jobs.
struct Ordered {
    time: VirtualClock,
    ctx: Context,
    pool: Pool,
    ran: Arc<Mutex<Vec<usize>>>,
}

impl Ordered {
    fn new(aging: Duration, queue: usize) -> Self {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let pool = Pool::builder("ordered").workers(1).queue(queue).context(&ctx);
        let pool = pool.order(Order::Priority { aging }).build().unwrap();
        Ordered { time, ctx, pool, ran: Arc::default() }
    }

    fn submit(&self, n: usize, priority: u8, timeout: Option<Duration>) {
        let ran = self.ran.clone();
        let options = JobOptions::new().priority(priority);
        let options = timeout.map_or(options.clone(), |timeout| options.timeout(timeout));
        let job = move |_: &Context| ran.lock().unwrap().push(n);
        drop(self.pool.submit_with(&self.ctx, options, job).unwrap());
    }

    fn ran(&self) -> Vec<usize> {
        until(|| self.pool.stats().ledger.in_flight == 0);
        std::mem::take(&mut *self.ran.lock().unwrap())
    }
}

#[test]
fn the_highest_priority_goes_first_then_the_earliest_deadline_then_the_first() {
    let o = Ordered::new(Duration::MAX, 100);
    let (go, _busy) = occupy(&o.pool, &o.ctx);
    let day = 86_400 * SECOND;
    o.submit(0, 1, None);
    o.submit(1, 2, None);
    o.submit(2, 1, Some(2 * day));
    o.submit(3, 0, Some(day));
    o.submit(4, 1, Some(day));
    o.submit(5, 2, None);
    o.submit(6, 255, None);
    drop(go);
    assert_eq!(o.ran(), [6, 1, 5, 4, 2, 0, 3]);
}

#[test]
fn an_old_job_overtakes_a_younger_one_of_a_higher_priority() {
    let o = Ordered::new(10 * SECOND, 100);
    let (go, _busy) = occupy(&o.pool, &o.ctx);
    o.submit(0, 0, None);
    o.time.advance(29 * SECOND);
    o.submit(1, 2, None); // Two periods later and two higher: equals, and the first goes first.
    o.submit(2, 3, None); // Two periods later and three higher: goes before.
    o.time.advance(SECOND);
    o.submit(3, 3, None); // Three periods later, which the age makes up for.
    o.submit(4, 3, Some(60 * SECOND)); // An equal with a deadline.
    drop(go);
    assert_eq!(o.ran(), [2, 4, 0, 1, 3]);
}

/// Under a flood of urgent jobs: `(q - p + 1) * aging` after a job nobody overtakes it any more.
#[test]
fn a_low_priority_does_not_starve() {
    let o = Ordered::new(SECOND, 1000);
    let (go, _busy) = occupy(&o.pool, &o.ctx);
    o.submit(0, 0, None);
    for n in 1..=20 {
        o.submit(n, 9, Some(600 * SECOND));
        o.time.advance(SECOND);
    }
    drop(go);
    let place = o.ran().iter().position(|n| *n == 0).unwrap();
    assert!(place <= 10, "at place {place}");
}

#[test]
fn a_job_handed_back_keeps_its_priority() {
    let first = Ordered::new(Duration::MAX, 100);
    let (go, busy) = occupy(&first.pool, &first.ctx);
    first.submit(0, 1, None);
    first.submit(1, 2, None);
    drop(first.pool.submitter());
    let Ordered { ctx, pool, ran, .. } = first;
    let undelivered = pool.drain(&ctx.with_timeout(Duration::ZERO)).undelivered;
    drop((go, busy));
    assert_eq!(undelivered.len(), 2);
    let second = Ordered::new(Duration::MAX, 100);
    let (go, _busy) = occupy(&second.pool, &second.ctx);
    for job in undelivered.into_iter().rev() {
        second.pool.resubmit(&second.ctx, job).unwrap();
    }
    drop(go);
    until(|| second.pool.stats().ledger.in_flight == 0);
    assert_eq!(*ran.lock().unwrap(), [1, 0]);
}

/// What happens in a history of the queue, one worker taking a job at a time.
#[derive(Debug, Clone)]
enum Event {
    Submit { priority: u8, timeout: Option<u64> },
    Advance(u64),
    Drain,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..4_u8, proptest::option::of(1000..1010_u64))
            .prop_map(|(priority, timeout)| Event::Submit { priority, timeout }),
        3 => (1..25_u64).prop_map(Event::Advance),
        1 => Just(Event::Drain),
    ];
    proptest::collection::vec(event, 1..40)
}

/// The rule as it is written, not as it is done: ages are counted when a job is chosen.
struct Model {
    now: u64,
    aging: u64,
    waiting: Vec<(usize, u8, Option<u64>, u64)>,
}

impl Model {
    fn next(&mut self) -> Option<usize> {
        let borders = |since: u64| self.now / self.aging - since / self.aging;
        let best =
            self.waiting.iter().enumerate().min_by_key(|(_, (n, priority, deadline, since))| {
                let level = u64::from(*priority) + borders(*since);
                (std::cmp::Reverse(level), deadline.is_none(), *deadline, *n)
            })?;
        let i = best.0;
        Some(self.waiting.remove(i).0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_order_is_that_of_the_rule(events in events(), aging in 1..30_u64) {
        let o = Ordered::new(Duration::from_secs(aging), 100);
        let mut model = Model { now: 0, aging, waiting: Vec::new() };
        let mut n = 0;
        let mut rounds = vec![Vec::new()];
        for event in events {
            match event {
                Event::Drain => rounds.push(Vec::new()),
                event => rounds.last_mut().unwrap().push(event),
            }
        }
        for round in rounds {
            let (go, busy) = occupy(&o.pool, &o.ctx);
            for event in round {
                match event {
                    Event::Submit { priority, timeout } => {
                        o.submit(n, priority, timeout.map(Duration::from_secs));
                        let deadline = timeout.map(|timeout| model.now + timeout);
                        model.waiting.push((n, priority, deadline, model.now));
                        n += 1;
                    }
                    Event::Advance(seconds) => {
                        o.time.advance(Duration::from_secs(seconds));
                        model.now += seconds;
                    }
                    Event::Drain => unreachable!(),
                }
            }
            drop(go);
            busy.join(&o.ctx).unwrap();
            let expected: Vec<_> = std::iter::from_fn(|| model.next()).collect();
            prop_assert_eq!(o.ran(), expected);
        }
    }
}
