//! JetStream parts against a server of one's own: the relay beside a bare pipelined publisher, and 1, 2
//! and 4 processes on one durable consumer. `cargo bench --features nats --bench nats`; needs
//! `nats-server`. The handler takes 1 ms of sleep, as one that asks a database would: processes then add
//! up. The rows are those of `benches/peers`.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

#[path = "nats/bare.rs"]
mod bare;

use ironsys::brokers::nats::{JetStream, JetStreamPublisher, JetStreamSource, NatsError, Options};
use ironsys::durable::{Consumer, Delivery, Outbox};
use ironsys::{BuildError, Context};
use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

const MEMBER: &str = "IRONSYS_BENCH_MEMBER";
const PORT: u16 = 16_422;
/// Of a round of the relay.
const EVENTS: u64 = 20_000;
const ROUNDS: usize = 9;
/// The window of a relay unless it is set.
const WINDOW: usize = 512;
const SUBJECT: &str = "s.all";
const BAR: f64 = 0.9;

fn main() -> Fallible {
    if std::env::var(MEMBER).is_ok() {
        return consume();
    }
    let dir = tempfile::tempdir()?;
    let mut nats = Command::new("nats-server")
        .args(["-a", "127.0.0.1", "-p", &PORT.to_string(), "-js", "-sd"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .spawn()?;
    let measured = measure();
    nats.kill()?;
    nats.wait()?;
    measured
}

fn options() -> Result<Options, BuildError> {
    Options::new([format!("127.0.0.1:{PORT}")])
}

fn measure() -> Fallible {
    let (ctx, _cancel) = Context::root();
    let mut jetstream = JetStream::connect(&ctx.with_timeout(Duration::from_secs(10)), options()?)?;
    println!("case\tpeer\tpeer version\tours\tpeer's\tunit\tours/peer's\tbar\tverdict");
    relay_and_bare(&ctx, &mut jetstream)?;
    for members in [1, 2, 4] {
        let each = group(&ctx, &mut jetstream, members)?;
        println!("consumers_jetstream_{members}\t-\t-\t{each:.0}\t-\tevents/s\t-\t-\tok");
    }
    Ok(())
}

// ===== the relay =====

fn relay_and_bare(ctx: &Context, jetstream: &mut JetStream) -> Fallible {
    let mut rates = [const { Vec::new() }; 3];
    let bodies = bodies();
    for round in 0..=ROUNDS {
        for (side, rates) in rates.iter_mut().enumerate() {
            fresh(ctx, jetstream)?;
            let prefix = format!("{round}-{side}");
            let time = match side {
                0 => relay(ctx, &prefix, &bodies)?,
                1 => bare::client(ctx, &prefix, &bodies)?,
                _ => bare::socket(PORT, &prefix, &bodies)?,
            };
            check(ctx, jetstream)?;
            // The first round warms up.
            if round > 0 {
                rates.push(EVENTS as f64 / time.as_secs_f64());
            }
        }
    }
    let [ours, client, socket] = rates.map(median);
    for (peer, theirs) in [("pipelined client", client), ("pipelined socket", socket)] {
        let ratio = ours / theirs;
        let verdict = if ratio >= BAR { "ok" } else { "short" };
        println!(
            "relay_jetstream\t{peer}\t-\t{ours:.0}\t{theirs:.0}\tevents/s, more is better\t{ratio:.3}\t>= {BAR}\t{verdict}"
        );
    }
    Ok(())
}

fn bodies() -> Vec<String> {
    (0..EVENTS).map(|i| format!("{i:0100}")).collect()
}

/// The stream, empty and new.
fn fresh(ctx: &Context, jetstream: &mut JetStream) -> Result<(), NatsError> {
    jetstream.client().request(ctx, "$JS.API.STREAM.DELETE.S", b"")?;
    jetstream.ensure_stream(ctx, "S", &["s.>"])
}

/// The stream has every event, once.
fn check(ctx: &Context, jetstream: &mut JetStream) -> Fallible {
    let has = jetstream.len(ctx, "S")?;
    if has == EVENTS { Ok(()) } else { Err(format!("the stream has {has} of {EVENTS}").into()) }
}

fn relay(ctx: &Context, prefix: &str, bodies: &[String]) -> Fallible<Duration> {
    let dir = tempfile::tempdir()?;
    let outbox = Outbox::open(dir.path())?;
    outbox.append_many(ctx, bodies)?;
    let publisher = JetStreamPublisher::new(options()?, SUBJECT, prefix);
    let begun = Instant::now();
    let report = outbox.relay(publisher).window(WINDOW).start(ctx)?.drain(ctx);
    let time = begun.elapsed();
    report.error.map_or(Ok(time), |e| Err(e.into()))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

// ===== consumers in processes =====

/// Runs so many processes until the consumer has no more, and every message is acked.
fn group(ctx: &Context, jetstream: &mut JetStream, members: usize) -> Fallible<f64> {
    fresh(ctx, jetstream)?;
    bare::socket(PORT, &format!("g{members}"), &bodies())?;
    jetstream.ensure_consumer(ctx, "S", "g", Duration::from_secs(30))?;
    let spawn = |i: usize| -> std::io::Result<Child> {
        let me = std::env::current_exe()?;
        Command::new(me).env(MEMBER, i.to_string()).stdout(Stdio::null()).spawn()
    };
    let begun = Instant::now();
    let mut children = (0..members).map(spawn).collect::<Result<Vec<_>, _>>()?;
    loop {
        let info = jetstream.client().request(ctx, "$JS.API.CONSUMER.INFO.S.g", b"")?;
        let info: serde_json::Value = serde_json::from_slice(&info.payload)?;
        if info["ack_floor"]["stream_seq"] == EVENTS {
            break;
        }
        ctx.sleep(Duration::from_millis(5))?;
    }
    let time = begun.elapsed();
    for child in &mut children {
        child.kill()?;
        child.wait()?;
    }
    Ok(EVENTS as f64 / time.as_secs_f64())
}

fn consume() -> Fallible {
    let (ctx, _cancel) = Context::root();
    let source = JetStreamSource::open(&ctx, options()?, "S", "g")?;
    let handle = |ctx: &Context, _: &Delivery| ctx.sleep(Duration::from_millis(1));
    let by_id = |m: &Delivery| m.id.clone();
    Consumer::builder().workers(8).key_by(by_id).build()?.run(&ctx, source, handle)?;
    Ok(())
}
