//! What the parts of the spine cost by themselves, with criterion: `cargo bench`.
//!
//! For a comparison with other crates, on your machine and side by side, see `benches/peers`.

#![expect(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use ironsys::export::Histogram;
use ironsys::limit::Semaphore;
use ironsys::pool::Pool;
use ironsys::threads::ThreadCache;
use ironsys::{Context, Stop, channel, scope};
use std::hint::black_box;
use std::time::Duration;

fn context(c: &mut Criterion) {
    let (ctx, _cancel) = Context::root();
    let timed = ctx.with_timeout(Duration::from_secs(3600));
    c.bench_function("context/check", |b| b.iter(|| black_box(&ctx).check()));
    c.bench_function("context/check with a deadline", |b| b.iter(|| black_box(&timed).check()));
    c.bench_function("context/child", |b| b.iter(|| black_box(&ctx).with_cancel()));
}

fn channels(c: &mut Criterion) {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(256);
    c.bench_function("channel/send and recv", |b| {
        b.iter(|| {
            tx.send(&ctx, black_box(1_u64)).expect("open");
            rx.recv(&ctx).expect("open")
        });
    });
    c.bench_function("channel/select of two", |b| {
        let (_other_tx, other) = channel::bounded::<u64>(1);
        b.iter(|| {
            tx.send(&ctx, black_box(1_u64)).expect("open");
            ironsys::select! { ctx; recv(rx) -> m => m, recv(other) -> m => m }
        });
    });
    let semaphore = Semaphore::new(4);
    c.bench_function("semaphore/acquire and release", |b| b.iter(|| semaphore.acquire(&ctx, 1)));
    c.bench_function("semaphore/hold", |b| b.iter(|| semaphore.hold(&ctx, 1).map(drop)));
    c.bench_function("semaphore/hold_watched", |b| {
        let task = |_: &ironsys::scope::Scope<'_, '_, Stop>| {
            b.iter(|| semaphore.hold_watched(&ctx, 1).map(drop)); // In a task, so that it is recorded.
            Ok(())
        };
        ironsys::scope(&ctx, task).unwrap();
    });
    let latency = Histogram::new();
    c.bench_function("histogram/record", |b| {
        b.iter(|| latency.record(black_box(Duration::from_micros(137))));
    });
}

fn tasks(c: &mut Criterion) {
    let (fresh, _cancel) = Context::root();
    let (warm, _cancel) = Context::builder().value(ThreadCache::new(8)).build();
    let four = |ctx: &Context| {
        ironsys::scope(ctx, |s| {
            for i in 0..4 {
                s.execute(move |_| {
                    black_box(i);
                    Ok::<_, Stop>(())
                });
            }
            Ok(())
        })
    };
    c.bench_function("scope/4 tasks, fresh threads", |b| b.iter(|| four(&fresh)));
    c.bench_function("scope/4 tasks, warm threads", |b| b.iter(|| four(&warm)));
    c.bench_function("scope/map of 1,000, warm threads", |b| {
        b.iter(|| scope::map(&warm, 2, 0..1000_u32, |_, n| Ok::<_, Stop>(n)));
    });
    let pool = Pool::builder("bench").workers(2).build().expect("valid");
    c.bench_function("pool/submit and join", |b| {
        b.iter(|| pool.submit(&fresh, |_| ()).expect("open").join(&fresh));
    });
}

criterion_group! {
    name = spine;
    config = Criterion::default().sample_size(30).measurement_time(Duration::from_secs(1));
    targets = context, channels, tasks
}
criterion_main!(spine);
