//! What goes wrong on purpose: the system bends, says so, and recovers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde_json::Value;

use crate::{Server, until};

fn add(server: &Server, user: &str) -> u16 {
    server.ask("POST", &format!("/api/carts/{user}/items"), r#"{"item": "figs"}"#).0
}

#[test]
fn a_slow_peer_opens_the_breaker_and_a_fast_one_closes_it() {
    let server = Server::start(&[]);
    assert_eq!(add(&server, "known"), 200);
    server.json("POST", "/api/faults/slow-auth", "");
    let mut n = 0;
    until("the breaker opens", || {
        n += 1;
        let status = add(&server, &format!("user-{n}"));
        assert_eq!(status, 503);
        server.state()["auth"]["breaker"] == "open"
    });
    // Nobody waits for a peer that does not answer.
    let (status, why) = server.ask("POST", "/api/carts/new/items", r#"{"item": "figs"}"#);
    assert!(status == 503 && why.contains("breaker"), "{status} {why}");
    // Who was known lately may go on.
    until("the answer in memory is old", || server.state()["uptime"].as_f64() > Some(3.0));
    assert_eq!(add(&server, "known"), 200);
    assert!(server.state()["auth"]["stale"].as_u64() > Some(0));

    server.json("DELETE", "/api/faults/slow-auth", "");
    until("the breaker closes", || {
        n += 1;
        add(&server, &format!("user-{n}"));
        server.state()["auth"]["breaker"] == "closed"
    });
}

#[test]
fn while_billing_is_down_the_outbox_takes_what_comes() {
    let server = Server::start(&[]);
    server.json("POST", "/api/faults/broker-down", "");
    for _ in 0..5 {
        assert_eq!(add(&server, "ada"), 200);
    }
    until("the relay has noticed", || server.state()["usage"]["down"] == true);
    let usage = server.state()["usage"].clone();
    assert_eq!((&usage["pending"], &usage["received"]), (&Value::from(5), &Value::from(0)));
    server.json("DELETE", "/api/faults/broker-down", "");
    until("billing has caught up", || server.state()["usage"]["received"] == 5);
    until("nothing waits", || server.state()["usage"]["pending"] == 0);
}

#[test]
fn a_deadlock_is_found_and_named() {
    let server = Server::start(&["--plant-deadlock"]);
    until("it is found", || server.said().contains("deadlock of 2 threads"));
    until("the page has it", || server.state()["deadlocks"][0].is_string());
    let found = server.state()["deadlocks"][0].as_str().unwrap_or_default().to_owned();
    for name in ["plato", "kant", "left fork", "right fork", "eyes.rs:"] {
        assert!(found.contains(name), "{name}: {found}");
    }
    server.signal("TERM");
    let (status, said, _) = server.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn five_times_the_load_is_shed_and_nothing_that_was_answered_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let answers = dir.path().join("answers");
    let file = std::fs::File::create(&answers).unwrap();
    let args = ["--demo", "--say", "--seconds", "6", "--people", "8", "--concurrent", "4"];
    let server = Server::start_in(tempfile::tempdir().unwrap(), &args, file.into());
    let (status, said, dir) = server.wait();
    assert!(status.success(), "{said}");
    assert!(said.contains("5x load") && said.contains("nothing left"), "{said}");
    let (whole, found) = crate::check(dir.path(), &answers);
    assert!(whole, "{found}");
}

#[test]
fn who_is_too_many_is_told_so_and_changes_nothing_and_looking_on_goes_on() {
    let server = Server::start(&["--concurrent", "1"]);
    let (enough, added, shed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|s| {
        for _ in 0..16 {
            s.spawn(|| {
                while !enough.load(Relaxed) {
                    match add(&server, "ada") {
                        200 => added.fetch_add(1, Relaxed),
                        503 => shed.fetch_add(1, Relaxed),
                        other => panic!("{other}"),
                    };
                }
            });
        }
        until("some are too many", || {
            assert_eq!(server.ask("GET", "/metrics", "").0, 200);
            shed.load(Relaxed) > 0 && added.load(Relaxed) > 0
        });
        enough.store(true, Relaxed);
    });
    assert_eq!(server.state()["http"]["shed"], shed.load(Relaxed));
    assert_eq!(server.json("GET", "/api/carts/ada", "")["items"]["figs"], added.load(Relaxed));
    assert_eq!(add(&server, "ada"), 200);
}

#[test]
fn what_ran_and_waited_can_be_looked_at_and_is_written_to_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let server = Server::start(&["--trace", file.path().to_str().unwrap()]);
    assert_eq!(add(&server, "ada"), 200);
    until("somebody has waited", || {
        server.ask("GET", "/api/waits", "").1.contains("recv `events`")
    });
    let tasks = server.json("GET", "/api/tasks.json", "");
    let named = |name: &str| tasks.as_array().unwrap().iter().any(|task| task["name"] == name);
    assert!(named("ingest-0") && named("deadlock-watch"), "{tasks}");
    server.signal("TERM");
    let (status, said, _) = server.wait();
    assert!(status.success(), "{said}");
    let trace: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    let bars = trace["traceEvents"].as_array().unwrap();
    for name in ["auth", "cart", "outbox"] {
        assert!(bars.iter().any(|bar| bar["name"] == name), "{name}");
    }
}
