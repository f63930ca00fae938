//! The example `ironsys` as a program: over real sockets, by signals, under kill -9, and in a browser.
//!
//! Nothing sleeps to see whether something comes: `until` asks again until it is there, or the test fails.

mod brokers;
mod crash;
mod faults;
mod http;
mod page;
mod rude;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The example, which is built with the tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("path of this test");
    let profile = test.ancestors().nth(2).expect("target/profile");
    profile.join("examples/ironsys")
}

/// A server that runs; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it says on its standard error.
    said: Arc<Mutex<String>>,
    pub(crate) dir: tempfile::TempDir,
}

impl Server {
    /// Starts one without a load of its own.
    pub(crate) fn start(more: &[&str]) -> Server {
        let dir = tempfile::tempdir().expect("a folder");
        let mut args = vec!["--people", "0"];
        args.extend(more);
        Server::start_in(dir, &args, Stdio::null())
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, args: &[&str], stdout: Stdio) -> Server {
        Server::launch(Command::new(program()), dir, args, stdout)
    }

    /// Starts it by a command that is not over yet.
    pub(crate) fn launch(
        mut command: Command,
        dir: tempfile::TempDir,
        args: &[&str],
        stdout: Stdio,
    ) -> Server {
        command.args(["--address", "127.0.0.1:0", "--dir"]).arg(dir.path()).args(args);
        let command = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let mut child =
            command.spawn().expect("the example is built: cargo build --example ironsys");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("it says where it is");
        let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("{first}")).parse().expect("an address");
        let said = Arc::new(Mutex::new(first));
        let keep = said.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut said = keep.lock().expect("nobody panics with it");
                said.push_str(&line);
                said.push('\n');
            }
        });
        Server { child, address, said, dir }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("nobody panics with it").clone()
    }

    /// Sends a request on a connection of its own, and returns status and body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.raw(request.as_bytes());
        status_and_body(&answer)
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, text) = self.ask(method, path, body);
        assert!(status < 300, "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}"))
    }

    pub(crate) fn state(&self) -> Value {
        self.json("GET", "/api/state", "")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends bytes and returns all that comes back until the connection is closed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // It may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Bounds the size of the files it writes: what is beyond does not fit on the disk.
    pub(crate) fn limit_files(&self, bytes: &str) {
        self.limit(&format!("--fsize={bytes}:"));
    }

    /// Bounds what the system gives it, in the words of `prlimit`.
    pub(crate) fn limit(&self, limit: &str) {
        let id = self.child.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &id, limit]).status();
        assert!(set.is_ok_and(|status| status.success()), "no limit was set");
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal was sent");
    }

    /// Waits for its end; returns how it ended and its folder.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, tempfile::TempDir) {
        let (ended, has_ended) = mpsc::channel::<()>();
        let id = self.child.id().to_string();
        // Who does not end in time is ended, and the test fails.
        let watch = std::thread::spawn(move || {
            let late = has_ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = Command::new("kill").args(["-KILL", &id]).status();
            }
            late
        });
        let status = self.child.wait().expect("it is our child");
        drop(ended);
        assert!(!watch.join().expect("it does not panic"), "it does not end:\n{}", self.said());
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a folder"));
        (status, self.said(), dir)
    }

    /// What the kernel counts of it: threads and open descriptors.
    pub(crate) fn threads_and_files(&self) -> (usize, usize) {
        let count = |what: &str| {
            let folder = format!("/proc/{}/{what}", self.child.id());
            std::fs::read_dir(folder).map(Iterator::count).unwrap_or(0)
        };
        (count("task"), count("fd"))
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn status_and_body(answer: &[u8]) -> (u16, String) {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status, body.unwrap_or_default())
}

/// Says something that the harness does not hold back.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
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

/// Runs `--check` over what was answered.
pub(crate) fn check(dir: &Path, answers: &Path) -> (bool, String) {
    let mut command = Command::new(program());
    let output = command.arg("--dir").arg(dir).arg("--check").arg(answers).output();
    let output = output.expect("the example is built: cargo build --example ironsys");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
