//! Clients that break the rules, are slow, or come in crowds.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::{PATIENCE, Server, status_and_body, until};

#[test]
fn what_could_be_understood_in_two_ways_is_refused() {
    let server = Server::start(&[]);
    let big = "a".repeat(20_000);
    let many: String = (0..100).map(|i| format!("x-{i}: 1\r\n")).collect();
    let chunked = "POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n";
    for (request, status) in [
        ("GET /ping HTTP/1.1\r\n\r\n".into(), 400),
        ("GET /ping HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".into(), 400),
        ("GET /ping HTTP/2.0\r\nhost: a\r\n\r\n".into(), 505),
        ("GET ping HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET /ping\r\n\r\n".into(), 400),
        ("GET /ping HTTP/1.1\nhost: a\n\n".into(), 400),
        ("GET /ping HTTP/1.1\r\nhost: a\nx: b\r\n\r\n".into(), 400),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET http:///ping HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("GET https://a/ping HTTP/1.1\r\nhost: a\r\n\r\n".into(), 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".into(), 400),
        (format!("GET /{big} HTTP/1.1\r\nhost: a\r\n\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", &big[..5_000]), 414),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {big}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431),
        ("GET / HTTP/1.1\r\nhost: a\r\nfolded: a\r\n b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nspace : a\r\n\r\n".into(), 400),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".into(),
            400,
        ),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na".into(), 400),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999\r\n\r\na".into(),
            400,
        ),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\na".into(), 413),
        (format!("{chunked}content-length: 4\r\n\r\n0\r\n\r\n"), 400),
        (format!("{chunked}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 501),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".into(), 501),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
        (format!("{chunked}\r\nzz\r\n"), 400),
        (format!("{chunked}\r\n-1\r\n"), 400),
        (format!("{chunked}\r\nffffffff\r\n"), 413),
        (format!("{chunked}\r\n1\r\nabc\r\n"), 400),
        (format!("{chunked}\r\n1;a\rb\r\nk\r\n0\r\n\r\n"), 400),
        (format!("{chunked}\r\n0\r\nx: {big}\r\n\r\n"), 400),
        (format!("{chunked}\r\n1;{big}\r\n"), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nexpect: magic\r\n\r\n".into(), 417),
    ] {
        let request: String = request;
        let (got, text) = status_and_body(&server.raw(request.as_bytes()));
        assert_eq!(got, status, "{:?}: {text}", &request[..request.len().min(120)]);
    }
    assert_eq!(server.ask("GET", "/ping", "").0, 200);
}

/// Mutated requests: whatever comes, there is an answer or an end, and it goes on.
#[test]
fn ten_thousand_malformed_requests_do_no_harm() {
    let server = Server::start(&[]);
    let seeds: [&[u8]; 4] = [
        b"GET /api/carts/a HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /api/carts/a/items HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{\"item\": \"b\"} ",
        b"POST /api/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nk 1\n\r\n0\r\n\r\n",
        b"POST /api/events HTTP/1.1\r\nhost: x\r\ncontent-length: 25\r\n\r\n[{\"key\":\"a\",\"value\":1e9}]\n",
    ];
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice >> 16) as usize % n
    };
    let (threads, files) = server.threads_and_files();
    let mut known = 0;
    for _ in 0..10_000 {
        let mut bytes = seeds[below(seeds.len())].to_vec();
        for _ in 0..=below(6) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes[at] = below(256) as u8,
                1 => bytes.insert(at, below(256) as u8),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                _ => bytes[at] ^= 1 << below(8),
            }
        }
        let (status, _) = status_and_body(&server.raw(&bytes));
        known += usize::from(status >= 200);
        assert!(status < 500 || [501, 503, 505].contains(&status), "{status}: {bytes:?}");
    }
    assert!(known > 5_000, "{known}");
    assert_eq!(server.ask("GET", "/ping", "").0, 200);
    until("all connections are gone", || server.state()["http"]["connections"] == 1);
    let (more_threads, more_files) = server.threads_and_files();
    // Warm threads wait for the next connections, 64 at the most.
    assert!(more_threads <= threads + 70 && more_files <= files + 8, "{more_threads} {more_files}");
    assert!(server.memory() < 200_000, "{} KiB", server.memory());
}

