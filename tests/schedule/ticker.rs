//! Tickers: no drift, every policy for what was missed, and cancelled waits that use nothing up.

use ironsys::schedule::{Missed, Ticker};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn clock() -> (VirtualClock, Context) {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx)
}

/// When the ticks come, in quarters of the interval, if the loop takes `work` quarters each time.
fn ticks(missed: Missed, work: &[u32]) -> Vec<u128> {
    let (time, ctx) = clock();
    let start = time.now();
    let quarter = SECOND / 4;
    let mut ticker = Ticker::new(ctx.clock(), SECOND).unwrap().missed(missed);
    let go = |quarters: &u32| {
        let tick = ticker.wait(&ctx).unwrap();
        assert_eq!(tick.at, time.now());
        time.advance(*quarters * quarter);
        (tick.at - start).as_nanos() / quarter.as_nanos()
    };
    work.iter().map(go).collect()
}

#[test]
fn each_policy_does_what_the_table_says() {
    let work = [10, 0, 0, 0, 0];
    assert_eq!(ticks(Missed::Skip, &work), [4, 14, 16, 20, 24]);
    assert_eq!(ticks(Missed::Burst, &work), [4, 14, 14, 16, 20]);
    assert_eq!(ticks(Missed::Delay, &work), [4, 14, 18, 22, 26]);
}

#[test]
fn work_shorter_than_the_interval_does_not_move_the_ticks() {
    for missed in [Missed::Skip, Missed::Burst] {
        assert_eq!(ticks(missed, &[3, 0, 1, 2, 3]), [4, 8, 12, 16, 20]);
    }
}

#[test]
fn a_tick_knows_how_late_it_is_and_what_fell_out() {
    let (time, ctx) = clock();
    let mut ticker = Ticker::new(ctx.clock(), SECOND).unwrap().at_once();
    let first = ticker.wait(&ctx).unwrap();
    assert_eq!((first.number, first.missed, first.late()), (0, 0, Duration::ZERO));
    time.advance(SECOND * 7 / 2);
    let second = ticker.wait(&ctx).unwrap();
    assert_eq!((second.number, second.missed, second.late()), (1, 2, SECOND * 5 / 2));
    assert_eq!(ticker.next_due(), Some(first.at + SECOND * 4));
    ticker.reset();
    assert_eq!(ticker.wait(&ctx).unwrap().at, first.at + SECOND * 7 / 2);
}

#[test]
fn a_cancelled_wait_uses_no_tick_up() {
    let (time, ctx) = clock();
    let mut ticker = Ticker::new(ctx.clock(), SECOND).unwrap();
    let due = ticker.next_due();
    let short = ctx.with_timeout(SECOND / 2);
    assert_eq!(ticker.wait(&short), Err(Stop::DeadlineExceeded));
    assert_eq!(ticker.next_due(), due);
    assert_eq!(Some(ticker.wait(&ctx).unwrap().due), due);
    time.advance(SECOND);
    assert_eq!(ticker.wait(&short), Err(Stop::DeadlineExceeded)); // even if one is due
    assert_eq!(ticker.wait(&ctx).unwrap().number, 1);
}

#[test]
fn the_shortest_and_the_longest_interval() {
    let (time, ctx) = clock();
    assert_eq!(Ticker::new(ctx.clock(), Duration::ZERO).unwrap_err().field(), "interval");
    let mut tiny = Ticker::new(ctx.clock(), Duration::from_nanos(1)).unwrap();
    time.advance(SECOND);
    assert_eq!(tiny.wait(&ctx).unwrap().missed, 999_999_999);
    let mut never = Ticker::new(ctx.clock(), Duration::MAX).unwrap();
    assert_eq!(never.next_due(), None);
    assert_eq!(never.wait(&ctx.with_timeout(SECOND)), Err(Stop::DeadlineExceeded));
    let mut once = never.at_once();
    assert!(once.wait(&ctx).is_ok());
    assert_eq!(once.next_due(), None);
}

#[test]
fn a_context_of_another_clock_counts_what_is_left() {
    let (time, _) = clock();
    let (other, ctx) = clock();
    let mut ticker = Ticker::new(&time.clock(), SECOND).unwrap();
    let start = other.now();
    let tick = ticker.wait(&ctx).unwrap();
    assert_eq!((tick.at, other.now() - start), (tick.due, SECOND));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against the times of a list: skip takes the last that has passed, burst takes each.
    #[test]
    fn ticks_are_those_of_a_list(
        interval in 1..50_u64,
        work in proptest::collection::vec(0..200_u64, 1..40),
        burst in any::<bool>(),
    ) {
        let (time, ctx) = clock();
        let (start, each) = (time.now(), Duration::from_millis(interval));
        let missed = if burst { Missed::Burst } else { Missed::Skip };
        let mut ticker = Ticker::new(ctx.clock(), each).unwrap().missed(missed);
        let (mut now, mut due, mut gone) = (0, interval, 0);
        for (n, work) in work.into_iter().enumerate() {
            now = now.max(due);
            let first = due;
            due += interval;
            while !burst && due <= now { due += interval; }
            let tick = ticker.wait(&ctx).unwrap();
            let since = |at: std::time::Instant| (at - start).as_millis() as u64;
            prop_assert_eq!((since(tick.due), since(tick.at), tick.number), (first, now, n as u64));
            gone += tick.missed + 1;
            if !burst { prop_assert_eq!(gone * interval + interval, due); }
            now += work;
            time.advance(Duration::from_millis(work));
        }
    }
}
