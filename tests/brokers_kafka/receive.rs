//! Members of a consumer group.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ironsys::brokers::kafka::TopicSource;
use ironsys::durable::{Committer, Consumer, Delivery, Source, SourceError};
use ironsys::{Context, channel};

use crate::{assert_in_order, cluster, receive, root, send, send_as};

/// A source whose group notices soon that a member has gone.
fn source(brokers: &str) -> TopicSource {
    TopicSource::builder(brokers, "events", "group")
        .commit_every(Duration::from_millis(20))
        .property("session.timeout.ms", "6000")
        .property("heartbeat.interval.ms", "200")
        .build()
        .unwrap()
}

#[test]
fn what_is_committed_does_not_come_again_and_the_rest_does() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 10);
    let mut first = source(&brokers);
    let mut committer = first.committer();
    let got: Vec<Delivery> = (0..6).map(|_| first.recv(&ctx).unwrap().unwrap()).collect();
    committer.commit(&ctx, got[3].position).unwrap();
    committer.hand_back(&[got[4].position, got[5].position]);
    drop((first, committer)); // Leaves the group, and sends what is committed.
    let again = receive(&ctx, source(&brokers), 6);
    assert!(again.iter().all(|m| got[..4].iter().all(|done| done.id != m.id)));
    assert_eq!(again.len(), 6, "what was handed back and the rest, once");
    assert_in_order(&again);
}

#[test]
fn members_share_the_partitions_and_one_takes_over_what_the_other_leaves() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 4);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 200);
    let (told, heard) = channel::bounded::<(usize, Delivery)>(100_000);
    let (one, end_one) = ctx.with_cancel();
    let (both, end) = ctx.with_cancel();
    let run = |ctx: &Context, member: usize| {
        let told = told.clone();
        let handle = move |ctx: &Context, message: &Delivery| {
            ctx.sleep(Duration::from_millis(1)).map_err(|e| e.to_string())?;
            told.send(ctx, (member, message.clone())).map_err(|e| e.to_string())
        };
        let consumer = Consumer::builder().workers(2).build().unwrap();
        let _ = consumer.run(ctx, source(&brokers), handle);
        Ok::<_, ironsys::Stop>(())
    };
    let counts = ironsys::scope(&ctx, |s| {
        s.execute(|_| run(&one, 0));
        s.execute(|_| run(&both, 1));
        let (mut ids, mut counts) = (BTreeSet::new(), HashMap::<usize, u64>::new());
        while ids.len() < 400 {
            let Ok((member, message)) = heard.recv(&ctx) else { break };
            ids.insert(message.id.clone());
            *counts.entry(member).or_default() += 1;
            if ids.len() == 100 && !one.is_stopped() {
                end_one.cancel();
                // More comes while the group finds out.
                s.execute(|ctx| {
                    send_as(ctx, "more", &brokers, "events", 200);
                    Ok::<_, ironsys::Stop>(())
                });
            }
        }
        end.cancel();
        assert_eq!(ids.len(), 400, "{counts:?}");
        Ok(counts)
    });
    assert!(counts.unwrap().contains_key(&1));
}

#[test]
fn what_came_before_others_were_taken_is_committed_where_the_partition_stays() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 2);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 40);
    let member = || {
        TopicSource::builder(&brokers, "events", "group")
            .commit_every(Duration::from_millis(20))
            .finish_within(Duration::ZERO)
            .property("partition.assignment.strategy", "cooperative-sticky")
            .property("session.timeout.ms", "6000")
            .property("heartbeat.interval.ms", "100")
            .build()
            .unwrap()
    };
    let mut first = member();
    let mut committer = first.committer();
    let got: Vec<Delivery> = (0..40).map(|_| first.recv(&ctx).unwrap().unwrap()).collect();
    let mut second = member();
    let _second_committer = second.committer();
    let (ctx, enough) = ctx.with_cancel();
    ironsys::scope(&ctx, |s| {
        // Asks, so that its partition can be taken.
        let asks = s.spawn(|_| Ok::<_, ironsys::Stop>((first.recv(&ctx).is_err(), first)));
        second.recv(&ctx).unwrap().unwrap();
        committer.commit(&ctx, got[39].position).unwrap();
        // Leaving the group sends what is committed.
        enough.cancel();
        let (root, _cancel) = root();
        drop((asks.join(&root).unwrap(), committer));
        // What was in the partition that has gone is there again; the other one is done with.
        send_as(&root, "more", &brokers, "events", 5);
        let (mut count, mut more) = (1, 0);
        while more < 5 {
            let message = second.recv(&root).unwrap().unwrap();
            if message.id.starts_with(b"more") { more += 1 } else { count += 1 }
        }
        assert!(count < 40, "{count}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_cancel_ends_a_receive_and_loses_nothing() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let brokers = cluster.bootstrap_servers();
    let mut source = source(&brokers);
    let _committer = source.committer();
    let (short, cancel) = ctx.with_cancel();
    let ended = std::thread::scope(|s| {
        let waits = s.spawn(|| source.recv(&short));
        cancel.cancel();
        waits.join().unwrap()
    });
    assert!(matches!(ended, Err(SourceError::Stopped(_))), "{ended:?}");
    send(&ctx, &brokers, "events", 1);
    assert_eq!(source.recv(&ctx).unwrap().unwrap().body, b"0 0");
}

#[test]
fn what_librdkafka_says_in_between_does_not_hold_up_the_messages() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 100);
    for property in [("statistics.interval.ms", "1"), ("debug", "cgrp,fetch")] {
        let source = TopicSource::builder(&brokers, "events", property.0);
        let mut source = source.property(property.0, property.1).build().unwrap();
        let _committer = source.committer();
        // Not only when it shows the group that it still asks.
        let soon = ctx.with_timeout(Duration::from_secs(20));
        for n in 0..100 {
            source.recv(&soon).unwrap_or_else(|why| panic!("{property:?} {n}: {why}"));
        }
    }
}

#[test]
fn without_a_broker_a_receive_waits_for_its_deadline_and_a_drop_for_nothing() {
    let (ctx, _cancel) = root();
    let cluster = cluster("events", 1);
    let brokers = cluster.bootstrap_servers();
    send(&ctx, &brokers, "events", 5);
    let mut joined = source(&brokers);
    let _committer = joined.committer();
    joined.recv(&ctx).unwrap().unwrap();
    cluster.broker_down(1).unwrap();
    let mut stranger = source(&brokers);
    let soon = ctx.with_timeout(Duration::from_millis(50));
    assert!(matches!(stranger.recv(&soon), Err(SourceError::Stopped(_))));
    drop((joined, stranger));
}

#[test]
fn what_cannot_be_is_an_error_that_names_the_field() {
    let at = |topic: &str, group: &str| TopicSource::builder("127.0.0.1:1", topic, group);
    let why = |builder: ironsys::brokers::kafka::TopicSourceBuilder| {
        builder.build().unwrap_err().to_string()
    };
    assert!(why(at("a/b", "g")).contains("topic"));
    assert!(why(at("t", "")).contains("group"));
    assert!(why(at("t", "g").max_pending(0)).contains("max_pending"));
    assert!(why(at("t", "g").finish_within(Duration::MAX)).contains("finish_within"));
    assert!(why(at("t", "g").property("enable.auto.commit", "false")).contains("enable.auto"));
    assert!(why(at("t", "g").property("no.such.thing", "1")).contains("no.such.thing"));
}
