//! Several ways out, several ways through, and a way that can be closed.

use crate::{root, throw};
use ironsys::channel::{self, Receiver};
use ironsys::flow::{Flow, Router, Rules, on_error};
use ironsys::resilience::{Breaker, BreakerState, Trip};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, scope};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

// ===== conflate =====

#[test]
fn a_slow_consumer_gets_merged_items_and_its_source_never_waits() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let start = ctx.clock().now();
    let made = Mutex::new(Duration::ZERO);
    let source = (0..100u64).inspect(|_| {
        ctx.sleep(Duration::from_secs(1)).unwrap();
        *made.lock().unwrap() = ctx.clock().now() - start;
    });
    let sums = Flow::of(source).conflate(|n| (n, 1), |(sum, count), n| (sum + n, count + 1));
    let mut got = Vec::new();
    sums.for_each(&ctx, |part| {
        got.push(part);
        ctx.sleep(Duration::from_millis(10_500)).unwrap();
    })
    .unwrap();
    assert_eq!(*made.lock().unwrap(), Duration::from_secs(100), "the source was held up");
    assert_eq!(got.iter().map(|part| part.0).sum::<u64>(), 4950);
    assert_eq!(got.iter().map(|part| part.1).sum::<u64>(), 100);
    assert!(got.len() <= 12, "{got:?}");
}

#[test]
fn conflate_passes_errors_panics_and_ends_on() {
    let (ctx, cancel) = root();
    let flow = Flow::of(0..9u32).try_map(|n| if n == 5 { Err("five") } else { Ok(n) });
    let error = flow.conflate(|n| n, |_, new| new).count(&ctx).unwrap_err();
    assert_eq!((error.error(), error.item()), (Some(&"five"), Some(5)));

    let error = Flow::of(0..9u32).conflate(|_| throw("first"), |(), _| ()).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("conflate", Some(0)));

    assert_eq!(Flow::of(0u32..).conflate(|n| n, |_, new| new).take(3).count(&ctx).unwrap(), 3);
    assert_eq!(Flow::of(0..0u32).conflate(|n| n, |_, new| new).count(&ctx).unwrap(), 0);

    let (_tx, rx) = channel::bounded::<u32>(1);
    let (free, _keep) = root();
    scope(&free, |s| {
        let run =
            s.spawn(|_| Ok::<_, Stop>(Flow::receiver(&rx).conflate(|n| n, |a, _| a).count(&ctx)));
        cancel.cancel();
        assert!(run.join(&free)?.unwrap_err().is_cancelled());
        Ok(())
    })
    .unwrap();
}

// ===== workers by key =====

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn items_of_a_key_keep_their_order(
        keys in prop::collection::vec(0..6u8, 0..300),
        workers in 1..5usize,
        buffer in prop::option::of(0..4usize),
    ) {
        let (ctx, _cancel) = root();
        let items: Vec<(u8, usize)> = keys.iter().copied().zip(0..).collect();
        let flow = Flow::slice(&items).map(|i| *i);
        let out = match buffer {
            None => flow.key_by(|i| i.0).par_map(workers, |i| i).collect::<Vec<_>>(&ctx),
            Some(n) => flow.buffer(n).key_by(|i| i.0).par_map(workers, |i| i).collect(&ctx),
        };
        let mut by_key: HashMap<u8, Vec<usize>> = HashMap::new();
        for (key, number) in out.unwrap() {
            by_key.entry(key).or_default().push(number);
        }
        prop_assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), items.len());
        prop_assert!(by_key.values().all(|numbers| numbers.is_sorted()));
    }
}

#[test]
fn a_key_is_never_worked_on_by_two_at_once() {
    let (ctx, _cancel) = root();
    let at_work: Vec<Mutex<()>> = (0..4).map(|_| Mutex::new(())).collect();
    let flow = Flow::of(0..2000usize).key_by(|n| n % 4).par_map(4, |n| {
        let _mine = at_work[n % 4].try_lock().expect("two at once");
        std::thread::yield_now();
        n
    });
    assert_eq!(flow.count(&ctx).unwrap(), 2000);
}

