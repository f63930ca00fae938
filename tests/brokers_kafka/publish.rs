//! The end of a relay.

use std::time::Duration;

use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
use ironsys::durable::{Outbox, PublishError, Publisher, Sent};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::{assert_in_order, cluster, events, receive, root, send};

#[test]
fn a_relay_fills_a_topic_and_a_consumer_empties_it_in_order_for_each_key() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 3);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 500);
    let source = TopicSource::builder(&brokers, "events", "group").build().unwrap();
    let got = receive(&ctx, source, 500);
    assert_in_order(&got);
    assert_eq!(got.len(), 500, "nothing came twice");
    assert!(got.iter().all(|m| m.key.len() == 1 && !m.id.is_empty()));
}

#[test]
fn errors_of_a_broker_are_tried_again_and_nothing_is_there_twice() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let trouble = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ];
    cluster.request_errors(RDKafkaApiKey::Produce, &trouble);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 200);
    let source = TopicSource::builder(&brokers, "events", "group").build().unwrap();
    let got = receive(&ctx, source, 200);
    assert_in_order(&got);
    assert_eq!(got.len(), 200);
}

#[test]
fn a_broker_that_is_down_is_named_and_the_relay_goes_on_when_it_is_back() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let brokers = cluster.bootstrap_servers();
    cluster.broker_down(1).unwrap();
    let mut to = TopicPublisher::builder(&brokers, "events")
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let event = events(&ctx, &[b"0 0".to_vec()]).remove(0);
    assert_eq!(to.send(&ctx, &event).unwrap(), Sent::Pending);
    let why = to.settle(&ctx, &mut Vec::new()).unwrap_err();
    assert!(matches!(why, PublishError::Down(_)) && why.to_string().contains(&brokers), "{why}");
    drop(to);

    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    // So short that no producer would be connected in time.
    let to = TopicPublisher::builder(&brokers, "events").timeout(Duration::from_millis(50));
    let relay = outbox.relay(to.build().unwrap()).start(&ctx).unwrap();
    for number in 0..50 {
        outbox.append(&ctx, format!("0 {number}").as_bytes()).unwrap();
    }
    let mut seen = relay.watcher();
    seen.wait_until(&ctx, |stats| stats.outages > 0).unwrap();
    cluster.broker_up(1).unwrap();
    assert!(relay.drain(&ctx).error.is_none());
    let source = TopicSource::builder(&brokers, "events", "group").build().unwrap();
    assert_in_order(&receive(&ctx, source, 50));
}

#[test]
fn what_is_too_large_is_rejected_and_the_next_goes_through() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let mut to = TopicPublisher::builder(cluster.bootstrap_servers(), "events")
        .property("message.max.bytes", "2000")
        .build()
        .unwrap();
    let [large, small] = events(&ctx, &[vec![b'x'; 3000], b"0 0".to_vec()]).try_into().unwrap();
    assert!(matches!(to.send(&ctx, &large), Err(PublishError::Rejected(_))));
    assert_eq!(to.send(&ctx, &small).unwrap(), Sent::Pending);
    let mut answers = Vec::new();
    to.settle(&ctx, &mut answers).unwrap();
    assert_eq!(answers, [(small.id, Ok(()))]);
}

#[test]
fn what_never_fits_the_queue_of_the_client_is_rejected_too() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let mut to = TopicPublisher::builder(cluster.bootstrap_servers(), "events")
        .property("queue.buffering.max.kbytes", "1")
        .build()
        .unwrap();
    let bodies = [b"0 0".to_vec(), vec![b'x'; 3000], b"0 1".to_vec()];
    let [first, large, last] = events(&ctx, &bodies).try_into().unwrap();
    assert_eq!(to.send(&ctx, &first).unwrap(), Sent::Pending);
    let soon = ctx.with_timeout(Duration::from_secs(20));
    assert!(matches!(to.send(&soon, &large), Err(PublishError::Rejected(_))));
    assert_eq!(to.send(&ctx, &last).unwrap(), Sent::Pending);
    let mut answers = Vec::new();
    while answers.len() < 2 {
        to.settle(&ctx, &mut answers).unwrap();
    }
    assert_eq!(answers, [(first.id, Ok(())), (last.id, Ok(()))]);
}

#[test]
fn a_cancel_ends_the_wait_for_answers() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let mut to = TopicPublisher::builder(cluster.bootstrap_servers(), "events").build().unwrap();
    cluster.broker_down(1).unwrap();
    to.send(&ctx, &events(&ctx, &[b"0 0".to_vec()])[0]).unwrap();
    let (ctx, cancel) = ctx.with_cancel();
    let ended = std::thread::scope(|s| {
        let waits = s.spawn(|| to.settle(&ctx, &mut Vec::new()));
        cancel.cancel();
        waits.join().unwrap()
    });
    assert!(matches!(ended, Err(PublishError::Stopped(_))), "{ended:?}");
}

#[test]
fn what_cannot_be_is_an_error_that_names_the_field() {
    let field = |builder: ironsys::brokers::kafka::TopicPublisherBuilder| {
        builder.build().unwrap_err().to_string()
    };
    assert!(field(TopicPublisher::builder("", "events")).contains("brokers"));
    assert!(field(TopicPublisher::builder("127.0.0.1:1", "")).contains("topic"));
    let to = || TopicPublisher::builder("127.0.0.1:1", "events");
    assert!(field(to().property("no.such.thing", "1")).contains("no.such.thing"));
    let kept = [
        ("acks", "0"),
        ("delivery.timeout.ms", "0"),
        ("queue.buffering.max.messages", "100000"),
        ("delivery.report.only.error", "true"),
        ("transactional.id", "me"),
    ];
    for (name, value) in kept {
        assert!(field(to().property(name, value)).contains(name));
    }
    let longest = to().timeout(Duration::MAX).build();
    assert!(longest.is_ok(), "{longest:?}");
    let shortest = to().timeout(Duration::ZERO).build();
    assert!(shortest.is_ok(), "{shortest:?}");
}
