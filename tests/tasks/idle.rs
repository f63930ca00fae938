//! An idle system makes no wake-ups. Measured in a process of its own, by its context switches.
#![cfg(target_os = "linux")]

use crate::until;
use ironsys::pool::Pool;
use ironsys::{Context, channel};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

const ALONE: &str = "IRONSYS_TEST_IDLE";

#[test]
fn an_idle_system_makes_no_wake_ups() {
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "idle::measured_alone", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
}

/// A pool of 8, one that has grown and shrunk, a watched one, 100 receivers on one channel, 1,000
/// deadlines with a hook. Does nothing in the process of the other tests.
#[test]
fn measured_alone() {
    if env::var_os(ALONE).is_none() {
        return;
    }
    let (ctx, cancel) = Context::root();
    let pool = Pool::builder("idle").workers(8).context(&ctx).build().unwrap();
    let adaptive = Pool::builder("adaptive").workers(1..=4).context(&ctx);
    let adaptive = adaptive.patience(Duration::ZERO).keep_idle(Duration::ZERO).build().unwrap();
    let limit = Duration::from_millis(20);
    let watched = Pool::builder("watched").workers(1).context(&ctx).heartbeat(limit);
    let watched = watched.replace_stuck(1).build().unwrap();
    for _ in 0..100 {
        adaptive.execute(&ctx, |_| thread::yield_now()).unwrap();
        watched.execute(&ctx, |_| ()).unwrap();
    }
    let (_tx, rx) = channel::bounded::<()>(1);
    let hooks: Vec<_> = (0..1000)
        .map(|i| ctx.with_timeout(Duration::from_secs(1000 + i)).on_stop(|_| ()))
        .collect();
    thread::scope(|s| {
        for _ in 0..100 {
            s.spawn(|| rx.recv(&ctx));
        }
        until(|| rx.stats().blocked_receivers == 100);
        until(|| pool.stats().queue.blocked_receivers == 8);
        until(|| adaptive.stats().workers == 1 && adaptive.stats().queue.blocked_receivers == 1);
        until(|| watched.stats().queue.blocked_receivers == 1);
        // Until the last of them is parked, and has been for a moment.
        let before = loop {
            let before = switches();
            thread::sleep(Duration::from_millis(50));
            if switches() == before {
                break before;
            }
        };
        // Real time: that nothing happens in it is what is measured.
        thread::sleep(Duration::from_secs(2));
        let after = switches();
        assert_eq!(after, before);
        assert!(after.len() > 8 + 100, "{} threads", after.len());
        cancel.cancel();
    });
    drop(hooks);
}

/// The voluntary context switches of every thread but this one.
fn switches() -> BTreeMap<u64, u64> {
    let me = fs::read_link("/proc/thread-self").unwrap();
    let me = me.file_name().unwrap().to_owned();
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap());
    let count = |entry: fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        let id = entry.file_name().to_str().unwrap().parse().unwrap();
        (id, line.unwrap().trim().parse().unwrap())
    };
    threads.filter(|entry| entry.file_name() != me).map(count).collect()
}
