//! The API over sockets: what it answers, and the rules of HTTP.

use std::io::{BufRead, BufReader, Read, Write};

use crate::{Server, status_and_body, until};

#[test]
fn carts_events_rollups_and_usage_work_together() {
    let server = Server::start(&["--rollup", "3600"]);
    let added = server.json("POST", "/api/carts/ada/items", r#"{"item": "figs", "n": 2}"#);
    assert_eq!((&added["version"], &added["items"]["figs"]), (&1.into(), &2.into()));
    let undone = server.json("POST", "/api/carts/ada/undo", "");
    assert_eq!((&undone["version"], undone["items"].get("figs")), (&2.into(), None));
    assert_eq!(server.json("GET", "/api/carts/ada", "")["version"], 2);
    let (status, why) = server.ask("POST", "/api/carts/ada/undo", "");
    assert!(status == 409 && why.contains("nothing to undo"), "{status} {why}");

    let (status, _) = server.ask("POST", "/api/events", "page/a 3\npage/b 4\n");
    assert_eq!(status, 202);
    let events = r#"[{"key": "page/a", "value": 1.5, "at": 20000}, {"key": "page/c"}]"#;
    assert_eq!(server.json("POST", "/api/events", events)["accepted"], 2);
    until("the events are counted", || server.state()["ingest"]["counted"] == 4);
    let rollup = server.json("POST", "/api/rollups", "");
    assert_eq!(rollup["events"], 4);
    assert_eq!(
        (&rollup["top"][0]["key"], &rollup["top"][0]["sum"]),
        (&"page/a".into(), &4.5.into())
    );
    assert_eq!(server.json("GET", "/api/rollups", ""), rollup);

    until("billing has both uses", || server.state()["usage"]["received"] == 2);
    let state = server.state();
    assert_eq!((&state["usage"]["used"], &state["usage"]["pending"]), (&3.into(), &0.into()));
}

#[test]
fn a_cart_that_crashes_comes_back_as_it_was() {
    let server = Server::start(&[]);
    let before = server.json("POST", "/api/carts/ada/items", r#"{"item": "figs"}"#);
    assert_eq!(server.ask("DELETE", "/api/carts/ada", "").0, 202);
    until("it has started again", || server.state()["carts"]["restarts"] == 1);
    let after = server.json("GET", "/api/carts/ada", "");
    assert_eq!((&after["items"], &after["trail"]), (&before["items"], &before["trail"]));
}

#[test]
fn errors_are_objects_with_the_right_status() {
    let server = Server::start(&[]);
    let long = "x".repeat(65);
    for (method, path, body, status) in [
        ("GET", "/nothing", "", 404),
        ("GET", "/api/nothing", "", 404),
        ("GET", "/api/../etc/passwd", "", 404),
        ("GET", "/%2e%2e/etc/passwd", "", 404),
        ("GET", "/api/carts/%00", "", 422),
        ("GET", &format!("/api/carts/{long}"), "", 422),
        ("PUT", "/api/carts/ada", "", 405),
        ("POST", "/", "", 405),
        ("BREW", "/ping", "", 405),
        ("DELETE", "/health/live", "", 405),
        ("POST", "/api/state", "", 405),
        ("POST", "/metrics", "", 405),
        ("GET", "/api/carts/ada/items", "", 405),
        ("GET", "/api/events", "", 405),
        ("POST", "/api/carts/ada/items", "{", 400),
        ("POST", "/api/carts/ada/items", "{}", 422),
        ("POST", "/api/carts/ada/items", r#"{"item": "a", "n": -1}"#, 422),
        ("POST", "/api/carts/ada/items", r#"{"item": "a", "n": 1e99}"#, 422),
        ("POST", "/api/carts/evil-eve/items", r#"{"item": "a"}"#, 403),
        ("POST", "/api/events", "page/a x", 400),
        ("POST", "/api/events", "page/a 1e308", 400),
        ("POST", "/api/events", "page/a NaN", 400),
        ("POST", "/api/events", "[1, 2]", 400),
        ("POST", "/api/events", r#"{"key": "page/a", "at": -1}"#, 400),
        ("POST", "/api/events", r#"{"key": "page/a", "at": "noon"}"#, 400),
        ("POST", "/api/events", &"[".repeat(200_000), 400),
        ("POST", "/api/events", &"{\"key\":".repeat(100_000), 400),
        ("POST", "/api/faults/none", "", 404),
        ("GET", "/api/rollups", "", 404),
    ] {
        let (got, text) = server.ask(method, path, body);
        let said = &text[..text.len().min(300)];
        assert_eq!(got, status, "{method} {path}: {said}");
        let error: serde_json::Value = serde_json::from_str(&text).expect("an object");
        assert_eq!(error["error"]["status"], status, "{method} {path}: {said}");
    }
}

#[test]
fn requests_in_one_go_are_answered_in_order_and_the_connection_is_kept() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let one = "GET /api/carts/a HTTP/1.1\r\nHost: x\r\n\r\n";
    let two = "POST /api/carts/a/items HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{\"item\": \"b\"} ";
    let three = "POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                 4\r\nk 1\n\r\n4;q\r\nk 2\n\r\n0\r\n\r\n";
    let four = "HEAD /ping HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all([one, two, three, four].concat().as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for status in [200, 200, 202] {
        let (got, len) = head(&mut reader);
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        assert_eq!(got, status, "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(head(&mut reader), (200, 13)); // and no body
    stream.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(head(&mut reader), (200, 13));
}

/// Status and content length of the next answer.
fn head(reader: &mut impl BufRead) -> (u16, usize) {
    let (mut status, mut len, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            return (status, len);
        }
        assert!(!line.is_empty(), "the connection was closed");
        if line.starts_with("HTTP/1.1 ") {
            status = line[9..12].parse().unwrap();
        } else if let Some(n) = line.strip_prefix("content-length: ") {
            len = n.trim().parse().unwrap();
        }
    }
}

#[test]
fn what_the_oldest_clients_and_proxies_say_is_understood() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    // A whole address as the target, a line too many, and an old client that wants to stay.
    let all = "GET http://x/ping?a HTTP/1.1\r\nhost: x\r\n\r\n\r\n\
               GET /ping HTTP/1.0\r\nconnection: keep-alive\r\n\r\n\
               GET /ping HTTP/1.0\r\nconnection: close, keep-alive\r\n\r\n";
    stream.write_all(all.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let kept: Vec<_> = answer.lines().filter(|line| line.starts_with("connection: ")).collect();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert_eq!(kept, ["connection: keep-alive", "connection: close"], "{answer}");

    let answer = server.raw(b"HEAD /ping HTTP/1.1\r\n\r\n");
    assert_eq!(status_and_body(&answer), (400, String::new()));
}

#[test]
fn a_client_that_waits_for_a_word_gets_it() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let head =
        "POST /api/events HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut word = [0; 25];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"k 1\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202");
}

#[test]
fn without_the_token_nothing_but_the_page_and_the_health_is_to_be_had() {
    let server = Server::start(&["--token", "secret"]);
    for (path, status) in
        [("/", 200), ("/ping", 200), ("/health/ready", 200), ("/api/state", 401), ("/metrics", 401)]
    {
        assert_eq!(server.ask("GET", path, "").0, status, "{path}");
    }
    for (token, status) in [("secret", 200), ("secre", 401), ("secrets", 401), ("", 401)] {
        let request = format!(
            "GET /api/state HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(status_and_body(&server.raw(request.as_bytes())).0, status, "{token}");
    }
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let server = Server::start(&[]);
    let ask = |origin: &str, method: &str| {
        let request = format!(
            "{method} /api/faults/load HTTP/1.1\r\nhost: 127.0.0.1:80\r\norigin: {origin}\r\n\
             connection: close\r\n\r\n"
        );
        status_and_body(&server.raw(request.as_bytes())).0
    };
    for other in ["http://evil.example", "null", "http://127.0.0.1:81", "127.0.0.1:80"] {
        assert_eq!((ask(other, "POST"), ask(other, "GET")), (403, 405), "{other}");
    }
    assert_eq!(server.state()["faults"]["load"], false);
    assert_eq!(ask("http://127.0.0.1:80", "POST"), 200);
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_again() {
    let server = Server::start(&["--rate", "1"]);
    let all: Vec<_> = (0..4).map(|_| server.ask("GET", "/api/carts/a", "").0).collect();
    assert_eq!(all, [200, 200, 429, 429]);
    let answer = server.raw(b"GET /api/carts/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(String::from_utf8_lossy(&answer).contains("retry-after: 1\r\n"));
}

#[test]
fn metrics_follow_the_rules_of_prometheus() {
    let server = Server::start(&[]);
    server.json("POST", "/api/carts/ada/items", r#"{"item": "figs"}"#);
    let (status, text) = server.ask("GET", "/metrics", "");
    assert_eq!(status, 200);
    let mut typed = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.insert(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s));
            let known = typed.contains(name) || family.is_some_and(|name| typed.contains(name));
            assert!(known, "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
    for expected in ["cart_changes_total 1", "http_requests_total{answer=\"ok\"}", "ironsys_"] {
        assert!(text.contains(expected), "{expected}");
    }
}
