//! Services: started in order, drained in the reverse order, and what is left has a name.

use ironsys::pool::Pool;
use ironsys::service::{Ended, Part, Service};
use ironsys::session::{Cx, Manager, Session};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Log = Arc<Mutex<Vec<String>>>;

fn virtual_root() -> (VirtualClock, Context, ironsys::Canceller) {
    let time = VirtualClock::auto();
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx, cancel)
}

fn note(log: &Log, name: &'static str) -> impl FnOnce(&Context) -> Ended + Send + 'static {
    let log = log.clone();
    move |_: &Context| {
        log.lock().unwrap().push(name.into());
        Ended::clean()
    }
}

#[test]
fn the_last_part_started_is_the_first_drained() {
    let (ctx, _cancel) = Context::root();
    let log = Log::default();
    let mut service = Service::builder("s").context(&ctx).build().unwrap();
    for name in ["store", "sessions", "server"] {
        service.start(name, |_| Ok::<_, Infallible>((note(&log, name), ()))).unwrap();
    }
    service.stopper().request("enough");
    let report = service.run(&ctx);
    assert_eq!(*log.lock().unwrap(), ["server", "sessions", "store"]);
    assert!(report.is_clean() && report.why.contains("enough"), "{report}");
    let names: Vec<_> = report.parts.iter().map(|part| &*part.name).collect();
    assert_eq!(names, ["server", "sessions", "store"]);
}

#[test]
fn a_part_that_does_not_start_is_named_and_the_others_end_with_the_service() {
    let (ctx, _cancel) = Context::root();
    let log = Log::default();
    let mut service = Service::builder("s").context(&ctx).build().unwrap();
    service.start("store", |_| Ok::<_, Infallible>((note(&log, "store"), ()))).unwrap();
    let error = service
        .start("server", |_| Err::<(fn(&Context) -> Ended, ()), _>("port 80 is taken"))
        .unwrap_err();
    assert_eq!(error.to_string(), "`server` was not started: port 80 is taken");
    drop(service);
    assert_eq!(*log.lock().unwrap(), ["store"]);
}

#[test]
fn what_is_left_is_counted_and_the_exit_code_says_so() {
    let (_time, ctx, _cancel) = virtual_root();
    let mut service =
        Service::builder("s").context(&ctx).drain_within(Duration::from_secs(2)).build().unwrap();
    let jobs = service
        .start("jobs", |ctx| {
            let pool = Pool::builder("jobs").workers(1).queue(8).context(ctx).build()?;
            let submitter = pool.submitter();
            Ok::<_, ironsys::BuildError>((pool, submitter))
        })
        .unwrap();
    for _ in 0..4 {
        jobs.execute(&ctx, |ctx| drop(ctx.wait_stopped())).unwrap();
    }
    service.stopper().request("enough");
    let report = service.run(&ctx);
    assert!(!report.is_clean(), "{report}");
    assert_eq!(report.left(), 3, "{report}");
    assert!(report.to_string().contains("3 jobs not begun"), "{report}");
    assert!(report.to_string().contains("out of time"), "{report}");
    assert_eq!(report.parts[0].took, Duration::from_secs(2));
}

#[test]
fn parts_live_on_when_the_context_stops_and_until_they_are_drained() {
    let (ctx, cancel) = Context::root();
    let mut service = Service::builder("s").context(&ctx).build().unwrap();
    let (tx, rx) = channel::bounded::<u32>(4);
    service
        .spawn("ingest", move |ctx| {
            while let Ok(n) = rx.recv(ctx) {
                assert_ne!(n, 0);
            }
            Ok::<_, Infallible>(())
        })
        .unwrap();
    let store = service.start("store", |ctx| {
        let ctx = ctx.clone();
        let seen = ctx.clone();
        let part = move |_: &Context| match ctx.check() {
            Ok(()) => Ended::clean(),
            Err(stop) => Ended::clean().error(stop),
        };
        Ok::<_, Infallible>((part, seen))
    });
    let store = store.unwrap();
    tx.send(&ctx, 1).unwrap();
    cancel.cancel_with("the parent ends");
    assert!(store.check().is_ok());
    let report = service.run(&ctx);
    assert!(report.is_clean() && report.why.contains("the parent ends"), "{report}");
    assert!(store.is_stopped());
}

#[test]
fn a_thread_that_fails_or_panics_asks_the_service_to_end() {
    let works: [fn() -> Result<(), &'static str>; 2] = [|| Err("no disk"), || panic!("no disk")];
    for work in works {
        let (ctx, _cancel) = Context::root();
        let mut service = Service::builder("s").context(&ctx).build().unwrap();
        service.spawn("writer", move |_| work()).unwrap();
        let report = service.run(&ctx);
        assert!(report.why.contains("`writer` has failed"), "{report}");
        assert!(report.parts[0].ended.error.as_ref().unwrap().contains("no disk"), "{report}");
        assert!(!report.is_clean());
    }
}

#[test]
fn a_thread_that_panics_when_it_is_to_end_is_in_the_report() {
    let mut service = Service::builder("s").build().unwrap();
    let work = |ctx: &Context| -> Result<(), Stop> {
        ctx.wait_stopped();
        panic!("the last page is lost");
    };
    service.spawn("pages", work).unwrap();
    let tells = |ctx: &Context| Err(ctx.wait_stopped());
    service.spawn("tells", tells).unwrap();
    service.stopper().request("enough");
    let report = service.run(&Context::root().0);
    assert!(!report.is_clean());
    let errors: Vec<_> = report.parts.iter().map(|part| part.ended.error.as_deref()).collect();
    assert!(
        matches!(errors[..], [None, Some(why)] if why.contains("the last page is lost")),
        "{report}"
    );
}

#[test]
fn a_probe_may_panic_with_anything() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let service = Service::builder("s").build().unwrap();
    service.live_if("odd", || std::panic::panic_any(Bomb));
    assert!(!service.health().live().is_fine());
}

#[test]
fn a_panic_in_a_drain_does_not_keep_the_other_parts_from_theirs() {
    let (ctx, _cancel) = Context::root();
    let log = Log::default();
    let mut service = Service::builder("s").context(&ctx).build().unwrap();
    service.start("store", |_| Ok::<_, Infallible>((note(&log, "store"), ()))).unwrap();
    let bad = |_: &Context| -> Ended { panic!("bad luck") };
    service.start("server", |_| Ok::<_, Infallible>((bad, ()))).unwrap();
    let report = service.drain(&ctx);
    assert_eq!(*log.lock().unwrap(), ["store"]);
    assert_eq!(report.parts[0].panicked.as_ref().unwrap().message(), "bad luck");
    assert!(!report.is_clean() && report.parts[1].is_clean());
}

#[test]
fn force_ends_a_drain_that_waits_and_tells_what_still_runs() {
    let (ctx, _cancel) = Context::root();
    let (told, hear) = channel::bounded(8);
    let mut service = Service::builder("s")
        .context(&ctx)
        .on_overdue(move |overdue| drop(told.try_send(overdue.to_string())))
        .build()
        .unwrap();
    let stopper = service.stopper();
    let waits = move |ctx: &Context| {
        // As a second signal would.
        assert!(stopper.force("again") && !stopper.force("and again"));
        let stop = ctx.wait_stopped();
        Ended::clean().left("things", 2).error(stop)
    };
    service.start("stuck", |_| Ok::<_, Infallible>((waits, ()))).unwrap();
    let stopper = service.stopper();
    assert!(!stopper.is_requested());
    stopper.request("first");
    let report = service.run(&ctx);
    assert!(stopper.is_forced());
    assert_eq!(report.left(), 2);
    let told = hear.recv(&ctx).unwrap();
    assert!(told.contains("the drain of `stuck` is out of time"), "{told}");
}

#[test]
fn a_part_may_have_less_time_than_the_service() {
    let (time, ctx, _cancel) = virtual_root();
    let mut service = Service::builder("s").context(&ctx).build().unwrap();
    let slow = |ctx: &Context| Ended::clean().error(ctx.wait_stopped());
    let slow = slow.within(Duration::from_secs(3));
    service.start("slow", |_| Ok::<_, Infallible>((slow, ()))).unwrap();
    let began = time.now();
    let report = service.drain(&ctx);
    assert_eq!(time.now() - began, Duration::from_secs(3));
    assert!(report.parts[0].in_time && !report.is_clean());
}

#[test]
fn a_service_within_a_service_reports_its_parts_by_name() {
    let (ctx, _cancel) = Context::root();
    let mut outer = Service::builder("outer").context(&ctx).build().unwrap();
    outer
        .start("inner", |ctx| {
            let mut inner = Service::builder("inner").context(ctx).build()?;
            let part = |_: &Context| Ended::clean().left("crumbs", 7).error("no broom");
            let _ = inner.start("table", |_| Ok::<_, Infallible>((part, ())));
            Ok::<_, ironsys::BuildError>((inner, ()))
        })
        .unwrap();
    let report = outer.drain(&ctx);
    assert_eq!(report.left(), 7);
    let text = report.to_string();
    assert!(text.contains("7 crumbs of table") && text.contains("table: no broom"), "{text}");
}

#[test]
fn ready_from_started_to_asked_and_alive_all_the_time() {
    let (ctx, _cancel) = Context::root();
    let mut service = Service::builder("s").context(&ctx).build().unwrap();
    let (health, stopper) = (service.health(), service.stopper());
    assert_eq!(health.ready().problems[0].probe.as_ref(), "start");
    assert!(health.live().is_fine());
    let broken = Arc::new(Mutex::new(false));
    let seen = broken.clone();
    service.live_if("disk", move || match *seen.lock().unwrap() {
        false => Ok(()),
        true => Err("read-only".into()),
    });
    service.ready_if("panics", || panic!("a bad probe"));
    let asks = health.clone();
    service
        .spawn("asker", move |_| {
            // `run` may not have said that everything is started yet; the probe has the last word.
            let ready = asks.ready();
            let panics = ready.problems.last().ok_or("it must have failed")?;
            assert!(panics.why.contains("a bad probe"), "{ready}");
            *broken.lock().unwrap() = true;
            let live = asks.live();
            stopper.request("seen");
            let ready = asks.ready();
            if live.to_string() != "disk: read-only" || !ready.to_string().contains("seen") {
                return Err("the probes are not heard");
            }
            Ok(())
        })
        .unwrap();
    let report = service.run(&ctx);
    assert!(report.is_clean(), "{report}");
    assert!(!health.ready().is_fine());
}

#[test]
fn no_time_to_drain_is_a_build_error() {
    let error = Service::builder("s").drain_within(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.field(), "drain_within");
    // The longest time there is does not overflow.
    let (ctx, _cancel) = Context::root();
    let service = Service::builder("s").drain_within(Duration::MAX).build().unwrap();
    service.stopper().request("enough");
    assert!(service.run(&ctx).is_clean());
}

struct Counter(u64);

impl Session for Counter {
    type Id = u32;
    type Msg = u64;
    type Error = Infallible;

    fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Infallible> {
        Ok(Counter(0))
    }

    fn handle(&mut self, n: u64, cx: &mut Cx<'_, Self>) -> Result<(), Infallible> {
        self.0 += n;
        if n == 13 {
            cx.context().wait_stopped();
        }
        Ok(())
    }
}

#[test]
fn sessions_and_jobs_of_a_service_add_up() {
    let (_time, ctx, _cancel) = virtual_root();
    let mut service =
        Service::builder("s").context(&ctx).drain_within(Duration::from_secs(1)).build().unwrap();
    let sessions = service
        .start("counters", |ctx| {
            let manager =
                Manager::<Counter>::builder("counters").sharded(1).context(ctx).build()?;
            let sessions = manager.sessions();
            Ok::<_, ironsys::BuildError>((manager, sessions))
        })
        .unwrap();
    for n in [1, 13, 2, 3] {
        sessions.tell(&ctx, &7, n).unwrap();
    }
    let report = service.drain(&ctx.with_timeout(Duration::from_secs(1)));
    // 13 was in hand when the time was over; 2 and 3 were not handled.
    assert_eq!(report.left(), 2, "{report}");
    assert!(sessions.tell(&ctx, &7, 1).is_err());
}
