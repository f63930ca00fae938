//! The limit that processes share.

use crate::{Redis, garbage, root, until};
use ironsys::brokers::redis::{
    Passed, Server, SharedLimit, SharedLimitBuilder, SharedLimitError, WhenAway,
};
use ironsys::limit::Rate;
use std::time::{Duration, Instant};

fn limit(server: &Server) -> SharedLimitBuilder {
    SharedLimit::builder(server, "api", Rate::per_second(100), 10)
        .timeout(Duration::from_secs(5))
        .retry_every(Duration::ZERO)
}

/// Calls as fast as it goes, in four threads, for so long; returns how many passed and in what time. A
/// server that is away is what the test is about, or it is not.
fn hammer(limits: &[SharedLimit], time: Duration, may_be_away: bool) -> (u64, Duration) {
    let (ctx, _cancel) = root();
    let begun = Instant::now();
    let passed = std::thread::scope(|s| {
        let calls = limits.iter().cycle().take(4).map(|limit| {
            let ctx = &ctx;
            s.spawn(move || {
                let mut passed = 0;
                while begun.elapsed() < time {
                    match limit.try_acquire(ctx, "k", 1) {
                        Ok(Passed::Away) if !may_be_away => panic!("it is there"),
                        Ok(_) => passed += 1,
                        Err(SharedLimitError::NotYet { .. }) => {}
                        Err(SharedLimitError::Away(_)) if may_be_away => {}
                        Err(e) => panic!("{e}"),
                    }
                }
                passed
            })
        });
        let calls: Vec<_> = calls.collect();
        calls.into_iter().map(|call| call.join().unwrap()).sum()
    });
    (passed, begun.elapsed())
}

/// `rate * time + burst`, for the rate of 100 a second.
fn bound(time: Duration, burst: f64) -> f64 {
    100.0 * time.as_secs_f64() + burst
}

#[test]
fn four_threads_of_two_processes_stay_within_the_rate_and_get_it() {
    let Some(redis) = Redis::start() else { return };
    let two = [limit(&redis.server()).build().unwrap(), limit(&redis.server()).build().unwrap()];
    let (passed, time) = hammer(&two, Duration::from_secs(2), false);
    assert!(passed as f64 <= bound(time, 10.0) + 1.0, "{passed} in {time:?}");
    // Some 200; less where nobody gets to call for longer than the burst lasts, 100 ms.
    assert!(passed >= 120, "{passed} in {time:?}");
}

#[test]
fn leases_pass_at_most_one_lease_more() {
    let Some(redis) = Redis::start() else { return };
    let leasing = || limit(&redis.server()).lease(5).build().unwrap();
    let commands = redis.commands();
    let (passed, time) = hammer(&[leasing(), leasing()], Duration::from_secs(2), false);
    assert!(passed as f64 <= bound(time, 10.0 + 5.0) + 1.0, "{passed} in {time:?}");
    assert!(passed >= 100, "{passed} in {time:?}");
    // One after the other: what was leased is spent without asking.
    let (ctx, _cancel) = root();
    let hour = SharedLimit::builder(&redis.server(), "h", Rate::per_hour(10), 10).lease(5);
    let hour = hour.connections(1).build().unwrap();
    let before = redis.commands();
    assert!(before > commands);
    let passed: Vec<_> = (0..10).map(|_| hour.try_acquire(&ctx, "k", 1).unwrap()).collect();
    assert_eq!(passed.iter().filter(|p| **p == Passed::Shared).count(), 2, "{passed:?}");
    assert_eq!(passed.iter().filter(|p| **p == Passed::Leased).count(), 8, "{passed:?}");
    assert!(hour.try_acquire(&ctx, "k", 1).unwrap_err().retry_after().is_some());
}

#[test]
fn keys_are_apart_and_a_refusal_says_when() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let slow =
        SharedLimit::builder(&redis.server(), "slow", Rate::per_hour(60), 3).build().unwrap();
    assert_eq!(slow.try_acquire(&ctx, "a", 2).unwrap(), Passed::Shared);
    let wait = slow.try_acquire(&ctx, "a", 3).unwrap_err().retry_after().unwrap();
    assert!((115..=120).contains(&wait.as_secs()), "two more, one a minute: {wait:?}");
    assert_eq!(slow.try_acquire(&ctx, "a", 1).unwrap(), Passed::Shared, "a refusal took nothing");
    slow.try_acquire(&ctx, "b", 3).unwrap();
    let too_many = slow.try_acquire(&ctx, "c", 4).unwrap_err();
    assert!(matches!(too_many, SharedLimitError::TooMany { asked: 4, burst: 3 }), "{too_many}");
    slow.try_acquire(&ctx, "a", 0).unwrap();
    let left: i64 = redis.query(redis::cmd("PTTL").arg("slow:{a}"));
    assert!((170_000..=180_000).contains(&left), "it vanishes when it is full again: {left}");
}

#[test]
fn after_the_time_it_said_it_passes() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let limit = limit(&redis.server()).build().unwrap();
    limit.try_acquire(&ctx, "k", 10).unwrap();
    for _ in 0..20 {
        let Err(e) = limit.try_acquire(&ctx, "k", 3) else { continue };
        ctx.sleep(e.retry_after().unwrap() + Duration::from_micros(100)).unwrap();
        assert_eq!(limit.try_acquire(&ctx, "k", 3).unwrap(), Passed::Shared);
    }
}

