//! The same shapes with a broker in between: usage through JetStream to billing, events from NATS or Redis.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ironsys::Context;
use ironsys::brokers::nats::{JetStream, JetStreamPublisher, JetStreamSource, Options};
use ironsys::brokers::redis;
use ironsys::channel::Watcher;
use ironsys::durable::{Consumer, Delivery, Outbox, RelayStats, Source, StartError};
use ironsys::schedule::Backoff;
use ironsys::service::Service;

use crate::billing::Billing;
use crate::ingest::Ingest;

/// Sends usage to billing: directly, or through a stream of JetStream.
pub(crate) fn relay(
    ctx: &Context,
    service: &mut Service,
    usage: &Outbox,
    billing: Billing,
    nats: Option<&str>,
) -> Result<Watcher<RelayStats>, Box<dyn Error>> {
    let backoff = Backoff::exponential(Duration::from_millis(50)).max_delay(Duration::from_secs(1));
    let Some(url) = nats else {
        let relay = service.start("relay", |ctx| {
            let relay = usage.relay(billing).name("billing").backoff(backoff).start(ctx)?;
            let stats = relay.watcher();
            Ok::<_, StartError>((relay, stats))
        })?;
        return Ok(relay);
    };
    let options = Options::new([url])?.name("ironsys");
    {
        let ctx = ctx.with_timeout(Duration::from_secs(10));
        let stream = JetStream::connect(&ctx, options.clone())
            .and_then(|mut jetstream| jetstream.ensure_stream(&ctx, "USAGE", &["usage.>"]));
        stream.map_err(|e| format!("there is no JetStream at {url}: {e}"))?;
    }
    // The receiver is drained after the relay: what that sends last, it still gets.
    let billing = Mutex::new(billing);
    let from = options.clone();
    service.spawn("billing", move |ctx| {
        let source = JetStreamSource::open(ctx, from, "USAGE", "billing")?;
        let retry =
            Backoff::exponential(Duration::from_millis(50)).max_delay(Duration::from_secs(1));
        let consumer = Consumer::builder().workers(1).in_flight(256).retry(retry).build()?;
        let receive = |_: &Context, use_: &Delivery| {
            let id = std::str::from_utf8(&use_.id).ok().and_then(|id| id.rsplit('-').next());
            let id = id.and_then(|id| id.parse().ok()).ok_or("the message has no number")?;
            let mut billing = billing.lock().unwrap_or_else(PoisonError::into_inner);
            billing.receive(id, &use_.body)
        };
        consumer.run(ctx, source, receive).map(drop).map_err(Box::<dyn Error>::from)
    })?;
    let relay = service.start("relay", |ctx| {
        let publisher = JetStreamPublisher::new(options, "usage.billing", "usage");
        let relay = usage.relay(publisher).name("billing").backoff(backoff).start(ctx)?;
        let stats = relay.watcher();
        Ok::<_, StartError>((relay, stats))
    })?;
    Ok(relay)
}

/// Ingests the messages of a stream of JetStream, `EVENTS` with the subjects `events.>`.
pub(crate) fn from_nats(ctx: &Context, ingest: &Ingest, url: &str) -> Result<(), Box<dyn Error>> {
    let options = Options::new([url])?.name("ironsys-ingest");
    JetStream::connect(ctx, options.clone())?.ensure_stream(ctx, "EVENTS", &["events.>"])?;
    consume(ctx, ingest, JetStreamSource::open(ctx, options, "EVENTS", "ironsys")?)
}

/// Ingests the entries of the Redis stream `events`.
pub(crate) fn from_redis(ctx: &Context, ingest: &Ingest, url: &str) -> Result<(), Box<dyn Error>> {
    let server = redis::Server::new(url)?;
    let name = format!("ironsys-{}", std::process::id());
    let source = redis::StreamSource::builder(&server, "events", "ironsys", name).build()?;
    consume(ctx, ingest, source)
}

/// A message has one event a line. It is committed when all its events have a place in the queue: as long
/// as there is none the broker keeps the rest.
fn consume(ctx: &Context, ingest: &Ingest, source: impl Source) -> Result<(), Box<dyn Error>> {
    let consumer = Consumer::builder().workers(2).in_flight(256).dedupe(10_000).build()?;
    let put = |ctx: &Context, message: &Delivery| {
        let text = String::from_utf8_lossy(&message.body);
        text.lines().try_for_each(|line| ingest.put(ctx, line))
    };
    match consumer.run(ctx, source, put) {
        Err(error) if !ctx.is_stopped() => Err(error.into()),
        _ => Ok(()),
    }
}
