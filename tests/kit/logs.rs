//! A logger that panics takes down the line, and nothing else.

use crate::{root, throw, until};
use ironsys::bus::Bus;
use ironsys::owner::{OnPanic, Owner};
use ironsys::schedule::{Backoff, Plan, Scheduler};
use ironsys::writer::{BackgroundWriter, Batcher};
use log::{LevelFilter, Log, Metadata, Record};
use std::io::{self, Write};
use std::time::Duration;

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.args().to_string().contains("PANICS") {
            throw("the logger");
        }
    }

    fn flush(&self) {}
}

/// From now on a line that holds `PANICS` panics.
fn listen() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

#[test]
fn a_handler_of_a_bus_goes_on() {
    listen();
    let ctx = root().0;
    let bus = Bus::new();
    let handler = bus.subscriber("t").handler(|_, n| assert_ne!(n, 0, "PANICS")).unwrap();
    for n in [0, 1, 2] {
        bus.publish(&ctx, &"t", n).unwrap();
    }
    let report = handler.drain(&ctx);
    assert_eq!((report.handled, report.panicked, report.undelivered.len()), (2, 1, 0));
}

#[test]
fn a_writer_goes_on() {
    listen();
    struct Once(bool);
    impl Write for Once {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                Ok(bytes.len())
            } else {
                Err(io::Error::other("once"))
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let ctx = root().0;
    let out = BackgroundWriter::builder(Once(false))
        .retry(Backoff::fixed(Duration::ZERO).max_attempts(2))
        .on_error(|_| throw("PANICS"))
        .build()
        .unwrap();
    out.write(&ctx, "abc").unwrap();
    let report = out.drain(&ctx);
    assert_eq!((report.written, report.unwritten.len(), report.sink.is_some()), (3, 0, true));
}

#[test]
fn a_batcher_goes_on() {
    listen();
    let ctx = root().0;
    let out = Batcher::builder("out", |_, batch: &[u32]| {
        assert_ne!(batch, [0], "PANICS");
        if batch == [1] { Err("no") } else { Ok(()) }
    })
    .max_items(1)
    .retry(Backoff::fixed(Duration::ZERO).max_attempts(1))
    .on_failed(|_, _| throw("PANICS"))
    .build()
    .unwrap();
    for n in [0, 1, 2] {
        out.send(&ctx, n).unwrap();
    }
    let report = out.drain(&ctx);
    assert_eq!((report.done, report.failed, report.undelivered.len()), (1, 2, 0));
}

#[test]
fn a_scheduler_goes_on_and_ends() {
    listen();
    let ctx = root().0;
    let scheduler = Scheduler::builder("s").context(&ctx).workers(1).build().unwrap();
    let day = || Plan::every(Duration::from_secs(86_400));
    scheduler.add("PANICS", day().stop_after_panics(1), |_| -> () { throw("a job") }).unwrap();
    scheduler.add("fine", day(), |_| ()).unwrap();
    scheduler.run_now("PANICS").unwrap();
    scheduler.run_now("fine").unwrap();
    until(|| scheduler.stats().ledger.done == 1);
    let report = scheduler.drain(&ctx);
    assert_eq!((report.done, report.failed, report.left.len()), (1, 1, 2));
}

#[test]
fn an_owner_refuses_the_rest() {
    listen();
    let ctx = root().0;
    let owner = Owner::builder("PANICS").on_panic(OnPanic::Close).start(|_| ()).unwrap();
    let (go, gone) = ironsys::channel::bounded::<()>(1);
    owner
        .tell(&ctx, {
            let ctx = ctx.clone();
            move |_| {
                let _ = gone.recv(&ctx);
                throw("a call")
            }
        })
        .unwrap();
    owner.tell(&ctx, |_| ()).unwrap();
    drop(go);
    until(|| owner.stats().ledger.in_flight == 0);
    let ledger = owner.stats().ledger;
    assert_eq!((ledger.failed, ledger.dropped), (1, 1));
}