#[test]
fn a_server_that_forgets_the_script_is_told_again_and_its_clock_may_go_back() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let limit = limit(&redis.server()).build().unwrap();
    limit.try_acquire(&ctx, "k", 1).unwrap();
    redis.query::<String>(redis::cmd("SCRIPT").arg("FLUSH"));
    assert_eq!(limit.try_acquire(&ctx, "k", 1).unwrap(), Passed::Shared);
    // Full in a year, says a clock that was ahead: it is empty, and no more.
    redis.query::<String>(redis::cmd("SET").arg("api:{k}").arg("9000000000000000"));
    let wait = limit.try_acquire(&ctx, "k", 1).unwrap_err().retry_after().unwrap();
    assert!(wait <= Duration::from_millis(10), "{wait:?}");
}

#[test]
fn when_the_server_is_killed_each_policy_does_what_it_says() {
    let Some(mut redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let server = redis.server();
    let make = |policy| limit(&server).when_away(policy).build().unwrap();
    let open = make(WhenAway::FailOpen);
    let closed = make(WhenAway::FailClosed);
    let local = make(WhenAway::Local { instances: 4 });
    for (i, limit) in [&open, &closed, &local].into_iter().enumerate() {
        assert_eq!(limit.try_acquire(&ctx, i.to_string(), 1).unwrap(), Passed::Shared);
    }
    redis.kill();
    assert!((0..100).all(|_| open.try_acquire(&ctx, "k", 10).unwrap() == Passed::Away));
    assert!(closed.try_acquire(&ctx, "k", 1).unwrap_err().is_away());
    // A quarter of 100 a second, and of the burst of 10, rounded up.
    let (passed, time) = hammer(std::slice::from_ref(&local), Duration::from_millis(500), true);
    assert!(passed as f64 <= 25.0 * time.as_secs_f64() + 3.0 + 1.0, "{passed} in {time:?}");
    assert!(passed >= 10, "{passed} in {time:?}");
    assert!(local.try_acquire(&ctx, "new", 4).unwrap_err().is_away(), "more than its share");
    redis.run();
    for limit in [&open, &closed, &local] {
        until(|| matches!(limit.try_acquire(&ctx, "back", 1), Ok(Passed::Shared)));
    }
}

#[test]
fn killed_and_back_in_the_midst_the_bound_holds() {
    let Some(mut redis) = Redis::start() else { return };
    for policy in [WhenAway::FailClosed, WhenAway::Local { instances: 2 }] {
        let two = [0, 1].map(|_| limit(&redis.server()).when_away(policy).build().unwrap());
        let (passed, time) = std::thread::scope(|s| {
            let hammering = s.spawn(|| hammer(&two, Duration::from_millis(1500), true));
            let (ctx, _cancel) = root();
            for _ in 0..2 {
                ctx.sleep(Duration::from_millis(300)).unwrap();
                redis.kill();
                ctx.sleep(Duration::from_millis(200)).unwrap();
                redis.run();
            }
            hammering.join().unwrap()
        });
        // Twice away: each time the buckets of the processes, and the burst of Redis once more.
        let more = if policy == WhenAway::FailClosed { 0.0 } else { 2.0 * (20.0 + 2.0) };
        assert!(
            passed as f64 <= bound(time, 10.0 + more) + 1.0,
            "{policy:?}: {passed} in {time:?}"
        );
        assert!(passed >= 50, "{policy:?}: {passed} in {time:?}");
        redis.query::<String>(&redis::cmd("FLUSHALL"));
    }
}

#[test]
fn a_silent_server_and_garbage_are_away_and_a_stop_ends_the_wait() {
    let (ctx, cancel) = root();
    let rubbish = limit(&Server::new(garbage()).unwrap()).build().unwrap();
    assert!(rubbish.try_acquire(&ctx, "k", 1).unwrap_err().is_away());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Server::new(format!("redis://{}", listener.local_addr().unwrap())).unwrap();
    let short = limit(&silent).timeout(Duration::from_millis(20)).build().unwrap();
    assert!(short.try_acquire(&ctx, "k", 1).unwrap_err().is_away());
    drop(listener.accept());
    let long = limit(&silent).timeout(Duration::from_secs(600)).connections(1).build().unwrap();
    std::thread::scope(|s| {
        // The second waits for the connection of the first.
        let calls = [0, 1].map(|_| s.spawn(|| long.try_acquire(&ctx, "k", 1)));
        let held = listener.accept();
        cancel.cancel();
        for call in calls {
            let why = call.join().unwrap().unwrap_err();
            assert!(matches!(why, SharedLimitError::Stopped(_)), "{why}");
        }
        drop(held);
    });
}

#[test]
fn what_cannot_be_is_not_built() {
    let server = Server::new("redis://127.0.0.1:1").unwrap();
    let field = |rate, burst, f: fn(SharedLimitBuilder) -> SharedLimitBuilder| {
        let built = f(SharedLimit::builder(&server, "l", rate, burst)).build();
        built.err().map_or("none", |e| e.field())
    };
    let hundred = Rate::per_second(100);
    assert_eq!(field(Rate::ZERO, 1, |b| b), "rate");
    assert_eq!(field(Rate::UNLIMITED, 1, |b| b), "rate");
    assert_eq!(field(Rate::per_second(1_000_001), 1, |b| b), "rate");
    assert_eq!(field(hundred, 0, |b| b), "burst");
    assert_eq!(field(Rate::every(Duration::MAX), 1, |b| b), "burst");
    assert_eq!(field(hundred, 9, |b| b.lease(10)), "lease");
    assert_eq!(field(hundred, 9, |b| b.lease(0)), "lease");
    assert_eq!(field(hundred, 9, |b| b.connections(0)), "connections");
    assert_eq!(field(hundred, 9, |b| b.when_away(WhenAway::Local { instances: 0 })), "when_away");
    assert_eq!(field(hundred, 9, |b| b.lease(9)), "none");
}
