//! The budget beside plain sums.

use super::{SECOND, by_hand};
use ironsys::resilience::Budget;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn what_makes_no_sense_is_refused() {
    let field = |b: ironsys::resilience::BudgetBuilder| b.build().unwrap_err().field().to_owned();
    for ratio in [-0.1, 1001.0, f64::NAN, f64::INFINITY] {
        assert_eq!(field(Budget::builder().ratio(ratio)), "ratio");
    }
    assert_eq!(field(Budget::builder().burst(0)), "burst");
    let (time, ctx, _cancel) = by_hand();
    let most = Budget::builder().ratio(1000.0).burst(u32::MAX).floor_per_second(u32::MAX);
    let most = most.clock(ctx.clock()).build().unwrap();
    assert!(most.withdraw());
    most.deposit();
    time.advance(Duration::from_secs(1 << 33));
    assert_eq!(most.stats().balance, f64::from(u32::MAX));
}

#[test]
fn threads_never_take_more_than_there_is() {
    let budget = Budget::builder().ratio(0.5).floor_per_second(0).burst(100).build().unwrap();
    let taken = AtomicU64::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..1000 {
                    budget.deposit();
                    taken.fetch_add(u64::from(budget.withdraw()), Ordering::Relaxed);
                }
            });
        }
    });
    let stats = budget.stats();
    assert_eq!((stats.granted, stats.granted + stats.refused), (taken.into_inner(), 4000));
    assert!(stats.granted <= 100 + 2000);
    assert!(stats.granted as f64 + stats.balance >= 2000.0, "no more than the burst is lost");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 500 }))]

    /// Over any course of calls, retries and waits: each withdrawal is granted if and only if the sum
    /// says so, in billionths.
    #[test]
    fn a_budget_is_a_sum(
        percent in 0..200_u32,
        floor in 0..20_u32,
        burst in 1..20_u32,
        steps in proptest::collection::vec((0..3_u8, 0..3000_u64), 0..300),
    ) {
        let (time, ctx, _cancel) = by_hand();
        let budget = Budget::builder()
            .ratio(f64::from(percent) / 100.0)
            .floor_per_second(floor)
            .burst(burst)
            .clock(ctx.clock())
            .build()
            .unwrap();
        let token = 1_000_000_000_u128;
        let most = u128::from(burst) * token;
        let mut balance = most;
        let (mut extra, mut calls, mut waited) = (0_u128, 0_u128, Duration::ZERO);
        for (what, ms) in steps {
            match what {
                0 => {
                    budget.deposit();
                    calls += 1;
                    balance = (balance + u128::from(percent) * token / 100).min(most);
                }
                1 => {
                    let granted = budget.withdraw();
                    prop_assert_eq!(granted, balance >= token);
                    if granted {
                        balance -= token;
                        extra += 1;
                    }
                }
                _ => {
                    let wait = SECOND * ms as u32 / 1000;
                    time.advance(wait);
                    waited += wait;
                    balance = (balance + wait.as_nanos() * u128::from(floor)).min(most);
                }
            }
            let paid = calls * u128::from(percent) * token / 100
                + waited.as_nanos() * u128::from(floor);
            prop_assert!(extra * token <= most + paid);
        }
    }
}
