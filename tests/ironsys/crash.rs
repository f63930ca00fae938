//! Signals and kill -9: what was answered is there afterwards, and the exit code says what was left.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Server, check, until};

#[test]
fn sigterm_under_load_drains_and_the_report_adds_up() {
    let answers = tempfile::NamedTempFile::new().unwrap();
    let stdout = answers.reopen().unwrap();
    let args = ["--people", "8", "--say"];
    let server = Server::start_in(tempfile::tempdir().unwrap(), &args, stdout.into());
    until("there is load", || server.state()["http"]["changes"].as_u64() > Some(100));
    server.signal("TERM");
    let (status, said, dir) = server.wait();
    assert!(status.success(), "{said}");
    let parts = ["http", "carts", "ingest", "rollups", "relay", "outbox"];
    let clean = |part: &str| {
        said.lines().any(|l| l.trim().starts_with(part) && l.ends_with("nothing left"))
    };
    assert!(parts.iter().all(|part| clean(part)), "{said}");
    assert!(said.contains("SIGTERM"), "{said}");
    let (whole, found) = check(dir.path(), answers.path());
    assert!(whole && found.contains(" 0 wait in the outbox"), "{found}");
}

#[test]
fn what_is_left_makes_the_exit_code_a_failure() {
    let server = Server::start(&["--drain", "1"]);
    server.json("POST", "/api/faults/broker-down", "");
    server.json("POST", "/api/carts/ada/items", r#"{"item": "figs"}"#);
    server.signal("TERM");
    let (status, said, _) = server.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("1 events not acked"), "{said}");
}

