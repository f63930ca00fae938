//! Child processes: real ones. One test at a time, since descriptors and threads are counted.
#![cfg(target_os = "linux")]

use ironsys::process::{Command, Line, OnExcess, ProcessError, Stream};
use ironsys::{Context, Stop};
use std::os::unix::process::ExitStatusExt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner())
}

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Whether a process runs: a zombie that the system's first process has not reaped does not.
fn runs(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(')').next().unwrap().trim().chars().next();
    !matches!(state, Some('Z' | 'X'))
}

#[track_caller]
fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

#[test]
fn what_it_says_and_how_it_ends_come_back() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let command = sh("echo out; echo err >&2; echo $NAME; pwd; exit 7").env("NAME", "x");
    let output = command.current_dir("/").run(&ctx).unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\nx\n/".into(), "err".into()));
    assert_eq!(output.status.code(), Some(7));
    let output = sh("kill -SEGV $$").run(&ctx).unwrap();
    assert_eq!(output.status.signal(), Some(11));
    let output = Command::new("/usr/bin/env").env_clear().env("A", "1").run(&ctx).unwrap();
    assert_eq!(text(&output.stdout), "A=1");
    let error = Command::new("no-such-program").run(&ctx).unwrap_err();
    assert!(matches!(error, ProcessError::Spawn { .. }) && error.to_string().contains("no-such"));
    let error = sh("true").run(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
    assert!(matches!(error, ProcessError::NotStarted(Stop::DeadlineExceeded)));
}

#[test]
fn input_of_any_size_goes_through_and_need_not_be_read() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let output = Command::new("cat").stdin(bytes.clone()).run(&ctx).unwrap();
    assert_eq!(output.stdout, bytes);
    assert!(Command::new("true").stdin(bytes).run(&ctx).unwrap().status.success());
    assert_eq!(Command::new("cat").run(&ctx).unwrap().stdout, b"");
    assert_eq!(Command::new("cat").stdin(*b"").run(&ctx).unwrap().stdout, b"");
}

#[test]
fn more_than_the_limit_is_an_error_with_what_was_read_or_is_thrown_away() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let error = Command::new("yes").stdout_limit(1000).run(&ctx).unwrap_err();
    let ProcessError::Excess { stream: Stream::Stdout, limit: 1000, output } = error else {
        panic!("{error}")
    };
    assert_eq!((output.stdout.len(), output.status.signal()), (1000, Some(9)));
    let script = "head -c 5000 /dev/zero; head -c 300000 /dev/zero >&2";
    let cut = || sh(script).on_excess(OnExcess::Truncate);
    let output = cut().stdout_limit(10).stderr_limit(0).run(&ctx).unwrap();
    assert_eq!((output.stdout.len(), output.stdout_excess), (10, 4990));
    assert_eq!((output.stderr.len(), output.stderr_excess), (0, 300_000));
    let output = cut().stdout_limit(5000).stderr_limit(usize::MAX).run(&ctx).unwrap();
    assert_eq!((output.stdout_excess, output.stderr.len()), (0, 300_000));
    // The excess may come to light when it has ended.
    let error = sh("echo 12345").stdout_limit(3).run(&ctx).unwrap_err();
    assert_eq!(error.output().unwrap().stdout, b"123");
}

#[test]
fn a_stop_ends_the_whole_group_first_with_a_request_then_by_force() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    // It obeys, and says so.
    let (child, cancel) = ctx.with_cancel();
    let mut cancel = Some(cancel);
    let mut said = Vec::new();
    let polite = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let error = sh(polite)
        .run_lines(&child, |line| {
            if line.stream == Stream::Stdout {
                said.push(text(line.bytes));
            }
            if let Some(cancel) = cancel.take() {
                cancel.cancel_with("enough");
            }
        })
        .unwrap_err();
    assert!(error.to_string().ends_with("enough"), "{error}");
    assert_eq!(
        (said, error.output().unwrap().status.code()),
        (vec!["ready".into(), "bye".into()], Some(3))
    );
    // It does not obey, and neither does its child.
    let stubborn = "trap '' TERM; sleep 1000 & echo $$ $!; wait; sleep 1000";
    for grace in [Duration::ZERO, Duration::from_millis(30)] {
        let soon = ctx.with_timeout(Duration::from_millis(150));
        let error = sh(stubborn).grace(grace).run(&soon).unwrap_err();
        assert_eq!(error.stop(), Some(&Stop::DeadlineExceeded));
        let output = error.output().unwrap();
        assert_eq!(output.status.signal(), Some(9));
        for pid in text(&output.stdout).split(' ') {
            until(|| !runs(pid));
        }
    }
}

