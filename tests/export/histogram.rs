//! How long things take.

use ironsys::export::Histogram;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn an_empty_one_has_no_quantiles() {
    let seen = Histogram::new().snapshot();
    assert_eq!((seen.count(), seen.sum(), seen.quantile(0.5)), (0, Duration::ZERO, None));
}

#[test]
fn nothing_is_lost_among_threads() {
    let latency = Histogram::new();
    // More than have counts of their own.
    std::thread::scope(|s| {
        for thread in 0..24u64 {
            let latency = &latency;
            s.spawn(move || {
                for i in 0..1000 {
                    latency.record(Duration::from_nanos(thread * 1000 + i));
                }
            });
        }
    });
    let seen = latency.snapshot();
    assert_eq!(seen.count(), 24_000);
    assert_eq!(seen.sum(), Duration::from_nanos((0..24_000u64).sum()));
}

#[test]
fn what_is_too_long_is_in_the_last_bucket() {
    let latency = Histogram::new();
    latency.record(Duration::MAX);
    latency.record(Duration::ZERO);
    let seen = latency.snapshot();
    assert_eq!(seen.quantile(1.0), Some(Duration::from_nanos(1 << 48)));
    assert_eq!(
        (seen.quantile(0.0), seen.quantile(-1.0)),
        (Some(Duration::ZERO), Some(Duration::ZERO))
    );
    assert_eq!(seen.count_up_to(Duration::MAX), 2);
}

proptest! {
    #[test]
    fn a_quantile_is_at_most_an_eighth_too_long(
        mut nanos in prop::collection::vec(0u64..1 << 44, 1..200),
        q in 0.0f64..=1.0,
    ) {
        let latency = Histogram::new();
        nanos.iter().for_each(|n| latency.record(Duration::from_nanos(*n)));
        nanos.sort_unstable();
        let rank = ((nanos.len() as f64 * q).ceil() as usize).clamp(1, nanos.len());
        let exact = nanos[rank - 1];
        let estimate = latency.snapshot().quantile(q).unwrap().as_nanos() as u64;
        prop_assert!(estimate >= exact && estimate - exact <= exact / 8, "{estimate} for {exact}");
    }
}
