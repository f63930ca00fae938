//! Where threads wait, what a channel's times say, and tasks that become more.

use crate::{ms, root, until};
use ironsys::export::{CapacityAdvice, GrowthWatch, TaskGrowth, WaitProfile, capacity_advice};
use ironsys::limit::Semaphore;
use ironsys::observe::{Registry, WaitKind};
use ironsys::{Context, Stop, channel, scope};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn the_place_where_most_time_goes_stands_first() {
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    let door = Semaphore::named("door", 1);
    let held = door.try_acquire(1).unwrap();
    let (tx, rx) = channel::builder::<u32>(1).name("mail").build().unwrap();
    let profile = WaitProfile::new();
    assert_eq!((profile.report().sites.len(), profile.report().looks), (0, 0));
    scope(&ctx, |s| {
        for _ in 0..3 {
            let _ =
                s.spawn(|ctx| door.hold(ctx, 1).map(drop).map_err(|_| ctx.check().unwrap_err()));
        }
        let _ = s.spawn(|ctx| rx.recv(ctx).map(drop).map_err(|_| ctx.check().unwrap_err()));
        s.daemon(|ctx| Err(ctx.wait_stopped()));
        let waiting = || registry.tasks().as_slice().iter().filter(|t| t.waiting.is_some()).count();
        until(|| waiting() == 5);
        profile.look(&registry);
        let before = std::time::Instant::now();
        until(|| before.elapsed() >= ms(2));
        profile.look(&registry);
        drop(held);
        tx.try_send(1).unwrap();
        Ok::<_, Stop>(())
    })
    .unwrap();
    let report = profile.report();
    assert_eq!((report.looks, report.sites.len(), report.elsewhere), (2, 3, Duration::ZERO));
    let first = &report.sites[0];
    assert_eq!((first.on, first.name.as_deref(), first.most), (WaitKind::Permit, Some("door"), 3));
    assert!(report.over >= ms(2) && first.total == report.over * 3 && first.seen == 6, "{first:?}");
    assert!(first.at.file().ends_with("waits.rs"));
    let mail = report.sites.iter().find(|site| site.on == WaitKind::Recv).unwrap();
    assert_eq!(mail.total, report.over);
    assert!(report.sites.iter().find(|site| site.on == WaitKind::Stopped).unwrap().is_idle());
    let text = report.to_string();
    assert!(
        text.contains("permit `door` at tests/export/waits.rs:") && !text.contains("stopped"),
        "{text}"
    );
}

#[test]
fn a_profile_is_watched_on_a_thread_of_its_own() {
    let (ctx, _cancel) = root();
    let profile = WaitProfile::new();
    let watch = profile.watch(&ctx, ms(1)).unwrap();
    until(|| profile.report().looks > 2);
    drop(watch);
    let looks = profile.report().looks;
    assert_eq!(profile.report().looks, looks);
    assert_eq!(profile.watch(&ctx, ms(0)).unwrap_err().field(), "every");
}

#[test]
fn a_channel_is_advised_by_its_times() {
    let (_tx, rx) = channel::bounded::<u32>(100);
    let before = rx.stats();
    let second = Duration::from_secs(1);
    let advice = |full: u64, empty: u64, peak: usize| {
        let mut after = before;
        (after.time_full, after.time_empty, after.peak) = (ms(full), ms(empty), peak);
        capacity_advice(&before, &after, second)
    };
    assert_eq!(advice(0, 0, 50), CapacityAdvice::Fine);
    assert_eq!(advice(10, 990, 50), CapacityAdvice::Fine); // Nothing to do is no fault.
    let bursts = CapacityAdvice::Bursts { full: 0.2, empty: 0.3, try_capacity: 200 };
    assert_eq!(advice(200, 300, 100), bursts);
    assert_eq!(advice(900, 10, 100), CapacityAdvice::ReceiversTooSlow { full: 0.9 });
    assert_eq!(advice(0, 900, 3), CapacityAdvice::TooLarge { peak: 3 });
    assert_eq!(advice(0, 1000, 0), CapacityAdvice::Fine); // It has not been used.
    assert_eq!(advice(5000, 0, 100), CapacityAdvice::ReceiversTooSlow { full: 1.0 });
    assert_eq!(capacity_advice(&before, &before, Duration::ZERO), CapacityAdvice::Fine);
}

#[test]
fn a_line_that_only_adds_tasks_is_told() {
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    let mut growth = TaskGrowth::new(3);
    scope(&ctx, |s| {
        let mut leaks = 0;
        let mut leak = || {
            s.daemon(|ctx| Err(ctx.wait_stopped()));
            leaks += 1;
            until(|| registry.tasks().len() == 1 + leaks);
        };
        let mut told = Vec::new();
        leak();
        for look in 0..12 {
            // It grows at every other look; a look at which it does not changes nothing.
            if look % 2 == 0 {
                leak();
            }
            told.push(growth.look(&registry.tasks()));
        }
        let counts: Vec<usize> = told.iter().map(Vec::len).collect();
        assert_eq!(counts, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
        let found = &told[6][0];
        assert_eq!((found.from, found.to, found.times), (2, 5, 3));
        assert!(found.spawned_at.file().ends_with("waits.rs"));
        assert!(found.to_string().contains("from 2 to 5"));
        Ok::<_, Stop>(())
    })
    .unwrap();
}

#[test]
fn tasks_that_come_and_go_are_not_told() {
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    let mut growth = TaskGrowth::new(2);
    for round in 0..20 {
        scope(&ctx, |s| {
            for _ in 0..round % 3 {
                s.daemon(|ctx| Err(ctx.wait_stopped()));
            }
            until(|| registry.tasks().len() == 1 + round % 3);
            assert!(growth.look(&registry.tasks()).is_empty());
            Ok::<_, Stop>(())
        })
        .unwrap();
    }
}

#[test]
fn a_growth_watch_tells_from_its_thread() {
    let registry = Registry::new();
    let (ctx, cancel) = Context::builder().registry(registry.clone()).build();
    let (tx, rx) = mpsc::channel();
    let tell = move |growth: &ironsys::export::Growth| {
        let _ = tx.send(growth.clone());
        cancel.cancel();
    };
    let watch = GrowthWatch::start(&ctx, ms(1), TaskGrowth::new(2), tell).unwrap();
    let _ = scope(&ctx, |s| {
        while !s.ctx().is_stopped() {
            let before = registry.tasks().len();
            s.daemon(|ctx| Err(ctx.wait_stopped()));
            until(|| s.ctx().is_stopped() || registry.tasks().len() > before);
            let _ = s.ctx().sleep(ms(1));
        }
        Ok::<_, Stop>(())
    });
    assert!(rx.recv().unwrap().to > 2);
    drop(watch);
}
