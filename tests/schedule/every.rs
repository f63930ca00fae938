//! Intervals against a sequential model: a list of due times, walked by hand.

use crate::World;
use ironsys::Context;
use ironsys::channel;
use ironsys::schedule::{Overlap, Plan};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many runs are compared.
const RUNS: usize = 25;

/// The begins of the first runs, in milliseconds. A run takes what stands next in `work`.
fn model(interval: u64, first: u64, work: &[u64], overlap: Overlap) -> Vec<u64> {
    let (mut begins, mut ends) = (Vec::new(), Vec::<u64>::new());
    let mut pending = 0;
    let begin = |at: u64, begins: &mut Vec<u64>, ends: &mut Vec<u64>| {
        ends.push(at + work[begins.len() % work.len()]);
        begins.push(at);
    };
    let mut due = first;
    while begins.len() < RUNS {
        while let Some(end) = ends.iter().copied().filter(|end| *end <= due).min() {
            ends.retain(|other| *other != end);
            if pending > 0 && ends.is_empty() {
                pending -= 1;
                begin(end, &mut begins, &mut ends);
            }
        }
        match overlap {
            _ if ends.is_empty() => begin(due, &mut begins, &mut ends),
            Overlap::Queue(most) if pending < most.get() => pending += 1,
            Overlap::Allow(most) if ends.len() < most.get() as usize => {
                begin(due, &mut begins, &mut ends);
            }
            _ => {}
        }
        due += interval;
    }
    begins.truncate(RUNS);
    begins
}

fn real(interval: u64, first: u64, work: &[u64], overlap: Overlap) -> Vec<u64> {
    let w = World::new();
    let s = w.builder().workers(4).build().unwrap();
    let (tx, rx) = channel::bounded(RUNS * 10);
    let (work, runs, start) = (work.to_vec(), AtomicUsize::new(0), w.start);
    let ms = Duration::from_millis;
    let plan = Plan::every(ms(interval)).first_after(ms(first)).overlap(overlap);
    s.add("job", plan, move |ctx: &Context| {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        let _ = tx.try_send((ctx.clock().now() - start).as_millis() as u64);
        ctx.sleep(ms(work[run % work.len()]))
    })
    .unwrap();
    (0..RUNS).map(|_| rx.recv(&w.ctx).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whole seconds for what is due, and a millisecond more for every run, so that no run ends at
    /// the very moment at which another is due.
    #[test]
    fn runs_begin_when_the_model_says(
        interval in 1..20_u64,
        first in 0..30_u64,
        work in proptest::collection::vec(0..50_u64, 1..8),
        most in 1..4_u32,
        rule in 0..3,
    ) {
        let most = NonZeroU32::new(most).unwrap();
        let overlap = match rule {
            0 => Overlap::Skip,
            1 => Overlap::Queue(most),
            _ => Overlap::Allow(most),
        };
        let work: Vec<u64> = work.iter().map(|seconds| seconds * 1000 + 1).collect();
        let (interval, first) = (interval * 1000, first * 1000);
        prop_assert_eq!(
            real(interval, first, &work, overlap),
            model(interval, first, &work, overlap)
        );
    }
}
