//! The outbox on a real disk: what is durable when it returns, what is durable when a ticket says so,
//! and reading back. Set `IRONSYS_BENCH_DIR` to measure another disk than that of the target directory.

#![expect(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ironsys::Context;
use ironsys::durable::Outbox;
use std::hint::black_box;
use std::time::{Duration, Instant};

const EVENT: [u8; 1024] = [7; 1024];

fn dir() -> tempfile::TempDir {
    let base = std::env::var("IRONSYS_BENCH_DIR").unwrap_or_else(|_| "target".into());
    tempfile::tempdir_in(base).expect("a directory on a disk")
}

/// Appends `n` events on each of so many threads, one by one or with 256 under way.
fn append(threads: u64, n: u64, window: usize) -> Duration {
    let dir = dir();
    let (ctx, _cancel) = Context::root();
    let outbox = Outbox::open(dir.path()).expect("an empty directory");
    let start = Instant::now();
    ironsys::scope(&ctx, |s| {
        for _ in 0..threads {
            s.execute(|ctx| {
                let mut tickets = std::collections::VecDeque::new();
                for _ in 0..n {
                    tickets.push_back(outbox.submit(ctx, &EVENT).expect("there is room"));
                    if tickets.len() >= window {
                        tickets.pop_front().unwrap().wait(ctx).expect("the disk works");
                    }
                }
                for ticket in tickets {
                    ticket.wait(ctx).expect("the disk works");
                }
                Ok::<_, ironsys::Stop>(())
            });
        }
        Ok(())
    })
    .expect("nobody stops it");
    start.elapsed()
}

fn outbox(c: &mut Criterion) {
    let mut group = c.benchmark_group("outbox_1k");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(1));
    for (name, threads, window) in [
        ("append_1_thread", 1, 1),
        ("append_4_threads", 4, 1),
        ("append_16_threads", 16, 1),
        ("tickets_1_thread", 1, 256),
        ("tickets_4_threads", 4, 256),
    ] {
        group.bench_function(name, |b| {
            b.iter_custom(|n| append(threads, n.div_ceil(threads), window));
        });
    }
    group.bench_function("read", |b| {
        let dir = dir();
        let (ctx, _cancel) = Context::root();
        let outbox = Outbox::open(dir.path()).expect("an empty directory");
        outbox.append_many(&ctx, (0..200_000).map(|_| &EVENT[..200])).expect("the disk works");
        let mut reader = outbox.reader("r").expect("the only one");
        b.iter(|| match reader.try_next().expect("nothing is damaged") {
            Some(event) => drop(black_box(event)),
            None => reader.rewind(),
        });
    });
    group.finish();
}

criterion_group!(benches, outbox);
criterion_main!(benches);
