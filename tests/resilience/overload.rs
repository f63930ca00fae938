//! Runs the `overload` example as its users do.
#![cfg(unix)]

use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn overload(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("path of this test");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
    let program = profile.join("examples/overload");
    if !program.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "--example", "overload"]).status();
        assert!(built.expect("cargo runs").success());
    }
    let piped = (Stdio::piped(), Stdio::piped());
    let child = Command::new(program).args(args).stdout(piped.0).stderr(piped.1).spawn();
    let child = child.expect("it runs");
    let (done, output) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    output.recv_timeout(Duration::from_secs(180)).expect("it ends").expect("it can be read")
}

/// The row of a load: in time, 99th percentile and turned away with admission; the first two without.
fn row(text: &str, load: &str) -> [f64; 5] {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(load));
    let line = line.unwrap_or_else(|| panic!("no row {load} in {text}"));
    let words = line.split_whitespace().map(|word| word.trim_end_matches('%'));
    let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    numbers[1..].try_into().unwrap_or_else(|_| panic!("{line}"))
}

/// With admission the 99th percentile stays within twice that at the capacity, and nine tenths of the
/// capacity are used; without, it collapses.
///
/// 001-37: admission, a limit that learns and shedding together.
#[test]
fn admission_keeps_a_service_up_to_five_times_its_capacity() {
    let dir = tempfile::tempdir().unwrap();
    let svg = dir.path().join("curves.svg");
    let out = overload(&["--loads", "1,5", "--seconds", "1", "--svg", svg.to_str().unwrap()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stderr.is_empty(), "progress is for terminals");
    let text = String::from_utf8(out.stdout).unwrap();
    let [_, at_capacity, ..] = row(&text, "1x");
    let [goodput, p99, away, without, late] = row(&text, "5x");
    assert!(goodput >= 90.0 && p99 <= 2.0 * at_capacity && away > 70.0, "{text}");
    assert!(without < 10.0 && late > 1000.0, "{text}");
    let picture = fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg") && picture.matches("<polyline").count() == 4);
}

#[test]
fn wrong_usage_and_a_place_that_cannot_be_written_to_are_told_apart() {
    for args in [
        &["--seconds", "0"][..],
        &["--seconds", "61"],
        &["--loads", "1,-2"],
        &["--loads", "1,,2"],
        &["--colour"],
        &["file"],
    ] {
        let out = overload(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("--help"));
    }
    let help = overload(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--svg FILE"));
    let out = overload(&["--svg", "/nowhere/at/all.svg"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("/nowhere/at/all.svg: "));
}