#[test]
fn a_grandchild_that_holds_the_pipe_does_not_hold_the_call() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let begun = Instant::now();
    let output = sh("sleep 1000 & echo $!").run(&ctx).unwrap();
    assert!(output.status.success());
    until(|| !runs(&text(&output.stdout)));
    // One that has left the group gets away, and the call returns all the same.
    let output = sh("setsid sleep 20 & echo $!").run(&ctx).unwrap();
    assert!(output.status.success() && !output.stdout.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // And one that writes for ever.
    let output = sh("setsid sh -c 'timeout 5 yes' & echo").on_excess(OnExcess::Truncate);
    assert!(output.run(&ctx).unwrap().status.success());
}

#[test]
fn lines_come_as_they_are_written() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let mut lines = Vec::new();
    let mut note = |line: Line<'_>| lines.push((line.stream, text(line.bytes)));
    let output =
        sh("printf 'a\n\nb'; echo c >&2; printf 'long long line\nd'").run_lines(&ctx, &mut note);
    assert!(output.unwrap().stdout.is_empty());
    let of = |which| lines.iter().filter(|l| l.0 == which).map(|l| l.1.clone()).collect::<Vec<_>>();
    assert_eq!(of(Stream::Stdout), ["a", "", "blong long line", "d"]);
    assert_eq!(of(Stream::Stderr), ["c"]);
    let mut lines = Vec::new();
    let cut = sh("echo 1234567; echo 12").stdout_limit(4).on_excess(OnExcess::Truncate);
    let output = cut.run_lines(&ctx, |line| lines.push(text(line.bytes))).unwrap();
    assert_eq!((lines, output.stdout_excess), (vec!["1234".into(), "12".into()], 3));
}

#[test]
fn a_panic_in_the_callback_leaves_nothing_behind() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let mut pid = String::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sh("echo $$; sleep 1000").run_lines(&ctx, |line| {
            pid = text(line.bytes);
            panic!("no");
        })
    }));
    assert!(panicked.is_err());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is reaped");
}

#[test]
fn nothing_leaks_and_many_run_at_once() {
    let _alone = alone();
    let (ctx, _cancel) = Context::root();
    let round = || {
        let ids: Vec<u32> = (0..24).collect();
        let outputs = ironsys::scope::map(&ctx, 8, ids, |ctx, n| {
            let soon =
                ctx.with_timeout(Duration::from_millis(if n % 4 == 0 { 30 } else { 60_000 }));
            let script = if n % 4 == 0 { "sleep 1000" } else { "cat; exit 5" };
            let ended = sh(script).stdin(n.to_string()).run(&soon);
            assert_eq!(ended.is_err(), n % 4 == 0, "{ended:?}");
            Ok::<_, Stop>(ended.map(|output| text(&output.stdout)).ok())
        });
        for (n, output) in outputs.unwrap().into_iter().enumerate().filter(|(n, _)| n % 4 != 0) {
            assert_eq!(output, Some(n.to_string()));
        }
    };
    round();
    until(|| count("task") <= 3);
    let (fds, hooks) = (count("fd"), ctx.linked());
    (0..3).for_each(|_| round());
    assert_eq!((count("fd"), ctx.linked()), (fds, hooks));
    until(|| count("task") <= 3); // This one, the main one, perhaps one about to end.
    // No zombie: this process has no children.
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    for task in tasks.map(|task| task.unwrap().path()) {
        let children = std::fs::read_to_string(task.join("children")).unwrap_or_default();
        assert_eq!(children, "");
    }
}
