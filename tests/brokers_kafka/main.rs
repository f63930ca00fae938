//! Kafka, as librdkafka's own mock cluster has it: brokers in this process, on real sockets. A real one is
//! asked as well if `IRONSYS_KAFKA` says where it is.

mod publish;
mod receive;

use std::io::Write;
use std::time::Duration;

use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
use ironsys::durable::{Consumer, Delivery, Event, Outbox};
use ironsys::{Canceller, Context};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(topic: &str, partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(topic, partitions, 1).expect("a topic");
    cluster
}

/// A root that ends a test that hangs.
fn root() -> (Context, Canceller) {
    Context::builder().timeout(PATIENCE).build()
}

/// Sends `n` events `key number` over five keys to `topic`, by a relay; returns when all are there.
fn send(ctx: &Context, brokers: &str, topic: &str, n: u64) {
    send_as(ctx, "one", brokers, topic, n);
}

/// The same by the outbox of another name.
fn send_as(ctx: &Context, origin: &str, brokers: &str, topic: &str, n: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(dir.path()).expect("an outbox");
    let to = TopicPublisher::builder(brokers, topic)
        .origin(origin)
        .key_by(|event| event.body[..1].to_vec())
        .build()
        .expect("a publisher");
    let relay = outbox.relay(to).start(ctx).expect("a relay");
    for number in 0..n {
        outbox.append(ctx, format!("{} {number}", number % 5).as_bytes()).expect("an event");
    }
    let report = relay.drain(ctx);
    assert!(report.error.is_none(), "{report:?}");
}

/// Events with these bodies, numbered as an outbox does.
fn events(ctx: &Context, bodies: &[Vec<u8>]) -> Vec<Event> {
    let dir = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(dir.path()).expect("an outbox");
    for body in bodies {
        outbox.append(ctx, body).expect("an event");
    }
    let mut reader = outbox.reader("test").expect("a reader");
    bodies.iter().map(|_| reader.next(ctx).expect("it reads")).collect()
}

/// Receives until `n` different messages were handled, and then stops; what was handled, in order.
fn receive(ctx: &Context, source: TopicSource, n: usize) -> Vec<Delivery> {
    let (ctx, enough) = ctx.with_cancel();
    let (told, heard) = ironsys::channel::bounded(100_000);
    let handle = |ctx: &Context, message: &Delivery| told.send(ctx, message.clone());
    let got = ironsys::scope(&ctx, |s| {
        s.execute(|ctx| {
            let consumer = Consumer::builder().workers(2).build().expect("a consumer");
            let _ = consumer.run(ctx, source, handle);
            Ok::<_, ironsys::Stop>(())
        });
        let (mut got, mut ids) = (Vec::new(), std::collections::HashSet::new());
        while ids.len() < n {
            let Ok(message) = heard.recv(&ctx) else { break };
            ids.insert(message.id.clone());
            got.push(message);
        }
        enough.cancel();
        Ok(got)
    });
    got.expect("no task fails")
}

/// Panics unless the numbers of each key grow.
fn assert_in_order(got: &[Delivery]) {
    let mut last = std::collections::HashMap::new();
    for message in got {
        let text = std::str::from_utf8(&message.body).expect("text");
        let (key, number) = text.split_once(' ').expect("key and number");
        let number: u64 = number.parse().expect("a number");
        let before = last.insert(key.to_owned(), number);
        assert!(before.is_none_or(|before| before < number), "{before:?} before {text}");
    }
}

#[test]
fn a_real_broker_takes_and_gives() {
    let Some(brokers) = std::env::var_os("IRONSYS_KAFKA") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: IRONSYS_KAFKA names no broker");
        return;
    };
    let brokers = brokers.to_string_lossy();
    let (ctx, _cancel) = root();
    let topic = format!("ironsys-test-{}", std::process::id());
    send(&ctx, &brokers, &topic, 100);
    let source = TopicSource::builder(&*brokers, &topic, "test").build().expect("a source");
    assert_in_order(&receive(&ctx, source, 100));
}
