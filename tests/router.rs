//! Runs the `router` example as its users do.
#![cfg(unix)]

use std::fs;
use std::process::{Command, Output};

fn router(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("path of this test");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
    let program = profile.join("examples/router");
    if !program.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "--example", "router"]).status();
        assert!(built.expect("cargo runs").success());
    }
    Command::new(program).args(args).output().expect("it runs")
}

/// What a table of the output says of a row: its first number.
fn number(output: &Output, row: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(row));
    let line = line.unwrap_or_else(|| panic!("no row {row} in {text}"));
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn every_message_goes_its_way() {
    let out = router(&["--messages", "1600", "--delay-us", "0"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let rules: Vec<u64> = ["errors", "database", "rest"].map(|row| number(&out, row)).into();
    assert_eq!(rules.iter().sum::<u64>(), 4800);
    let outputs: Vec<u64> = ["pager", "audit", "archive"].map(|row| number(&out, row)).into();
    assert_eq!(rules, outputs);
    assert!(rules.iter().all(|n| *n > 0), "{rules:?}");
}

#[test]
fn rules_are_read_again_while_messages_flow() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.txt");
    fs::write(&file, "all source * archive # everything\n").unwrap();
    let file = file.to_str().unwrap();
    let out = router(&["--messages", "100", "--rules", file, "--reload-after", "200"]);
    assert!(out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("rules read again"));
    // The counts begin anew: the message that made it read them again is the first to meet them.
    assert_eq!((number(&out, "all"), number(&out, "archive")), (101, 300));
}

#[test]
fn a_mistake_in_the_rules_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.txt");
    for (text, wrong) in [
        ("a source * archive\nb colour red archive\n", "rules.txt:2: no field `colour`"),
        ("a source * nowhere\n", "rules.txt:1: no output `nowhere`"),
        ("# fine\n\nonly three words\n", "rules.txt:3: 3 words"),
        ("a source * archive\na source * archive\n", "two rules called `a`"),
    ] {
        fs::write(&file, text).unwrap();
        let out = router(&["--rules", file.to_str().unwrap()]);
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(wrong), "{stderr}");
    }
    let out = router(&["--rules", "/nowhere/at/all"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("/nowhere/at/all: "));
    assert_eq!(router(&["--colour"]).status.code(), Some(2));
}

#[test]
fn the_plan_reads_as_the_architecture() {
    let out = router(&["--explain"]);
    let plan = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(plan.contains("merge") && plan.contains("classify"), "{plan}");
}
