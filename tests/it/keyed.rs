//! Keyed limits: bounded, evicting only what is idle, and each key as its limit would be alone.

use crate::until;
use ironsys::limit::{Keyed, Rate, RateError, Semaphore, SlidingWindow, TokenBucket, TryRateError};
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use proptest::prelude::*;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn on(time: &VirtualClock) -> (Context, Canceller) {
    Context::builder().clock(time.clock()).build()
}

fn bucket(time: &VirtualClock, burst: u32) -> TokenBucket {
    TokenBucket::builder(Rate::per_second(1), burst).clock(time.clock()).build().unwrap()
}

#[test]
fn each_key_has_its_own() {
    let time = VirtualClock::new();
    let keys = Keyed::builder(&bucket(&time, 2)).hasher(RandomState::new()).build().unwrap();
    for name in ["a", "b"].map(String::from) {
        keys.try_acquire(&name, 2).unwrap();
        assert_eq!(keys.try_acquire(&name, 1), Err(TryRateError::NotYet { wait: SECOND }));
        assert_eq!(
            keys.try_acquire(&name, 3),
            Err(TryRateError::TooMany { asked: 3, capacity: 2 })
        );
    }
    keys.try_acquire(&"c".into(), 0).unwrap();
    assert_eq!((keys.len(), keys.is_empty(), keys.stats().evicted), (2, false, 0));
}

#[test]
fn only_idle_keys_make_room() {
    let time = VirtualClock::new();
    for shards in [1, 4] {
        let keys = Keyed::builder(&bucket(&time, 3)).max_keys(3).shards(shards).build().unwrap();
        (1..=3).for_each(|key| keys.try_acquire(&key, key).unwrap());
        assert_eq!(keys.try_acquire(&4, 1), Err(TryRateError::TooManyKeys));
        assert_eq!(keys.reserve(&4, 1).unwrap_err(), RateError::TooManyKeys);
        time.advance(SECOND); // Key 1 is full again, and as good as new.
        keys.try_acquire(&4, 1).unwrap();
        assert_eq!(keys.try_acquire(&5, 1), Err(TryRateError::TooManyKeys));
        assert_eq!((keys.len(), keys.stats().evicted), (3, 1));
        assert_eq!(keys.try_acquire(&3, 2), Err(TryRateError::NotYet { wait: SECOND }), "kept");
        time.advance(SECOND * 10);
        assert_eq!((keys.evict_idle(), keys.len()), (3, 0));
    }
}

#[test]
fn a_key_that_is_waited_for_or_reserved_stays() {
    let time = VirtualClock::new();
    let (ctx, cancel) = on(&time);
    let keys = Keyed::builder(&bucket(&time, 1)).max_keys(1).build().unwrap();
    let reserved = keys.reserve(&1, 1).unwrap();
    time.advance(SECOND * 100);
    assert_eq!(keys.try_acquire(&2, 1), Err(TryRateError::TooManyKeys));
    reserved.cancel();
    keys.try_acquire(&2, 1).unwrap();
    thread::scope(|s| {
        let call = s.spawn(|| keys.acquire(&ctx, &2, 1));
        until(|| keys.in_flight(&2) == 1);
        assert!(keys.try_acquire(&2, 1).is_err(), "nobody overtakes");
        assert_eq!(keys.evict_idle(), 0);
        until(|| time.pending() == 1);
        time.advance(SECOND);
        assert_eq!(call.join().unwrap(), Ok(()));
        let call = s.spawn(|| keys.acquire(&ctx, &2, 1));
        until(|| time.pending() == 1);
        cancel.cancel();
        assert!(call.join().unwrap().unwrap_err().stop().is_some());
    });
    assert_eq!(keys.in_flight(&2), 0);
    time.advance(SECOND);
    assert_eq!(keys.evict_idle(), 1);
}

#[test]
fn a_deadline_nearer_than_the_turn_fails_at_once() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let keys = Keyed::builder(&bucket(&time, 5)).build().unwrap();
    keys.try_acquire(&1, 5).unwrap();
    let hurried = ctx.with_timeout(SECOND);
    assert_eq!(keys.acquire(&hurried, &1, 2), Err(RateError::TooLate { wait: SECOND * 2 }));
    assert_eq!(keys.acquire(&ctx, &1, 6), Err(RateError::TooMany { asked: 6, capacity: 5 }));
}

