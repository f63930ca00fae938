//! Rate limits: the word without a lock against the lock, turns against those who give up, one table
//! against those who come and go.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::limit::{DebtBucket, Keyed, LeakyShaper, Rate, RateError, Semaphore, TokenBucket};
use ironsys::testing::Model;
use ironsys::time::VirtualClock;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// One token a second, on a clock that stands still.
fn bucket(burst: u32) -> (TokenBucket, Context, VirtualClock) {
    let time = VirtualClock::new();
    let (ctx, _) = Context::builder().clock(time.clock()).build();
    let each = TokenBucket::builder(Rate::per_second(1), burst).clock(time.clock());
    (each.build().expect("nothing is wrong with it"), ctx, time)
}

/// Two take without a lock: as many pass as there are tokens.
#[test]
fn two_takes() {
    model("rate::two_takes", || {
        let (rate, ..) = bucket(3);
        let takes = [1, 2].map(|n| {
            let rate = rate.clone();
            spawn(move || if rate.try_acquire(n).is_ok() { n } else { 0 })
        });
        let mine = if rate.try_acquire(2).is_ok() { 2 } else { 0 };
        let taken: u32 = join_all(takes).iter().sum();
        assert_eq!(rate.available(), 3 - taken - mine);
        assert!(taken + mine >= 2);
    });
}

/// What can never pass, and a key for which there is no room: refused at once, and counted.
#[test]
fn refusals_are_counted() {
    model("rate::refusals_are_counted", || {
        let (each, ctx, _time) = bucket(1);
        let other = spawn({
            let (each, ctx) = (each.clone(), ctx.clone());
            move || each.acquire(&ctx, 9).is_err()
        });
        assert!(each.acquire(&ctx, 9).is_err() && join(other));
        assert_eq!(each.stats().refused, 2);
        let keys = Keyed::builder(&each).max_keys(1).shards(1).build().expect("one shard is one");
        keys.try_acquire(&1, 1).expect("it is new");
        assert!(keys.try_acquire(&2, 1).is_err(), "the first is not idle");
        let stats = keys.stats();
        assert_eq!((stats.evicted, stats.refused_keys), (0, 1));
    });
}

/// A take meets a change of the rate: the token that is there before and after is there during it.
#[test]
fn take_vs_rate() {
    Model::new("rate::take_vs_rate").bound(2).check(|| {
        let (rate, ..) = bucket(1);
        let changer = spawn({
            let rate = rate.clone();
            move || rate.update_rate(Rate::per_hour(7))
        });
        assert!(rate.try_acquire(1).is_ok());
        join(changer);
        assert_eq!(rate.stats().balance, 0);
    });
}

/// A take that asks for more than is there meets a change to a much faster rate: the new rate with the old
/// time, or the other way round, would let it pass.
#[test]
fn torn_plan() {
    Model::new("rate::torn_plan").bound(2).check(|| {
        let (rate, _, time) = bucket(2);
        rate.try_acquire(2).expect("it is full");
        time.advance(SECOND);
        let changer = spawn({
            let rate = rate.clone();
            move || rate.update_rate(Rate::per_second(1000))
        });
        assert!(rate.try_acquire(2).is_err(), "one has come in");
        join(changer);
        assert_eq!(rate.stats().balance, 1);
    });
}

/// A take meets a change of the burst, which leaves one token of two: it is there throughout, and once.
#[test]
fn take_vs_burst() {
    Model::new("rate::take_vs_burst").bound(2).check(|| {
        let (rate, _, time) = bucket(2);
        rate.try_acquire(2).expect("it is full");
        time.advance(SECOND);
        rate.try_acquire(0).expect("nothing is asked for");
        let changer = spawn({
            let rate = rate.clone();
            move || rate.update_burst(1)
        });
        assert!(rate.try_acquire(1).is_ok());
        join(changer);
        assert_eq!((rate.stats().balance, rate.capacity()), (0, 1));
    });
}

/// The fast side meets the beginning of a new stretch, which replaces the whole plan.
#[test]
fn take_vs_new_stretch() {
    Model::new("rate::take_vs_new_stretch").bound(2).check(|| {
        let (rate, _, time) = bucket(5);
        rate.try_acquire(5).expect("it is full");
        time.advance(SECOND * 3); // The stretch is over: somebody begins one, under the lock.
        let take = spawn({
            let rate = rate.clone();
            move || u32::from(rate.try_acquire(2).is_ok())
        });
        let taken = u32::from(rate.try_acquire(2).is_ok()) + join(take);
        assert_eq!((taken, rate.available()), (1, 1));
    });
}

/// A reservation is given back while others take: its tokens are there, once.
#[test]
fn reserve_cancel_vs_acquire() {
    model("rate::reserve_cancel_vs_acquire", || {
        let (rate, ..) = bucket(2);
        let reserved = rate.reserve(2).expect("it is full");
        let take = spawn({
            let rate = rate.clone();
            move || u32::from(rate.try_acquire(1).is_ok())
        });
        reserved.cancel();
        let mine = u32::from(rate.try_acquire(1).is_ok());
        assert_eq!(mine, 1, "two are there, and only one other");
        let taken = join(take);
        assert_eq!(rate.available(), 1 - taken);
        assert!(rate.stats().ledger.is_balanced());
    });
}

