//! Delay sequences: exact at the edges, within bounds everywhere, repeatable by seed.

use ironsys::schedule::{Backoff, Jitter};
use proptest::prelude::*;
use std::time::Duration;

const LONGEST: u128 = Duration::MAX.as_nanos();

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn millis(backoff: &Backoff, n: usize) -> Vec<u128> {
    backoff.delays().take(n).map(|delay| delay.as_millis()).collect()
}

#[test]
fn each_shape_grows_as_it_says() {
    assert_eq!(millis(&Backoff::fixed(ms(10)), 4), [10, 10, 10, 10]);
    assert_eq!(millis(&Backoff::exponential(ms(10)), 5), [10, 20, 40, 80, 160]);
    assert_eq!(millis(&Backoff::exponential(ms(10)).factor(1.5), 4), [10, 15, 22, 33]);
    assert_eq!(millis(&Backoff::exponential(ms(80)).factor(0.5), 4), [80, 40, 20, 10]);
    assert_eq!(millis(&Backoff::fibonacci(ms(10)), 6), [10, 10, 20, 30, 50, 80]);
    assert_eq!(millis(&Backoff::fixed(ms(10)).factor(9.0), 2), [10, 10]);
}

#[test]
fn max_attempts_counts_the_first_one() {
    let delays = |attempts| Backoff::fixed(ms(1)).max_attempts(attempts).delays().count();
    assert_eq!([0, 1, 2, 5].map(delays), [0, 0, 1, 4]);
    let many = Backoff::fixed(ms(1)).max_attempts(u32::MAX).delays();
    assert_eq!(many.size_hint(), (u32::MAX as usize - 1, Some(u32::MAX as usize - 1)));
}

#[test]
fn max_elapsed_ends_before_the_delay_that_goes_beyond() {
    let backoff = Backoff::exponential(ms(100)).max_elapsed(ms(700));
    assert_eq!(millis(&backoff, 9), [100, 200, 400]); // 700 is not beyond 700
    assert_eq!(millis(&backoff.max_elapsed(ms(699)), 9), [100, 200]);
    let none = Backoff::fixed(ms(1)).max_elapsed(Duration::ZERO);
    assert_eq!(none.delays().next(), None);
    let at_once = Backoff::fixed(Duration::ZERO).max_elapsed(Duration::ZERO);
    assert_eq!(millis(&at_once, 3), [0, 0, 0]);
    let for_ever = Backoff::fixed(Duration::MAX).max_elapsed(Duration::MAX);
    assert_eq!(for_ever.delays().count(), 1);
}

#[test]
fn an_end_is_for_good() {
    let mut delays = Backoff::fixed(ms(10)).max_elapsed(ms(100)).delays();
    assert_eq!(delays.next_after(ms(95)), None);
    assert_eq!(delays.next_after(ms(0)), None);
    assert_eq!((delays.next(), delays.size_hint()), (None, (0, Some(0))));
    let mut delays = Backoff::fixed(ms(10)).max_elapsed(ms(100)).delays();
    assert_eq!(delays.next_after(Duration::MAX), None);
}

#[test]
fn the_longest_and_the_shortest_saturate_exactly() {
    let last = |backoff: Backoff| backoff.delays().nth(200).unwrap();
    for first in [Duration::from_nanos(1), ms(3), Duration::MAX] {
        assert_eq!(last(Backoff::exponential(first)), Duration::MAX);
        assert_eq!(last(Backoff::exponential(first).factor(1e300)), Duration::MAX);
        assert_eq!(last(Backoff::exponential(first).factor(f64::INFINITY)), Duration::MAX);
        assert_eq!(last(Backoff::exponential(first).factor(u32::MAX.into())), Duration::MAX);
        assert_eq!(last(Backoff::fibonacci(first)), Duration::MAX);
        assert_eq!(last(Backoff::exponential(first).max_delay(ms(7))), ms(7));
        for nothing in [f64::NAN, -1.0, 0.0, -0.0, f64::NEG_INFINITY] {
            let mut delays = Backoff::exponential(first).factor(nothing).delays();
            assert_eq!((delays.next(), delays.next()), (Some(first), Some(Duration::ZERO)));
        }
    }
    assert_eq!(last(Backoff::exponential(Duration::ZERO)), Duration::ZERO);
    assert_eq!(last(Backoff::exponential(Duration::ZERO).factor(f64::INFINITY)), Duration::ZERO);
    assert_eq!(last(Backoff::exponential(ms(5)).max_delay(Duration::ZERO)), Duration::ZERO);
    assert_eq!(last(Backoff::decorrelated(Duration::ZERO)), Duration::ZERO);
    assert_eq!(last(Backoff::decorrelated(Duration::MAX)), Duration::MAX);
    assert_eq!(last(Backoff::decorrelated(ms(9)).max_delay(ms(4))), ms(4));
}

