//! From a stream to consumers.

use crate::{Redis, garbage, root, until};
use ironsys::brokers::redis::{Server, StreamSource, StreamSourceBuilder};
use ironsys::durable::{Committer, Consumer, Delivery, Source, SourceError};
use ironsys::schedule::Backoff;
use ironsys::{Cause, Context, Stop};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) fn add(redis: &Redis, ids: std::ops::RangeInclusive<u64>) {
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.cmd("XADD")
            .arg("s")
            .arg(format!("{id}-0"))
            .arg("id")
            .arg(id)
            .arg("body")
            .arg(id)
            .ignore();
    }
    redis.pipeline(&pipe);
}

fn member(redis: &Redis, name: &str) -> StreamSourceBuilder {
    StreamSource::builder(&redis.server(), "s", "g", name)
        .retry(Backoff::fixed(Duration::from_millis(5)))
        .claim_idle(Duration::from_secs(600))
}

fn id(delivery: &Delivery) -> u64 {
    String::from_utf8_lossy(&delivery.id).parse().expect("a number")
}

/// Takes so many, and says which.
fn take(ctx: &Context, source: &mut StreamSource, count: usize) -> Vec<u64> {
    (0..count).map(|_| id(&source.recv(ctx).unwrap().unwrap())).collect()
}

#[test]
fn what_is_not_committed_comes_again_to_the_same_name() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=10);
    let mut source = member(&redis, "a").batch(4).build().unwrap();
    let mut committer = source.committer();
    assert_eq!(take(&ctx, &mut source, 6), [1, 2, 3, 4, 5, 6]);
    committer.commit(&ctx, 2).unwrap();
    drop((source, committer));
    assert_eq!(redis.pending("s", "g"), 6, "two of eight are committed");
    let mut source = member(&redis, "a").build().unwrap();
    let mut committer = source.committer();
    assert_eq!(take(&ctx, &mut source, 8), [3, 4, 5, 6, 7, 8, 9, 10]);
    committer.commit(&ctx, 8).unwrap();
    assert_eq!(redis.pending("s", "g"), 0);
}

#[test]
fn a_member_takes_over_what_a_dead_one_had() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=30);
    let mut dead = member(&redis, "dead").batch(10).build().unwrap();
    assert_eq!(take(&ctx, &mut dead, 5), [1, 2, 3, 4, 5]);
    drop(dead);
    assert_eq!(redis.pending("s", "g"), 10);
    // They are not idle for long enough when it starts: it has to look again.
    let soon = Duration::from_millis(50);
    let live = member(&redis, "live").claim_idle(soon * 4).claim_every(soon);
    let mut live = live.build().unwrap();
    let mut committer = live.committer();
    let mut all = take(&ctx, &mut live, 30);
    assert_eq!(all[..20], (11..=30).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (1..=30).collect::<Vec<_>>());
    committer.commit(&ctx, 30).unwrap();
    assert_eq!(redis.pending("s", "g"), 0);
}

#[test]
fn what_is_handed_back_is_taken_at_the_next_look() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=4);
    let mut first = member(&redis, "first").batch(2).build().unwrap();
    let mut committer = first.committer();
    assert_eq!(take(&ctx, &mut first, 2), [1, 2]);
    committer.hand_back(&[2]);
    let mut second = member(&redis, "second").build().unwrap();
    assert_eq!(take(&ctx, &mut second, 3), [2, 3, 4]);
}

#[test]
fn its_own_slow_messages_are_not_delivered_twice() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=3);
    // Everything is claimed at every look, also what is in its own hands.
    let always = member(&redis, "a").claim_idle(Duration::ZERO);
    let mut source = always.claim_every(Duration::from_millis(1)).build().unwrap();
    let mut committer = source.committer();
    assert_eq!(take(&ctx, &mut source, 3), [1, 2, 3]);
    let looks = redis.commands() + 20;
    std::thread::scope(|s| {
        let next = s.spawn(|| take(&ctx, &mut source, 1));
        until(|| redis.commands() > looks);
        add(&redis, 4..=4);
        assert_eq!(next.join().unwrap(), [4]);
    });
    committer.commit(&ctx, 4).unwrap();
    assert_eq!(redis.pending("s", "g"), 0);
}

