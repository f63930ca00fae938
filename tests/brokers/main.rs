//! Brokers: the real servers, started here on free ports, killed and started again.
//!
//! Where a server is not installed its tests say that they are skipped, unless `IRONSYS_CI` is set: then
//! they fail.

mod cluster;
mod liars;
mod members;
mod nats;
mod takeover;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ironsys::{Canceller, Context};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs; killed when it is dropped.
pub(crate) struct Server {
    child: Option<Child>,
    make: Box<dyn Fn() -> Command>,
    pub(crate) port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Starts what `make` says for a port and a folder; `None` if it is not installed.
    pub(crate) fn start(make: impl Fn(u16, &Path) -> Command + 'static) -> Option<Server> {
        let dir = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let path = dir.path().to_owned();
        let make = Box::new(move || make(port, &path));
        let mut server = Server { child: None, make, port, _dir: dir };
        server.run().then_some(server)
    }

    /// Starts it, again; whether it is installed.
    pub(crate) fn run(&mut self) -> bool {
        let mut command = (self.make)();
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            let name = command.get_program().to_string_lossy().into_owned();
            assert!(std::env::var_os("IRONSYS_CI").is_none(), "there is no {name}");
            let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {name} here");
            return false;
        };
        self.child = Some(child);
        until("it listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        true
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

/// A root that ends a test that hangs.
pub(crate) fn root() -> (Context, Canceller) {
    Context::builder().timeout(PATIENCE).build()
}

/// Asks again until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}
