//! Servers that answer `GET /ping` with the same bytes, and a load on one of them.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ironsys::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The front of the example `ironsys`, as it stands there.
#[allow(dead_code, unused_imports)]
#[path = "../../../examples/ironsys/http/mod.rs"]
mod http;

/// What all answer.
const HELLO: &str = "hello, world!";
const REQUEST: &[u8] = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
/// Connections that the load keeps open, each of which a server may want a thread for.
pub(crate) const CONNECTIONS: usize = 64;

/// Answers where it is read, or on a thread of its own as what may wait.
struct Hello {
    at_once: bool,
}

impl http::Handler for Hello {
    fn answer(&self, _: &Context, _: &http::Request<'_>) -> http::Response {
        http::Response::text(HELLO)
    }

    fn at_once(&self, _: &http::Request<'_>) -> Option<http::Response> {
        self.at_once.then(|| http::Response::text(HELLO))
    }
}

/// Starts ours. It serves until the process ends.
pub(crate) fn ours(at_once: bool) -> Result<SocketAddr, Box<dyn Error>> {
    let (ctx, cancel) = Context::root();
    let server = http::Server::bind((Ipv4Addr::LOCALHOST, 0), http::Limits::default())?;
    let address = server.address();
    let part = server.start(&ctx, "http", Arc::new(Hello { at_once }))?;
    std::mem::forget((part, cancel));
    Ok(address)
}

/// Starts khttp's own pool with a thread for each connection: it keeps a thread for as long as the
/// connection lives.
pub(crate) fn khttp() -> Result<SocketAddr, Box<dyn Error>> {
    let address = free()?;
    let mut server = khttp::Server::builder(address)?;
    server.thread_count(CONNECTIONS);
    server.route(khttp::Method::Get, "/ping", |_, answer| {
        let mut headers = khttp::Headers::new();
        headers.add("content-type", b"text/plain; charset=utf-8");
        answer.ok(&headers, HELLO)
    });
    let server = server.build();
    thread::spawn(move || server.serve());
    Ok(address)
}

/// Starts tiny_http with four threads that answer, as its own example does.
pub(crate) fn tiny_http() -> Result<SocketAddr, Box<dyn Error>> {
    let server = tiny_http::Server::http((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let address = server.server_addr().to_ip().ok_or("no address")?;
    let server = Arc::new(server);
    for _ in 0..4 {
        let server = server.clone();
        thread::spawn(move || {
            while let Ok(request) = server.recv() {
                let _ = request.respond(tiny_http::Response::from_string(HELLO));
            }
        });
    }
    Ok(address)
}

/// A port that was free a moment ago.
fn free() -> Result<SocketAddr, Box<dyn Error>> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Answers a second under wrk, all of which were right.
///
/// # Panics
/// If wrk does not run, or an answer was wrong.
pub(crate) fn load(address: SocketAddr, seconds: u64) -> f64 {
    let connections = CONNECTIONS.to_string();
    let args = ["-t2", "-c", &connections, "-d", &format!("{seconds}s")];
    let run = Command::new("wrk").args(args).arg(format!("http://{address}/ping")).output();
    let said = String::from_utf8(run.expect("wrk runs").stdout).expect("wrk writes text");
    assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{said}");
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok()).expect("wrk says its rate")
}

/// How unevenly connections are served: the answers of the busiest by those of the least served, of
/// [`CONNECTIONS`] that ask again as soon as they are answered, all by one thread.
///
/// # Panics
/// If a connection breaks.
pub(crate) fn unfairness(address: SocketAddr, seconds: u64) -> f64 {
    let connect = |_| TcpStream::connect(address).expect("it listens");
    let mut streams: Vec<(TcpStream, u64)> =
        (0..CONNECTIONS).map(connect).map(|stream| (stream, 0)).collect();
    for (stream, _) in &mut streams {
        stream.write_all(REQUEST).expect("it reads");
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut buf, mut first) = ([0; 1024], 0);
    while Instant::now() < until {
        let fds = streams.iter().map(|(stream, _)| stream.as_fd());
        let mut watched: Vec<PollFd<'_>> =
            fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        poll(&mut watched, PollTimeout::from(1_000_u16)).expect("poll works");
        let ready: Vec<bool> = watched.iter().map(|fd| fd.any() == Some(true)).collect();
        // Whoever is looked at first is asked first again: that one is another one each time.
        first = (first + 1) % CONNECTIONS;
        for i in (first..CONNECTIONS).chain(0..first).filter(|i| ready[*i]) {
            let (stream, served) = &mut streams[i];
            // Such a short answer comes in one piece.
            let n = stream.read(&mut buf).expect("it answers");
            assert!(buf[..n].ends_with(HELLO.as_bytes()), "{:?}", &buf[..n]);
            *served += 1;
            stream.write_all(REQUEST).expect("it reads");
        }
    }
    let served = streams.iter().map(|(_, served)| *served);
    let (most, least) = (served.clone().max(), served.min());
    most.unwrap_or(0) as f64 / (least.unwrap_or(0) as f64).max(1.0)
}