#[test]
fn two_consumers_handle_all_over_kills_of_the_server_and_of_one_of_them() {
    let Some(mut redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let total = 2000;
    add(&redis, 1..=total);
    let seen = Mutex::new(BTreeMap::<u64, u32>::new());
    let count = || seen.lock().unwrap().len() as u64;
    let handle = |ctx: &Context, m: &Delivery| -> Result<(), Stop> {
        ctx.check()?;
        *seen.lock().unwrap().entry(id(m)).or_default() += 1;
        Ok(())
    };
    let run = |ctx: &Context, name: &str, consumer: Consumer| {
        let soon = Duration::from_millis(50);
        let source = member(&redis, name).claim_idle(soon * 10).claim_every(soon).batch(16);
        consumer.run(ctx, source.build().unwrap(), handle)
    };
    let consumer = || Consumer::builder().workers(2).in_flight(64).dedupe(10_000).build().unwrap();
    std::thread::scope(|s| {
        let (doomed, kill) = ctx.with_cancel();
        let (a, b) = (consumer(), consumer());
        let stop = a.control();
        let (a, b) = (s.spawn(|| run(&ctx, "a", a)), s.spawn(move || run(&doomed, "b", b)));
        until(|| count() > 200);
        kill.cancel();
        assert!(b.join().unwrap().is_err());
        until(|| count() == total && redis.pending("s", "g") == 0);
        stop.stop();
        a.join().unwrap().unwrap();
    });
    redis.kill();
    redis.run();
    assert_eq!(redis.pending("s", "g"), 0, "also on disk");
}

#[test]
fn a_consumer_goes_on_over_a_kill_of_the_server() {
    let Some(mut redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=1000);
    let seen = Mutex::new(Vec::new());
    let handle = |_: &Context, m: &Delivery| -> Result<(), Stop> {
        seen.lock().unwrap().push(id(m));
        Ok(())
    };
    let consumer = Consumer::builder().workers(1).in_flight(8).build().unwrap();
    let control = consumer.control();
    let source = member(&redis, "a").batch(8).build().unwrap();
    std::thread::scope(|s| {
        let ran = s.spawn(|| consumer.run(&ctx, source, handle));
        for after in [100, 400] {
            until(|| seen.lock().unwrap().len() > after);
            redis.kill();
            redis.run();
        }
        until(|| seen.lock().unwrap().contains(&1000));
        until(|| redis.pending("s", "g") == 0);
        add(&redis, 1001..=1002);
        until(|| seen.lock().unwrap().contains(&1002));
        control.stop();
        assert_eq!(ran.join().unwrap().unwrap().retries, 0);
    });
    let mut seen = seen.into_inner().unwrap();
    seen.dedup();
    assert_eq!(seen, (1..=1002).collect::<Vec<_>>(), "in order, each once");
}

#[test]
fn a_stop_ends_a_blocked_receive_at_once_and_takes_nothing() {
    let Some(redis) = Redis::start() else { return };
    add(&redis, 1..=1);
    let mut source = member(&redis, "a").build().unwrap();
    assert_eq!(take(&root().0, &mut source, 1), [1]);
    for round in 2..=5 {
        let (ctx, cancel) = root();
        std::thread::scope(|s| {
            let got = s.spawn(|| (source.recv(&ctx), Instant::now()));
            until(|| redis.blocked() == 1);
            let begun = Instant::now();
            cancel.cancel();
            let (got, ended) = got.join().unwrap();
            assert!(matches!(got, Err(SourceError::Stopped(Stop::Cancelled(Cause { .. })))));
            assert!(ended - begun < Duration::from_secs(1), "{:?}", ended - begun);
        });
        add(&redis, round..=round);
        assert_eq!(take(&root().0, &mut source, 1), [round], "the next call connects again");
    }
    let ctx = root().0.with_timeout(Duration::from_millis(20));
    assert!(matches!(source.recv(&ctx), Err(SourceError::Stopped(Stop::DeadlineExceeded))));
}

#[test]
fn an_idle_source_makes_no_wake_ups() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, cancel) = root();
    let mut source = member(&redis, "a").build().unwrap();
    std::thread::scope(|s| {
        let (tell, told) = std::sync::mpsc::channel();
        let (source, ctx) = (&mut source, &ctx);
        let waiting = s.spawn(move || {
            tell.send(std::fs::read_link("/proc/thread-self").ok()).unwrap();
            source.recv(ctx)
        });
        let thread = told.recv().unwrap();
        until(|| redis.blocked() == 1);
        let switches = || -> Option<u64> {
            let status = std::path::Path::new("/proc").join(thread.as_ref()?).join("status");
            let text = std::fs::read_to_string(status).ok()?;
            text.lines()
                .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?
                .trim()
                .parse()
                .ok()
        };
        let (commands, before) = (redis.commands(), switches());
        root().0.sleep(Duration::from_secs(1)).unwrap();
        assert_eq!(switches(), before, "context switches of the thread in 1 s");
        // Our own client says hello, names itself and asks.
        assert!(redis.commands() - commands <= 4, "{}", redis.commands() - commands);
        cancel.cancel();
        assert!(waiting.join().unwrap().is_err());
    });
}

