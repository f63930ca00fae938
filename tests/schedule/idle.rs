//! Ten thousand jobs that are not due cost nothing.

use crate::{secs, until};
use ironsys::Context;
use ironsys::schedule::{Plan, Scheduler};
use ironsys::time::VirtualClock;

const JOBS: u64 = 10_000;

fn add_jobs(s: &Scheduler) {
    for n in 0..JOBS {
        s.add(&format!("job {n}"), Plan::every(secs(1000 + n)), |_| ()).unwrap();
    }
    assert_eq!(s.list().len() as u64, JOBS);
}

#[test]
fn nothing_looks_at_the_clock_until_the_first_is_due() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let s = Scheduler::builder("idle").context(&ctx).build().unwrap();
    add_jobs(&s);
    until(|| time.pending() == 1); // one alarm for all of them
    let looks = s.stats().looks;
    assert!(looks <= 2, "{looks} looks for jobs that all come later than the first");
    time.advance(secs(999));
    assert_eq!((time.pending(), s.stats().looks), (1, looks));
    time.advance(secs(1));
    until(|| s.stats().ledger.done == 1 && time.pending() == 1);
    assert_eq!(s.stats().looks, looks + 1);
}

#[cfg(target_os = "linux")]
mod in_a_process_of_its_own {
    use super::*;
    use std::collections::BTreeMap;
    use std::process::Command;
    use std::time::Duration;
    use std::{env, fs, thread};

    const ALONE: &str = "IRONSYS_TEST_IDLE_SCHEDULE";

    #[test]
    fn no_thread_wakes_up() {
        let run = Command::new(env::current_exe().unwrap())
            .args(["--exact", "idle::in_a_process_of_its_own::measured_alone", "--nocapture"])
            .arg("--test-threads=1")
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        );
        assert!(run.status.success() && text.contains("1 passed"), "{text}");
    }

    /// Does nothing in the process of the other tests.
    #[test]
    fn measured_alone() {
        if env::var_os(ALONE).is_none() {
            return;
        }
        let s = Scheduler::builder("idle").build().unwrap();
        add_jobs(&s);
        // Until the last of the threads is parked, and has been for a moment.
        let before = loop {
            let before = switches();
            thread::sleep(Duration::from_millis(50));
            if switches() == before {
                break before;
            }
        };
        // Real time: that nothing happens in it is what is measured.
        thread::sleep(Duration::from_secs(2));
        assert_eq!(switches(), before);
        assert!(before.len() >= 3, "{} threads", before.len());
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
}
