//! With real brokers in between.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ironsys::Context;
use ironsys::brokers::nats::{JetStream, Options};

use crate::{Server, until};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port()
}

/// A broker that runs; killed when it is dropped.
struct Broker(Child);

impl Broker {
    /// `None`, and it says so, if there is none on this machine.
    fn start(name: &str, port: u16, args: &[&str], dir: &Path) -> Option<Broker> {
        let mut command = Command::new(name);
        command.args(args).arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            assert!(std::env::var_os("IRONSYS_CI").is_none(), "there is no {name}");
            crate::say(&format!("SKIPPED: there is no {name} here"));
            return None;
        };
        let broker = Broker(child);
        until("the broker listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(broker)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn usage_goes_through_jetstream_and_none_is_lost_when_that_is_killed() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let (number, url) = (port.to_string(), format!("nats://127.0.0.1:{port}"));
    let args = ["-a", "127.0.0.1", "-p", &number, "-js", "-sd"];
    let start = || Broker::start("nats-server", port, &args, dir.path());
    let Some(mut broker) = start() else { return };
    let server = Server::start(&["--nats", &url, "--ingest-nats", &url]);
    for round in 1..=3 {
        for _ in 0..20 {
            server.json("POST", "/api/carts/ada/items", r#"{"item": "figs"}"#);
        }
        if round < 3 {
            drop(broker);
            // What is used while the broker is away waits in the outbox.
            server.json("POST", "/api/carts/ada/undo", "");
            broker = start().unwrap();
        }
    }
    until("billing has all of it", || server.state()["usage"]["received"] == 62);
    until("nothing waits", || server.state()["usage"]["pending"] == 0);

    let (ctx, _cancel) = Context::root();
    let mut jetstream = JetStream::connect(&ctx, Options::new([&url]).unwrap()).unwrap();
    for n in 0..10 {
        jetstream.publish(&ctx, "events.page", &n.to_string(), b"page/a 1\npage/b 2\n").unwrap();
    }
    until("the events are counted", || server.state()["ingest"]["counted"] == 20);
    server.signal("TERM");
    let (status, said, dir) = server.wait();
    assert!(status.success(), "{said}");
    let books = std::fs::read_to_string(dir.path().join("billing.log")).unwrap();
    assert_eq!(books.lines().count(), 62);
    drop(broker);
}

#[test]
fn a_broker_that_is_not_there_is_an_error_that_names_it() {
    let url = format!("nats://127.0.0.1:{}", free_port());
    let mut command = Command::new(crate::program());
    command.args(["--address", "127.0.0.1:0", "--people", "0", "--nats", &url]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(&url), "{said}");
}