#[test]
fn workers_by_key_fail_end_and_refuse_as_others_do() {
    let (ctx, _cancel) = root();
    let error = Flow::of(0..99u32)
        .key_by(|n| *n % 3)
        .par_map(2, |n| if n == 50 { throw("fifty") } else { n })
        .count(&ctx)
        .unwrap_err();
    assert_eq!(error.panicked().map(|p| p.message()), Some("fifty"));
    let error = Flow::of(0..9u32).key_by(|_| -> u8 { throw("key") }).par_map(2, |n| n);
    let error = error.count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("key_by", Some(0)));
    assert_eq!(Flow::of(0u32..).key_by(|n| *n).par_map(3, |n| n).take(5).count(&ctx).unwrap(), 5);
    let error = Flow::of(0..9u32).key_by(|n| *n).par_map(0, |n| n).count(&ctx).unwrap_err();
    assert_eq!(error.misbuilt().map(|e| e.field()), Some("workers"));
}

// ===== tee, split, route =====

#[test]
fn a_full_tee_holds_both_up_and_a_closed_one_lets_go() {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(2);
    let copies = scope(&ctx, |s| {
        let copies = s.spawn(|ctx| Ok::<_, Stop>(rx.iter(ctx).take(50).collect::<Vec<u32>>()));
        let all = Flow::of(0..50).buffer(4).tee(&tx).collect::<Vec<_>>(&ctx)?;
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        copies.join(&ctx)
    });
    assert_eq!(copies.unwrap(), (0..50).collect::<Vec<_>>());
    rx.close();
    assert_eq!(Flow::of(0..50).tee(&tx).count(&ctx).unwrap(), 50);
}

#[test]
fn a_cancel_ends_a_tee_that_waits() {
    let (ctx, cancel) = root();
    let (tx, _rx) = channel::bounded(1);
    let flow = Flow::of(0..9u32).inspect(|n| {
        if *n == 1 {
            cancel.cancel();
        }
    });
    assert!(flow.tee(&tx).count(&ctx).unwrap_err().is_cancelled());
}

#[test]
fn splitting_hands_back_what_finds_its_output_closed() {
    let (ctx, _cancel) = root();
    let ((a, a_out), (b, b_out)) = (channel::bounded(9), channel::bounded(9));
    b_out.close();
    let split =
        Flow::of([1, 2, 30, 4]).split_to(&ctx, &[a.clone(), b.clone()], |n| usize::from(*n > 9));
    let split = split.unwrap();
    assert_eq!((split.count, split.undelivered), (2, Some(("1".into(), 30))));
    assert_eq!(a_out.drain(), [1, 2]);
    let error = Flow::of([1]).split_to(&ctx, &[a], |_| 7).unwrap_err();
    assert_eq!(error.panicked().map(|p| p.message()), Some("there is no output 7, only 1"));
}

fn drained(outputs: &[&Receiver<u32>]) -> Vec<Vec<u32>> {
    outputs.iter().map(|out| out.drain()).collect()
}

#[test]
fn rules_are_tried_in_order_and_can_be_replaced_while_items_flow() {
    let (ctx, _cancel) = root();
    let ((a, a_out), (b, b_out)) = (channel::bounded(99), channel::bounded(99));
    let first = Rules::new().when("small", |n| *n < 3, &a).when("even", |n| n % 2 == 0, &b);
    let router = Router::new(first).unwrap();
    let swap = |n: &u32| {
        if *n == 5 {
            let odd = Rules::new().when("odd", |n| n % 2 == 1, &a).otherwise("rest", &b);
            router.replace(odd).unwrap();
        }
    };
    let unmatched = Mutex::new(0);
    let watch = |n: &u32| {
        if *n == 5 {
            *unmatched.lock().unwrap() = router.stats()[2].routed;
        }
    };
    let routed = Flow::of(0..9).inspect(watch).inspect(swap).route_to(&ctx, &router).unwrap();
    assert_eq!((routed.count, routed.undelivered), (9, None));
    assert_eq!(*unmatched.lock().unwrap(), 1, "3 matched no rule");
    assert_eq!(drained(&[&a_out, &b_out]), [vec![0, 1, 2, 5, 7], vec![4, 6, 8]]);
    let stats: Vec<_> =
        router.stats().into_iter().map(|s| (s.name.to_string(), s.routed)).collect();
    assert_eq!(stats, [("odd".to_owned(), 2), ("rest".to_owned(), 2)]);
}

