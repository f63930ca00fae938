//! Redis parts against a server of one's own: decisions of a shared limit, a relay, and 1, 2 and 4
//! processes of one group. `cargo bench --features redis --bench redis`; needs `redis-server`. The
//! handler takes 1 ms of sleep, as one that asks a database would: processes then add up.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use ironsys::brokers::redis::{Server, SharedLimit, StreamPublisher, StreamSource};
use ironsys::durable::{Consumer, Delivery, Memory, Outbox};
use ironsys::limit::Rate;
use ironsys::{Context, Stop};
use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

const MEMBER: &str = "IRONSYS_BENCH_MEMBER";
const PORT: u16 = 16_399;
const EVENTS: u64 = 20_000;

fn main() -> Fallible {
    let server = Server::new(format!("redis://127.0.0.1:{PORT}"))?;
    if let Ok(member) = std::env::var(MEMBER) {
        return consume(&server, &member);
    }
    let dir = tempfile::tempdir()?;
    let mut redis = Command::new("redis-server")
        .args(["--port", &PORT.to_string(), "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "everysec", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()?;
    let measured = measure(&server);
    redis.kill()?;
    redis.wait()?;
    measured
}

fn measure(server: &Server) -> Fallible {
    until(|| query::<String>(&redis::cmd("PING")).is_ok());
    for (lease, threads) in [(1, 1), (1, 4), (1000, 1), (1000, 4)] {
        let per_second = limit(server, lease, threads)?;
        println!("limit lease={lease} threads={threads}: {per_second:.0} decisions/s");
    }
    println!("relay window=512: {:.0} events/s", relay(server)?);
    for members in [1, 2, 4] {
        println!("group members={members}: {:.0} messages/s", group(members)?);
    }
    Ok(())
}

fn limit(server: &Server, lease: u32, threads: usize) -> Fallible<f64> {
    let (ctx, _cancel) = Context::root();
    // A lease of 1,000 is good for 10 ms.
    let name = format!("l{lease}-{threads}");
    let limit = SharedLimit::builder(server, name, Rate::per_second(100_000), 1_000_000);
    let limit = limit.lease(lease).timeout(Duration::from_secs(5)).build()?;
    let begun = Instant::now();
    let time = Duration::from_secs(2);
    let calls = ironsys::scope(&ctx, |s| {
        let hammer = |ctx: &Context| {
            let mut calls = 0_u64;
            while begun.elapsed() < time {
                calls += u64::from(limit.try_acquire(ctx, "k", 1).is_ok());
            }
            Ok::<_, Stop>(calls)
        };
        let tasks: Vec<_> = (0..threads).map(|_| s.spawn(hammer)).collect();
        tasks.into_iter().map(|task| task.join(&ctx)).sum::<Result<u64, _>>()
    })?;
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}

fn relay(server: &Server) -> Fallible<f64> {
    let (ctx, _cancel) = Context::root();
    let outbox = Outbox::over(Arc::new(Memory::default())).open()?;
    outbox.append_many(&ctx, (0..EVENTS).map(|i| format!("{i:0100}")))?;
    let begun = Instant::now();
    let relay = outbox.relay(StreamPublisher::builder(server, "s").build()?).start(&ctx)?;
    let report = relay.drain(&ctx);
    report.error.map_or(Ok(EVENTS as f64 / begun.elapsed().as_secs_f64()), |e| Err(e.into()))
}

/// Runs so many processes until the group has acked everything.
fn group(members: usize) -> Fallible<f64> {
    let _: Result<i64, _> = query(redis::cmd("XGROUP").arg("DESTROY").arg("s").arg("g"));
    query::<String>(redis::cmd("XGROUP").arg("CREATE").arg("s").arg("g").arg("0"))?;
    let spawn = |i| -> std::io::Result<Child> {
        let me = std::env::current_exe()?;
        Command::new(me).env(MEMBER, format!("m{i}")).stdout(Stdio::null()).spawn()
    };
    let begun = Instant::now();
    let mut children = (0..members).map(spawn).collect::<Result<Vec<_>, _>>()?;
    let last = format!("{EVENTS}-0");
    until(|| {
        let info: redis::streams::StreamInfoGroupsReply =
            query(redis::cmd("XINFO").arg("GROUPS").arg("s")).expect("it runs");
        info.groups.iter().any(|g| g.last_delivered_id == last && g.pending == 0)
    });
    let time = begun.elapsed();
    for child in &mut children {
        child.kill()?;
        child.wait()?;
    }
    Ok(EVENTS as f64 / time.as_secs_f64())
}

fn consume(server: &Server, member: &str) -> Fallible {
    let (ctx, _cancel) = Context::root();
    let source = StreamSource::builder(server, "s", "g", member).batch(64).build()?;
    let handle = |ctx: &Context, _: &Delivery| ctx.sleep(Duration::from_millis(1));
    let by_id = |m: &Delivery| m.id.clone();
    Consumer::builder().workers(8).key_by(by_id).build()?.run(&ctx, source, handle)?;
    Ok(())
}

fn query<T: redis::FromRedisValue>(cmd: &redis::Cmd) -> redis::RedisResult<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{PORT}"))?;
    cmd.query(&mut client.get_connection()?)
}

fn until(condition: impl Fn() -> bool) {
    let (ctx, _cancel) = Context::root();
    let ctx = ctx.with_timeout(Duration::from_secs(60));
    while !condition() {
        ctx.sleep(Duration::from_millis(5)).expect("a minute is enough");
    }
}