#[test]
fn an_entry_that_was_deleted_while_it_was_pending_is_let_go() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=3);
    let mut source = member(&redis, "a").batch(2).build().unwrap();
    assert_eq!(take(&ctx, &mut source, 2), [1, 2]);
    drop(source);
    redis.query::<u64>(redis::cmd("XDEL").arg("s").arg("1-0"));
    let mut source = member(&redis, "a").build().unwrap();
    assert_eq!(take(&ctx, &mut source, 2), [2, 3]);
    assert_eq!(redis.pending("s", "g"), 2);
}

#[test]
fn a_group_that_is_deleted_is_made_again() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    add(&redis, 1..=1);
    let mut source = member(&redis, "a").build().unwrap();
    assert_eq!(take(&ctx, &mut source, 1), [1]);
    std::thread::scope(|s| {
        let next = s.spawn(|| take(&ctx, &mut source, 1));
        until(|| redis.blocked() == 1);
        redis.query::<u64>(redis::cmd("XGROUP").arg("DESTROY").arg("s").arg("g"));
        until(|| redis.blocked() == 1);
        add(&redis, 2..=2);
        assert_eq!(next.join().unwrap(), [2], "what it has in hand is not delivered twice");
    });
}

#[test]
fn a_stream_of_others_is_read_by_decode() {
    let Some(redis) = Redis::start() else { return };
    redis.query::<String>(redis::cmd("XADD").arg("s").arg("5-1").arg("temp").arg("21"));
    let decode = |e: &ironsys::brokers::redis::StreamEntry| Delivery {
        body: e.field("temp").unwrap_or_default().to_vec(),
        ..Delivery::default()
    };
    let mut source = member(&redis, "a").decode(decode).build().unwrap();
    let got = source.recv(&root().0).unwrap().unwrap();
    assert_eq!((got.position, &*got.id, &*got.body), (1, &b"5-1"[..], &b"21"[..]));
}

#[test]
fn garbage_a_wrong_kind_and_a_server_that_stays_away_are_errors() {
    let (ctx, _cancel) = root();
    let why = |server: &Server| {
        let twice = Backoff::fixed(Duration::from_millis(1)).max_attempts(2);
        let mut source = StreamSource::builder(server, "s", "g", "a").retry(twice).build().unwrap();
        match source.recv(&ctx) {
            Err(SourceError::Failed(why)) => why.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(!why(&Server::new(garbage()).unwrap()).is_empty());
    let Some(mut redis) = Redis::start() else { return };
    redis.query::<String>(redis::cmd("SET").arg("s").arg("a string"));
    assert!(why(&redis.server()).contains("WRONGTYPE"));
    redis.kill();
    assert!(why(&redis.server()).contains("refused"), "{}", why(&redis.server()));
}

#[test]
#[cfg(unix)]
fn a_listener_that_takes_no_more_holds_nobody_up() {
    use socket2::{Domain, SockAddr, Socket, Type};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let address = SockAddr::unix(&path).unwrap();
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(1).unwrap();
    let mut queue = Vec::new();
    loop {
        let one = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        one.set_nonblocking(true).unwrap();
        if one.connect(&address).is_err() {
            break;
        }
        queue.push(one);
    }
    let (ctx, _cancel) = root();
    let server = Server::new(format!("redis+unix://{}", path.display())).unwrap();
    let server = server.timeout(Duration::from_millis(50));
    let retry = Backoff::fixed(Duration::from_millis(1)).max_attempts(3);
    let mut source = StreamSource::builder(&server, "s", "g", "a").retry(retry).build().unwrap();
    match source.recv(&ctx) {
        Err(SourceError::Failed(why)) => assert!(why.to_string().contains("timed out"), "{why}"),
        other => panic!("{other:?}"),
    }
}
