//! The windows of a breaker beside a plain list of all calls.

use super::{SECOND, by_hand};
use ironsys::resilience::{Breaker, BreakerState, Trip};
use proptest::prelude::*;
use std::time::Duration;

/// failsafe makes 0 of 900 ms.
#[test]
fn a_window_shorter_than_a_second_is_a_window() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = Breaker::builder("db").trip(Trip::within(SECOND * 9 / 10, 0.5).min_calls(3));
    let breaker = breaker.clock(ctx.clock()).build().unwrap();
    for _ in 0..2 {
        breaker.try_admit().unwrap().failure();
        time.advance(Duration::from_millis(300));
    }
    assert_eq!(breaker.stats().windows[0].calls, 2);
    time.advance(Duration::from_millis(300));
    breaker.try_admit().unwrap().failure();
    assert_eq!(breaker.state(), BreakerState::Closed, "the first is 900 ms old");
    breaker.try_admit().unwrap().failure();
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Good,
    Bad,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Good),
        3 => Just(Step::Bad),
        2 => (0..400_u16).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..200)
}

/// What the rule would say of the calls so far, each with when it ended (ms) and whether it failed.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Consecutive(u32),
    Last { calls: u32, percent: u32, min: u32 },
    Within { ms: u64, percent: u32, min: u32 },
}

impl Rule {
    fn trip(self) -> Trip {
        match self {
            Rule::Consecutive(n) => Trip::consecutive(n),
            Rule::Last { calls, percent, min } => {
                Trip::last(calls, f64::from(percent) / 100.0).min_calls(min)
            }
            Rule::Within { ms, percent, min } => {
                Trip::within(Duration::from_millis(ms), f64::from(percent) / 100.0).min_calls(min)
            }
        }
    }

    /// Calls, bad ones, and whether it trips; in whole numbers.
    fn look(self, calls: &[(u64, bool)], first: u64) -> (u64, u64, bool) {
        let count = |seen: &[bool]| (seen.len() as u64, seen.iter().filter(|b| **b).count() as u64);
        let bad: Vec<bool> = calls.iter().map(|(_, bad)| *bad).collect();
        let share = |(calls, bad): (u64, u64), percent: u32, min: u32| {
            (calls, bad, calls >= u64::from(min) && bad * 100 >= calls * u64::from(percent))
        };
        match self {
            Rule::Consecutive(n) => {
                let run = bad.iter().rev().take_while(|b| **b).count() as u64;
                (run, run, run >= u64::from(n))
            }
            Rule::Last { calls, percent, min } => {
                let from = bad.len().saturating_sub(calls as usize);
                share(count(&bad[from..]), percent, min)
            }
            Rule::Within { ms, percent, min } => {
                // Tenths that begin with the first call.
                let slice = |at: u64| (at - first) / (ms / 10);
                let now = calls.last().map_or(0, |(at, _)| slice(*at));
                let recent = calls.iter().filter(|(at, _)| slice(*at) + 10 > now);
                let recent: Vec<bool> = recent.map(|(_, bad)| *bad).collect();
                share(count(&recent), percent, min)
            }
        }
    }
}

fn rules() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1..6_u32).prop_map(Rule::Consecutive),
        (1..140_u32, 1..=100_u32, 1..140_u32).prop_map(|(calls, percent, min)| Rule::Last {
            calls,
            percent,
            min: min.min(calls)
        }),
        (1..200_u64, 1..=100_u32, 1..40_u32).prop_map(|(ms, percent, min)| Rule::Within {
            ms: ms * 10,
            percent,
            min
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 400 }))]

    /// After every call the window holds what the list says, and the breaker opens when it says so.
    #[test]
    fn a_window_is_a_list_of_calls(rule in rules(), steps in steps()) {
        let (time, ctx, _cancel) = by_hand();
        let breaker = Breaker::builder("db").trip(rule.trip()).clock(ctx.clock()).build().unwrap();
        let (mut calls, mut now, mut first) = (Vec::new(), 0, 0);
        for step in steps {
            let bad = match step {
                Step::Wait(ms) => {
                    time.advance(Duration::from_millis(ms.into()));
                    now += u64::from(ms);
                    continue;
                }
                Step::Good => false,
                Step::Bad => true,
            };
            if calls.is_empty() {
                first = now;
            }
            let admission = breaker.try_admit().unwrap();
            if bad { admission.failure() } else { admission.success() }
            calls.push((now, bad));
            let (seen, failed, trips) = rule.look(&calls, first);
            let stats = breaker.stats();
            prop_assert_eq!((stats.windows[0].calls, stats.windows[0].bad), (seen, failed));
            prop_assert_eq!(stats.state == BreakerState::Open, trips);
            if trips {
                // Closed again it has forgotten them.
                breaker.reset();
                calls.clear();
            }
        }
    }
}
