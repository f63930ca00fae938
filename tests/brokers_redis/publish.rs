//! From an outbox to a stream.

use crate::{Redis, garbage, root, until};
use ironsys::brokers::redis::{Server, StreamPublisher};
use ironsys::durable::{DeadLetters, Memory, Outbox, PublishError, Publisher};
use ironsys::schedule::Backoff;
use std::sync::Arc;
use std::time::Duration;

fn outbox_of(events: std::ops::Range<u32>) -> Outbox {
    let outbox = Outbox::over(Arc::new(Memory::default())).open().expect("memory");
    append(&outbox, events);
    outbox
}

fn append(outbox: &Outbox, events: std::ops::Range<u32>) {
    outbox.append_many(&root().0, events.map(|i| i.to_string())).expect("room");
}

fn soon() -> Backoff {
    Backoff::fixed(Duration::from_millis(5))
}

#[test]
fn a_relay_over_kills_loses_nothing_doubles_nothing_and_keeps_order() {
    let Some(mut redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let outbox = outbox_of(0..1000);
    let to = StreamPublisher::builder(&redis.server(), "s").build().unwrap();
    let relay = outbox.relay(to).window(32).backoff(soon()).start(&ctx).unwrap();
    for kill in 1..=3 {
        until(|| redis.len("s") >= kill * 250);
        redis.kill();
        append(&outbox, 0..300);
        let outages = relay.stats().outages;
        until(|| relay.stats().outages > outages);
        redis.run();
    }
    let report = relay.drain(&ctx.with_timeout(Duration::from_secs(60)));
    assert!(report.error.is_none(), "{report:?}");
    assert_eq!(redis.ids("s"), (1..=1900).collect::<Vec<_>>());
}

#[test]
fn an_event_that_is_there_is_not_added_again_and_a_stranger_is_noticed() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let events: Vec<_> = {
        let mut reader = outbox_of(0..3).reader("r").unwrap();
        std::iter::from_fn(|| reader.try_next().unwrap()).collect()
    };
    let mut to = StreamPublisher::builder(&redis.server(), "s").build().unwrap();
    let mut send = |bodies: Option<&[u8]>| {
        for event in &events {
            let mut event = event.clone();
            event.body = bodies.map_or(event.body, <[u8]>::to_vec);
            to.send(&ctx, &event).unwrap();
        }
        let mut answers = Vec::new();
        to.settle(&ctx, &mut answers).unwrap();
        to.reset();
        answers
    };
    assert_eq!(send(None), [(1, Ok(())), (2, Ok(())), (3, Ok(()))]);
    assert_eq!(send(None), [(1, Ok(())), (2, Ok(())), (3, Ok(()))], "known from before");
    assert_eq!(redis.len("s"), 3);
    let strange = send(Some(b"another outbox"));
    assert!(strange.iter().all(|(_, answer)| answer.is_err()), "{strange:?}");
    redis.query::<u64>(redis::cmd("XDEL").arg("s").arg("2-0"));
    let answers = send(None);
    assert!(answers[1].1.as_ref().unwrap_err().contains("does not have it"), "{answers:?}");
    assert_eq!(redis.len("s"), 2);
}

#[test]
fn with_the_servers_ids_an_event_may_come_twice_and_says_where_it_is_from() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let to = || {
        let to = StreamPublisher::builder(&redis.server(), "s").server_ids().origin("shop");
        to.key_by(|event| event.body[..1].to_vec()).max_len(1_000_000).build().unwrap()
    };
    let outbox = outbox_of(7..9);
    drop(outbox.reader("second").unwrap()); // It begins where the outbox does now.
    for name in ["first", "second"] {
        let relay = outbox.relay(to()).name(name).start(&ctx).unwrap();
        assert!(relay.drain(&ctx.with_timeout(Duration::from_secs(20))).error.is_none());
    }
    let range = redis::cmd("XRANGE").arg("s").arg("-").arg("+").to_owned();
    let all: redis::streams::StreamRangeReply = redis.query(&range);
    let field =
        |name: &str| -> Vec<String> { all.ids.iter().map(|e| e.get(name).unwrap()).collect() };
    assert_eq!(field("id"), ["shop:1", "shop:2", "shop:1", "shop:2"]);
    assert_eq!(field("key"), ["7", "8", "7", "8"]);
}

#[test]
fn a_server_out_of_memory_is_down_and_the_order_holds() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let memory = |most: &str| {
        let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(most).to_owned();
        redis.query::<String>(&set);
    };
    memory("1");
    let outbox = outbox_of(0..500);
    let to = StreamPublisher::builder(&redis.server(), "s").build().unwrap();
    let relay = outbox.relay(to).window(16).backoff(soon()).start(&ctx).unwrap();
    until(|| relay.stats().outages >= 3 && relay.stats().is_down);
    assert_eq!(redis.len("s"), 0);
    memory("0");
    assert!(relay.drain(&ctx.with_timeout(Duration::from_secs(30))).error.is_none());
    assert_eq!(redis.ids("s"), (1..=500).collect::<Vec<_>>());
}

#[test]
fn a_body_too_large_is_a_dead_letter_and_the_rest_goes_on() {
    let Some(redis) = Redis::start() else { return };
    let (ctx, _cancel) = root();
    let outbox = outbox_of(0..1);
    outbox.append_many(&ctx, ["x".repeat(100), "y".to_owned()]).unwrap();
    let letters = DeadLetters::new(outbox_of(0..0));
    let to = StreamPublisher::builder(&redis.server(), "s").max_body(10).build().unwrap();
    let relay = outbox.relay(to).dead_letters(&letters).start(&ctx).unwrap();
    let report = relay.drain(&ctx.with_timeout(Duration::from_secs(20)));
    assert!(report.error.is_none(), "{report:?}");
    assert_eq!(redis.ids("s"), [1, 3]);
}

#[test]
fn garbage_and_a_key_of_another_kind_are_down_with_a_reason() {
    let (ctx, _cancel) = root();
    let event = outbox_of(0..1).reader("r").unwrap().try_next().unwrap().unwrap();
    let why = |server: &Server| {
        let mut to = StreamPublisher::builder(server, "s").build().unwrap();
        to.send(&ctx, &event).unwrap();
        match to.settle(&ctx, &mut Vec::new()) {
            Err(PublishError::Down(why)) => why.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(!why(&Server::new(garbage()).unwrap()).is_empty());
    let Some(redis) = Redis::start() else { return };
    redis.query::<String>(redis::cmd("SET").arg("s").arg("a string"));
    assert!(why(&redis.server()).contains("WRONGTYPE"), "{}", why(&redis.server()));
}

#[test]
fn a_stop_ends_a_publisher_that_waits_for_a_silent_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::new(format!("redis://{}", listener.local_addr().unwrap())).unwrap();
    let server = server.timeout(Duration::from_secs(600));
    let (ctx, cancel) = root();
    let event = outbox_of(0..1).reader("r").unwrap().try_next().unwrap().unwrap();
    let mut to = StreamPublisher::builder(&server, "s").build().unwrap();
    to.send(&ctx, &event).unwrap();
    std::thread::scope(|s| {
        let settled = s.spawn(|| to.settle(&ctx, &mut Vec::new()));
        let held = listener.accept().unwrap();
        cancel.cancel();
        assert!(matches!(settled.join().unwrap(), Err(PublishError::Stopped(_))));
        drop(held);
    });
}