/// The turn comes just when the caller is cancelled: he has passed, or the next one moves up.
#[test]
fn turn_vs_cancel() {
    model("rate::turn_vs_cancel", || {
        let (rate, ctx, time) = bucket(1);
        rate.try_acquire(1).expect("it is full");
        let (child, cancel) = ctx.with_cancel();
        let first = spawn({
            let rate = rate.clone();
            move || rate.acquire(&child, 1).is_ok()
        });
        let canceller = spawn(move || cancel.cancel());
        time.advance(SECOND);
        let passed = join(first);
        join(canceller);
        assert_eq!(rate.available(), u32::from(!passed));
        let stats = rate.stats();
        assert!(stats.ledger.is_balanced() && stats.waiting == 0);
    });
}

/// One who waits behind a reservation moves up when it is given back, and is told: else he would sleep
/// past his turn.
#[test]
fn keeper_moves_up() {
    model("rate::keeper_moves_up", || {
        let (rate, ctx, time) = bucket(1);
        rate.try_acquire(1).expect("it is full");
        let ahead = rate.reserve(1).expect("it is not too many");
        let user = spawn({
            let rate = rate.clone();
            move || rate.acquire(&ctx, 1)
        });
        ahead.cancel();
        time.advance(SECOND); // His turn: before, it was a second later.
        assert_eq!(join(user), Ok(()));
        assert_eq!(rate.stats().balance, 0);
    });
}

/// The same with a deadline that may come first.
#[test]
fn turn_vs_deadline() {
    timed("rate::turn_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let rate = DebtBucket::new(Rate::every(SOON / 2), 1);
        rate.try_acquire(1).expect("it is full");
        let reserved = rate.reserve(1);
        let user = spawn({
            let rate = rate.clone();
            move || rate.acquire(&short, 1)
        });
        drop(reserved); // He moves up: before, his turn is at the deadline.
        match join(user) {
            Ok(()) | Err(RateError::TooLate { .. }) => {}
            Err(e) => assert!(e.stop().is_some_and(|stop| stop.is_timeout())),
        }
        assert_eq!(rate.stats().ledger.in_flight, 0);
    });
}

/// A shaper whose queue is full: as many wait as may, and each gets out.
#[test]
fn shaper_queue() {
    model("rate::shaper_queue", || {
        let time = VirtualClock::new();
        let shaper = LeakyShaper::builder(Rate::per_second(1), 1).clock(time.clock());
        let shaper = shaper.build().expect("nothing is wrong with it");
        shaper.try_acquire(1).expect("nobody waits");
        let others = [(); 2].map(|()| {
            let shaper = shaper.clone();
            spawn(move || shaper.reserve(1).map(|r| u32::from(r.try_use().is_err())))
        });
        let waited = join_all(others).into_iter().filter(Result::is_ok).count();
        assert!(waited >= 1, "there is a place");
        assert_eq!(shaper.waiting(), 0);
    });
}

/// A key is evicted while somebody comes for it: what it had used is not forgotten unless it is over.
#[test]
fn eviction_vs_use() {
    model("rate::eviction_vs_use", || {
        let (each, _, time) = bucket(1);
        let keys = Keyed::builder(&each).max_keys(1).shards(1).build().expect("one shard is one");
        keys.try_acquire(&1, 1).expect("it is new");
        time.advance(SECOND); // Idle again.
        let other = spawn({
            let keys = keys.clone();
            move || keys.try_acquire(&2, 1).is_ok()
        });
        let mine =
            u32::from(keys.try_acquire(&1, 1).is_ok()) + u32::from(keys.try_acquire(&1, 1).is_ok());
        let others = u32::from(join(other));
        assert_eq!(mine + others, 1, "one key has room, and one token");
        assert_eq!(keys.len(), 1);
    });
}

/// A waiting key is not evicted, and its turn comes.
#[test]
fn waiting_key_stays() {
    model("rate::waiting_key_stays", || {
        let (each, ctx, time) = bucket(1);
        let keys = Keyed::builder(&each).max_keys(1).shards(1).build().expect("one shard is one");
        keys.try_acquire(&1, 1).expect("it is new");
        let user = spawn({
            let (keys, ctx) = (keys.clone(), ctx.clone());
            move || keys.acquire(&ctx, &1, 1).is_ok()
        });
        let evict = spawn({
            let keys = keys.clone();
            move || keys.evict_idle()
        });
        keys.update(&TokenBucket::new(Rate::UNLIMITED, 1));
        assert!(join(user));
        join(evict);
        drop(time);
        assert!(keys.len() <= 1);
    });
}

/// The handle of a key keeps it, however it is swept.
#[test]
fn handle_vs_sweep() {
    model("rate::handle_vs_sweep", || {
        let keys = Keyed::builder(&Semaphore::new(1)).max_keys(2).shards(1).build();
        let keys = keys.expect("one shard is one");
        let inside = Count::default();
        let users = [(); 2].map(|()| {
            let (keys, inside) = (keys.clone(), inside.clone());
            spawn(move || {
                let slots = keys.get(&1).expect("there is room");
                if let Ok(permit) = slots.try_acquire(1) {
                    assert_eq!(inside.enter(), 0, "two were inside");
                    inside.leave();
                    drop(permit);
                }
            })
        });
        keys.evict_idle();
        join_all(users);
        keys.evict_idle();
        assert_eq!(keys.len(), 0);
    });
}
