//! The Redis parts against a real `redis-server` that gets killed. One test binary.
//!
//! Nothing sleeps to be sure of something: a test waits for a state (`until`) or a message. Where there
//! is no `redis-server` the tests say so and pass, except with `IRONSYS_CI` set.

mod limit;
#[path = "../brokers/members.rs"]
mod members;
mod publish;
mod server;
mod source;
mod takeover;

use ironsys::{Canceller, Context};
use std::time::{Duration, Instant};

pub(crate) use server::Redis;

pub(crate) fn root() -> (Context, Canceller) {
    Context::root()
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !condition() {
        let late = Instant::now() >= give_up;
        assert!(!late, "what the test waits for does not come:\n{}", ironsys::observe::tasks());
        std::thread::yield_now();
    }
}

/// A server that answers everything with what is none of Redis's answers; returns its URL.
pub(crate) fn garbage() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::Write;
            let mut stream = stream;
            // Whoever hangs up has seen enough.
            let _ =
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\nServer: none\r\n\r\n<p>what?</p>");
        }
    });
    url
}