#[test]
fn rules_with_one_name_are_refused_and_the_old_ones_stay() {
    let (tx, _rx) = channel::bounded::<u32>(1);
    let twice = || Rules::new().when("a", |_| true, &tx).otherwise("a", &tx);
    assert_eq!(Router::new(twice()).unwrap_err().field(), "rules");
    let router = Router::new(Rules::new().when("b", |_| true, &tx)).unwrap();
    assert!(router.replace(twice()).is_err());
    assert_eq!(&*router.stats()[0].name, "b");
}

#[test]
fn a_rule_that_panics_and_an_output_that_closes_end_the_run() {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(9);
    let router =
        Router::new(Rules::new().when("bad", |n: &u32| *n < 2 || throw("no"), &tx)).unwrap();
    let error = Flow::of(0..9).route_to(&ctx, &router).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("route_to", Some(2)));
    rx.close();
    let routed = Flow::of(0..2).route_to(&ctx, &router).unwrap();
    assert_eq!((routed.count, routed.undelivered), (0, Some(("bad".into(), 0))));
}

// ===== a breaker between stages =====

#[test]
fn an_open_breaker_holds_the_stages_before_it_and_lets_probes_through() {
    let (ctx, _cancel) = Context::builder().clock(VirtualClock::auto().clock()).build();
    let breaker = Breaker::builder("down")
        .trip(Trip::consecutive(3))
        .open_for(MINUTE)
        .clock(ctx.clock())
        .build()
        .unwrap();
    let start = ctx.clock().now();
    let up_again = 2 * MINUTE + Duration::from_secs(30);
    let calls = Mutex::new(0);
    let insert = |n: u32| {
        *calls.lock().unwrap() += 1;
        if ctx.clock().now() - start < up_again { Err("down") } else { Ok(n) }
    };
    let flow = Flow::of(0..10).try_map(insert);
    let policy = on_error::breaker(&breaker).then(on_error::skip());
    let done = flow.on_error(policy).collect::<Vec<_>>(&ctx).unwrap();
    // Three fail and open it; one probe fails each minute until the third minute.
    assert_eq!(done, [5, 6, 7, 8, 9]);
    assert_eq!(ctx.clock().now() - start, 3 * MINUTE);
    assert_eq!((*calls.lock().unwrap(), breaker.state()), (10, BreakerState::Closed));
}

#[test]
fn a_cancel_ends_the_wait_for_a_breaker() {
    let (ctx, cancel) = root();
    let breaker = Breaker::builder("open").build().unwrap();
    breaker.force_open();
    let (free, _keep) = root();
    scope(&free, |s| {
        let run = s.spawn(|_| {
            let flow = Flow::of(0..9u32).try_map(Ok::<_, &str>);
            Ok::<_, Stop>(flow.on_error(on_error::breaker(&breaker)).count(&ctx))
        });
        cancel.cancel();
        assert!(run.join(&free)?.unwrap_err().is_cancelled());
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_panic_behind_a_breaker_is_a_failure_of_both() {
    let (ctx, _cancel) = root();
    let breaker = Breaker::builder("b").trip(Trip::consecutive(1)).build().unwrap();
    let flow = Flow::of(0..9u32).try_map(|n| if n == 2 { throw("two") } else { Ok::<_, &str>(n) });
    let error = flow.on_error(on_error::breaker(&breaker)).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("try_map", Some(2)));
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn what_is_diverted_needs_somewhere_to_go() {
    let (ctx, _cancel) = root();
    let breaker = Breaker::builder("open").build().unwrap();
    breaker.force_open();
    let (tx, rx) = channel::bounded(1);
    rx.close();
    let flow = Flow::of(0..9u32).try_map(Ok::<_, &str>);
    let error = flow.on_error(on_error::breaker(&breaker).or_divert(&tx)).count(&ctx).unwrap_err();
    assert!(error.to_string().contains("diverted"), "{error}");
}