#[test]
fn carts_that_are_gone_are_missed() {
    let server = Server::start(&[]);
    server.json("POST", "/api/carts/ada/items", r#"{"item": "figs"}"#);
    server.signal("TERM");
    let (_, _, dir) = server.wait();
    let carts = dir.path().join("carts.redb");
    let missed = || {
        let mut command = Command::new(crate::program());
        command.args(["--people", "0", "--address", "127.0.0.1:0", "--dir"]).arg(dir.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("carts.redb: is missing or empty"), "{said}");
    };
    File::create(&carts).unwrap();
    missed();
    std::fs::remove_file(&carts).unwrap();
    missed();

    // Who looks whether all is there names the file as well, and makes none.
    let answers = tempfile::NamedTempFile::new().unwrap();
    let (whole, found) = check(dir.path(), answers.path());
    assert!(!whole && found.contains("carts.redb: "), "{found}");
    assert!(!carts.exists());
}

#[test]
fn books_that_are_gone_are_named() {
    let server = Server::start(&[]);
    server.signal("TERM");
    let (_, _, dir) = server.wait();
    let answers = tempfile::NamedTempFile::new().unwrap();
    let books = dir.path().join("billing.log");
    std::fs::write(&books, b"\xff\n").unwrap();
    let look = || check(dir.path(), answers.path());
    assert!(look().1.contains("billing.log: "), "{}", look().1);
    std::fs::remove_file(&books).unwrap();
    assert!(look().1.contains("billing.log: "), "{}", look().1);
}

#[test]
#[cfg(target_os = "linux")]
fn what_does_not_fit_on_the_disk_is_refused_and_fits_when_there_is_room() {
    let mut command = Command::new("sh");
    // The signal that comes with the error is for programs that do not look at errors.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(crate::program());
    let dir = tempfile::tempdir().unwrap();
    let server = Server::launch(command, dir, &["--people", "0"], Stdio::null());
    let add = |user: String| {
        server.ask("POST", &format!("/api/carts/{user}/items"), r#"{"item": "figs"}"#)
    };
    assert_eq!(add("first".into()).0, 200);
    server.limit_files("600000");
    let mut users = (0..20_000).map(|n| format!("user-{n}"));
    let full = users.find(|user| add(user.clone()).0 != 200).expect("it does not fit");
    assert_eq!(add(full.clone()).0, 503);
    server.limit_files("unlimited");
    until("there is room again", || add(full.clone()).0 == 200);
    for user in ["first".to_owned(), full, users.next().unwrap()] {
        assert_eq!(add(user).0, 200);
    }
    until("billing has all", || server.state()["usage"]["pending"] == 0);
    server.signal("TERM");
    let (status, said, _) = server.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn a_second_signal_forces_the_end() {
    let server = Server::start(&["--drain", "3600"]);
    server.json("POST", "/api/faults/broker-down", "");
    server.json("POST", "/api/carts/ada/items", r#"{"item": "figs"}"#);
    server.signal("INT");
    until("it does not listen any more", || std::net::TcpStream::connect(server.address).is_err());
    let began = Instant::now();
    until("the second is not taken for the first", || began.elapsed() > Duration::from_millis(200));
    server.signal("INT");
    let (status, said, _) = server.wait();
    assert!(status.code() == Some(1) && said.contains("out of time"), "{status} {said}");
}

/// Kills it again and again under load, for `IRONSYS_CHAOS_SECONDS` or three rounds.
#[test]
fn kill_9_under_load_loses_nothing_that_was_answered() {
    let seconds = std::env::var("IRONSYS_CHAOS_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse::<u64>().ok());
    let (rounds, pause) = match seconds {
        Some(seconds) => (u64::max(seconds / 20, 1), Duration::from_secs(20)),
        None => (3, Duration::from_secs(1)),
    };
    let mut dir = tempfile::tempdir().unwrap();
    let answers = tempfile::NamedTempFile::new().unwrap();
    for round in 0..rounds {
        let stdout = File::options().append(true).open(answers.path()).unwrap();
        let seed = round.to_string();
        let args = ["--people", "8", "--say", "--seed", &seed];
        let server = Server::start_in(dir, &args, stdout.into());
        let began = Instant::now();
        until("there is load", || {
            let state = server.state();
            // In every second round the broker goes away and comes back.
            if round % 2 == 1 && began.elapsed() > pause / 4 && began.elapsed() < pause / 2 {
                server.json("POST", "/api/faults/broker-down", "");
            } else if state["faults"]["broker-down"] == true {
                server.json("DELETE", "/api/faults/broker-down", "");
            }
            state["http"]["changes"].as_u64() > Some(50) && began.elapsed() > pause
        });
        server.signal("KILL");
        let (status, said, back) = server.wait();
        assert!(!status.success(), "{said}");
        dir = back;
    }
    // The last start empties the outbox.
    let server = Server::start_in(dir, &["--people", "0"], std::process::Stdio::null());
    until("billing has everything", || server.state()["usage"]["pending"] == 0);
    server.signal("TERM");
    let (status, said, dir) = server.wait();
    assert!(status.success(), "{said}");
    drop_cut_lines(answers.path());
    let (whole, found) = check(dir.path(), answers.path());
    assert!(whole && found.contains(" 0 wait in the outbox"), "{found}");
    crate::say(found.trim_end());
}

/// A kill may cut the line that was being written: it is not an answer.
fn drop_cut_lines(path: &std::path::Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let whole = |line: &&str| line.split(' ').count() == 4 && line.starts_with("user-");
    let lines: String = text.lines().filter(whole).map(|line| format!("{line}\n")).collect();
    std::fs::write(path, lines).unwrap();
}

#[test]
fn the_check_finds_what_is_missing() {
    let server = Server::start(&[]);
    server.json("POST", "/api/carts/user-1/items", r#"{"item": "figs"}"#);
    server.signal("TERM");
    let (_, _, dir) = server.wait();
    let answers = dir.path().join("answers");
    for (line, what) in [
        ("user-1 9 1 0\n", "the cart of user-1"),
        ("user-2 1 1 0\n", "the cart of user-2 is not there"),
        ("user-1 1 1 77\n", "use 77 of user-1 is in no book"),
        ("nonsense\n", "says nothing"),
    ] {
        std::fs::write(&answers, line).unwrap();
        let (whole, found) = check(dir.path(), &answers);
        assert!(!whole && found.contains(what), "{line}: {found}");
    }
}