#[test]
fn without_a_seed_two_sequences_differ() {
    let backoff = Backoff::fixed(Duration::from_secs(3600)).jitter(Jitter::Full);
    let draw = || backoff.delays().take(8).collect::<Vec<_>>();
    assert_ne!(draw(), draw());
    assert_eq!(backoff, backoff.clone()); // the value is the same one all the time
}

#[test]
fn jitter_uses_its_whole_range() {
    let mean = |jitter| {
        let delays = Backoff::fixed(ms(1000)).jitter(jitter).seed(1).delays();
        let sum: u128 = delays.take(4000).map(|delay| delay.as_millis()).sum();
        sum / 4000
    };
    assert!((470..530).contains(&mean(Jitter::Full)), "{}", mean(Jitter::Full));
    assert!((735..765).contains(&mean(Jitter::Equal)), "{}", mean(Jitter::Equal));
    assert_eq!(mean(Jitter::None), 1000);
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0..10_000_000_000_u64).prop_map(Duration::from_nanos),
        any::<(u64, u32)>().prop_map(|(s, n)| Duration::new(s, n % 1_000_000_000)),
    ]
}

fn backoff() -> impl Strategy<Value = Backoff> {
    let shape = prop_oneof![
        duration().prop_map(Backoff::fixed),
        duration().prop_map(Backoff::exponential),
        (duration(), any::<f64>()).prop_map(|(first, by)| Backoff::exponential(first).factor(by)),
        duration().prop_map(Backoff::fibonacci),
        duration().prop_map(Backoff::decorrelated),
    ];
    let jitter = prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal)];
    (shape, duration(), jitter, any::<u64>())
        .prop_map(|(backoff, most, jitter, seed)| backoff.max_delay(most).jitter(jitter).seed(seed))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the numbers: no panic, no end, nothing above the ceiling, the same for the same seed.
    #[test]
    fn any_backoff_keeps_its_bounds(backoff in backoff(), most in duration()) {
        let backoff = backoff.max_delay(most);
        let delays: Vec<Duration> = backoff.delays().take(300).collect();
        prop_assert_eq!(delays.len(), 300);
        prop_assert!(delays.iter().all(|delay| *delay <= most));
        prop_assert!(backoff.delays().take(300).eq(delays));
    }

    /// Doubling and adding against sums that cannot overflow.
    #[test]
    fn whole_factors_and_sums_are_exact(first in duration(), most in duration(), by in any::<u32>()) {
        let clip = |nanos: u128| nanos.min(most.as_nanos());
        let (mut product, mut a, mut b) = (first.as_nanos(), first.as_nanos(), first.as_nanos());
        let exponential = Backoff::exponential(first).factor(by.into()).max_delay(most);
        let fibonacci = Backoff::fibonacci(first).max_delay(most);
        for (e, f) in exponential.delays().zip(fibonacci.delays()).take(200) {
            prop_assert_eq!((e.as_nanos(), f.as_nanos()), (clip(product), clip(a)));
            product = (product * u128::from(by)).min(LONGEST);
            (a, b) = (b, (a + b).min(LONGEST));
        }
    }

    /// Jitter shortens a delay within its range, and changes nothing else.
    #[test]
    fn jitter_only_shortens(first in duration(), seed in any::<u64>()) {
        let plain = Backoff::exponential(first).seed(seed);
        let full = plain.clone().jitter(Jitter::Full).delays();
        let equal = plain.clone().jitter(Jitter::Equal).delays();
        for ((p, f), e) in plain.delays().zip(full).zip(equal).take(150) {
            prop_assert!(f <= p);
            prop_assert!(p / 2 <= e && e <= p);
        }
    }

    /// Each decorrelated delay lies between the base and three times the one before.
    #[test]
    fn decorrelated_delays_stay_in_their_range(base in duration(), seed in any::<u64>()) {
        let mut before = base.as_nanos();
        for delay in Backoff::decorrelated(base).seed(seed).delays().take(150) {
            let delay = delay.as_nanos();
            prop_assert!(base.as_nanos() <= delay && delay <= (before * 3).min(LONGEST));
            before = delay;
        }
    }

    /// With both limits: as many delays as fit, and not one more.
    #[test]
    fn limits_hold(backoff in backoff(), attempts in 0..50_u32, time in duration()) {
        let all: Vec<Duration> = backoff.delays().take(attempts.saturating_sub(1) as usize).collect();
        let mut sum = Duration::ZERO;
        let fits = |delay: &&Duration| match sum.checked_add(**delay) {
            Some(whole) if whole <= time => { sum = whole; true }
            _ => false,
        };
        let fitting: Vec<Duration> = all.iter().take_while(fits).copied().collect();
        let limited = backoff.max_attempts(attempts).max_elapsed(time);
        prop_assert!(limited.delays().eq(fitting));
    }
}
