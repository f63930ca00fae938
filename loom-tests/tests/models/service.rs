//! Services: a request to end and the run that waits for it; whoever asks for health meanwhile.

use crate::{SOON, join, model, spawn, timed};
use ironsys::Context;
use ironsys::service::{Ended, Service};
use std::convert::Infallible;
use std::time::Duration;

fn service(ctx: &Context) -> Service {
    // Without a limit: a model's time may run out anywhere.
    let builder = Service::builder("s").context(ctx).drain_within(Duration::MAX);
    let mut service = builder.build().expect("there is time");
    let part = |ctx: &Context| match ctx.check() {
        Ok(()) => Ended::clean(),
        Err(_) => Ended::clean().left("things", 1),
    };
    service.start("part", |_| Ok::<_, Infallible>((part, ()))).expect("infallible");
    service
}

/// A request, or a stop of the context, before or while the service waits for one.
#[test]
fn run_vs_request() {
    model("service::run_vs_request", || {
        let (ctx, cancel) = Context::root();
        let service = service(&ctx);
        let stopper = service.stopper();
        let asks = spawn(move || stopper.request("asked"));
        let report = service.run(&ctx);
        assert!(report.is_clean() && report.why.contains("asked"));
        assert!(join(asks));
        drop(cancel);
    });
}

/// The one who forces finds the part before, at or after its drain.
#[test]
fn drain_vs_force() {
    model("service::drain_vs_force", || {
        let (ctx, _cancel) = Context::root();
        let service = service(&ctx);
        let stopper = service.stopper();
        let forces = spawn(move || stopper.force("at once"));
        let report = service.drain(&ctx);
        assert!(join(forces));
        assert!(report.left() <= 1 && report.parts.len() == 1);
    });
}

/// A question while a probe is added, everything is started, and the end is near.
#[test]
fn health_vs_run() {
    model("service::health_vs_run", || {
        let (ctx, _cancel) = Context::root();
        let service = service(&ctx);
        let (health, stopper) = (service.health(), service.stopper());
        service.live_if("probe", || Err("no".into()));
        let asks = spawn(move || {
            let ready = health.ready().problems.len();
            stopper.request("asked");
            assert!(health.ready().problems.iter().any(|p| &*p.probe == "stop"));
            assert_eq!(health.live().problems.len(), 1);
            ready
        });
        assert!(service.run(&ctx).is_clean());
        assert!((1..=2).contains(&join(asks)));
    });
}

/// Nobody asks it to end, and the time of the context is over; somebody looks on.
#[test]
fn run_vs_deadline() {
    timed("service::run_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let service = service(&ctx);
        let health = service.health();
        let looks = spawn(move || health.ready().problems.len());
        let report = service.run(&ctx.with_timeout(SOON));
        assert!(report.is_clean() && join(looks) <= 2);
    });
}