#[test]
fn all_keys_change_together_and_keep_what_they_have() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let keys = Keyed::builder(&bucket(&time, 10)).build().unwrap();
    keys.try_acquire(&1, 6).unwrap();
    keys.try_acquire(&2, 10).unwrap();
    thread::scope(|s| {
        let call = s.spawn(|| keys.acquire(&ctx, &2, 9));
        until(|| keys.in_flight(&2) == 1);
        keys.update(&bucket(&time, 5));
        let too_many = RateError::TooMany { asked: 9, capacity: 5 };
        assert_eq!(call.join().unwrap(), Err(too_many));
    });
    assert_eq!(keys.try_acquire(&1, 5), Err(TryRateError::NotYet { wait: SECOND }));
    keys.try_acquire(&1, 4).unwrap();
    keys.try_acquire(&3, 5).unwrap();
    assert_eq!(keys.try_acquire(&4, 6), Err(TryRateError::TooMany { asked: 6, capacity: 5 }));
}

#[test]
fn windows_and_semaphores_have_keys_too() {
    let time = VirtualClock::new();
    let each = SlidingWindow::builder(2, SECOND).clock(time.clock()).build().unwrap();
    let windows = Keyed::builder(&each).max_keys(1).build().unwrap();
    windows.try_acquire(&'a', 2).unwrap();
    assert_eq!(windows.try_acquire(&'a', 1), Err(TryRateError::NotYet { wait: SECOND }));
    assert_eq!(windows.try_acquire(&'b', 1), Err(TryRateError::TooManyKeys));
    time.advance(SECOND);
    windows.try_acquire(&'b', 1).unwrap();

    let slots = Keyed::builder(&Semaphore::new(1)).max_keys(1).build().unwrap();
    let permit = slots.get(&1).unwrap().try_acquire(1).unwrap();
    assert!(slots.get(&1).unwrap().try_acquire(1).is_err());
    assert!(slots.get(&2).is_err());
    drop(permit);
    assert!(slots.get(&2).is_ok());
    assert_eq!(slots.stats().refused_keys, 1);
}

#[test]
fn builders_are_checked() {
    let each = TokenBucket::new(Rate::per_second(1), 1);
    let builder = || Keyed::<u8, _>::builder(&each);
    assert_eq!(builder().max_keys(0).build().unwrap_err().field(), "max_keys");
    for wrong in [0, 3, usize::MAX] {
        assert_eq!(builder().shards(wrong).build().unwrap_err().field(), "shards");
    }
    assert!(builder().max_keys(usize::MAX).build().unwrap().try_acquire(&1, 1).is_ok());
}

/// 000-8: the seed's table was one mutex without eviction; a shared one without any was a race.
///
/// 000-9: shared state that is hot.
#[test]
fn many_threads_share_a_small_table() {
    let each = TokenBucket::new(Rate::per_hour(1), 100);
    let keys = Keyed::builder(&each).max_keys(64).shards(4).build().unwrap();
    let passed = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for i in 0..4_000_u32 {
                    passed.fetch_add(
                        keys.try_acquire(&(i % 64), 1).is_ok().into(),
                        Ordering::Relaxed,
                    );
                    let stranger = keys.try_acquire(&(64 + i), 1);
                    assert!(keys.len() < 64 || stranger.is_err() || keys.len() == 64);
                    assert!(keys.len() <= 64);
                }
            });
        }
    });
    // No key was idle in between, so none was forgotten: 100 each, of the 64 that got in.
    assert!(passed.into_inner() <= 64 * 100);
    assert_eq!((keys.stats().evicted, keys.len()), (0, 64));
}

proptest! {
    /// A table with room behaves as a limit for each key; one without room refuses, but never forgets
    /// what counts.
    #[test]
    fn a_table_is_a_limit_for_each_key(
        calls in prop::collection::vec((0..8_u8, 0..5_u32, 0..2_000_000_000_u64), 1..120),
        max in 1..10_usize,
        shards in 0..3_u32,
    ) {
        let time = VirtualClock::new();
        let keys = Keyed::builder(&bucket(&time, 4)).max_keys(max).shards(1 << shards).build().unwrap();
        let mut alone: HashMap<u8, TokenBucket> = HashMap::new();
        for (key, n, step) in calls {
            time.advance(Duration::from_nanos(step));
            let one = alone.entry(key).or_insert_with(|| bucket(&time, 4));
            match keys.try_acquire(&key, n) {
                Err(TryRateError::TooManyKeys) => {
                    prop_assert_eq!(one.available(), 4, "a key that is in use is in the table");
                    let busy = alone.values().filter(|limit| limit.available() < 4 || limit.used() > 0);
                    prop_assert!(busy.count() >= max);
                }
                passed => prop_assert_eq!(passed, one.try_acquire(n)),
            }
            prop_assert!(keys.len() <= max);
        }
    }
}