#[test]
fn slow_clients_are_cut_and_the_others_do_not_notice() {
    let server = Server::start(&["--connections", "64"]);
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\nx-slow").unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(server.ask("GET", "/ping", "").0, 200);
    }
    for mut stream in slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    until("they are counted", || server.state()["http"]["cut"].as_u64() >= Some(40));
}

#[test]
fn connections_over_the_limit_are_turned_away_and_there_is_room_again() {
    let server = Server::start(&["--connections", "4"]);
    let held: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream
        })
        .collect();
    let mut over = server.connect();
    over.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    let _ = over.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
    drop(held);
    until("there is room", || server.ask("GET", "/ping", "").0 == 200);
}

#[test]
fn a_drain_answers_what_has_begun_and_closes_what_has_not() {
    let server = Server::start(&[]);
    let (mut idle, mut begun) = (server.connect(), server.connect());
    idle.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    begun.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n").unwrap();
    until("both are there", || server.state()["http"]["connections"] == 3);
    server.signal("TERM");
    let mut answer = String::new();
    idle.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    begun.write_all(b"\r\n").unwrap();
    answer.clear();
    begun.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"),
        "{answer}"
    );
    let (status, said, _) = server.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn a_drain_needs_no_descriptor() {
    let server = Server::start(&[]);
    // It says where it is before the last of its threads has what it needs: this goes through all.
    assert_eq!(server.ask("POST", "/api/carts/ada/undo", "").0, 409);
    server.limit("--nofile=1:");
    server.signal("TERM");
    let (status, said, _) = server.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn what_a_drain_cuts_is_in_its_report() {
    let server = Server::start(&["--drain", "1"]);
    let mut begun = server.connect();
    begun.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n").unwrap();
    until("it is there", || server.state()["http"]["connections"] == 2);
    server.signal("TERM");
    let mut answer = Vec::new();
    let _ = begun.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    let (status, said, _) = server.wait();
    assert!(status.code() == Some(1) && said.contains("1 connections"), "{status}: {said}");
}

#[test]
fn a_followed_file_may_hold_any_bytes_and_lines_of_any_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events");
    let long = vec![b'x'; 10 << 20];
    std::fs::write(&path, [b"a 1\n\xff\xfe 2\nno number\n", &long[..], b"\nb 3\nc"].concat())
        .unwrap();
    let server = Server::start(&["--follow", path.to_str().unwrap()]);
    until("what can be read is counted", || server.state()["ingest"]["counted"] == 3);
    assert_eq!(server.state()["ingest"]["bad"], 2);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b" 4\n").unwrap();
    until("a line that came in two pieces is", || server.state()["ingest"]["counted"] == 4);
    server.signal("TERM");
    let (status, said, _) = server.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn wrong_usage_says_what_is_wrong() {
    for (args, code, what) in [
        (&["--rate", "0"][..], 2, "1 to 1000000"),
        (&["--nonsense"], 2, "--nonsense"),
        (&["--check", "x"], 2, "--dir"),
        (&["--address", "256.0.0.1:1"], 1, "256.0.0.1:1"),
        (&["--dir", "/proc/nowhere"], 1, "/proc/nowhere"),
        (&["--follow", "/nowhere"], 1, "/nowhere"),
    ] {
        let mut command = std::process::Command::new(crate::program());
        if !args.contains(&"--address") {
            command.args(["--address", "127.0.0.1:0"]);
        }
        let mut child = command.args(args).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(status.code() == Some(code) && said.contains(what), "{args:?}: {status} {said}");
    }
}
