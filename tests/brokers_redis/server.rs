//! A real `redis-server` of the test's own, that can be killed and started again.

use crate::until;
use ironsys::brokers::redis::Server;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs while it is alive; its data is in a folder of its own, written through at each command.
pub(crate) struct Redis {
    child: Option<Child>,
    port: u16,
    dir: tempfile::TempDir,
}

impl Redis {
    /// Starts one. `None`, with a word about it, where there is none to start.
    #[expect(clippy::print_stderr, reason = "a test that does not run has to say so")]
    pub(crate) fn start() -> Option<Redis> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            let needed = std::env::var_os("IRONSYS_CI").is_some();
            assert!(!needed, "no redis-server here: apt-get install -y redis-server");
            eprintln!("SKIPPED: no redis-server here; apt-get install -y redis-server");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let mut redis = Redis { child: None, port: free_port(), dir };
        redis.run();
        Some(redis)
    }

    /// Starts it again, with what it had.
    pub(crate) fn run(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let child = spawn(self.port, self.dir.path());
        self.child = Some(child);
        until(|| self.try_query::<String>(&redis::cmd("PING")).is_some());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    pub(crate) fn server(&self) -> Server {
        Server::new(self.url()).expect("a URL").timeout(Duration::from_secs(5))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Asks it, with the `redis` crate's own client.
    pub(crate) fn query<T: redis::FromRedisValue>(&self, cmd: &redis::Cmd) -> T {
        self.try_query(cmd).expect("an answer")
    }

    fn try_query<T: redis::FromRedisValue>(&self, cmd: &redis::Cmd) -> Option<T> {
        let client = redis::Client::open(self.url()).ok()?;
        let mut con = client.get_connection().ok()?;
        cmd.query(&mut con).ok()
    }

    pub(crate) fn pipeline(&self, pipe: &redis::Pipeline) {
        let client = redis::Client::open(self.url()).expect("a URL");
        pipe.query::<()>(&mut client.get_connection().expect("it runs")).expect("an answer");
    }

    /// How many clients wait in a blocking command.
    pub(crate) fn blocked(&self) -> u64 {
        self.number("clients", "blocked_clients:")
    }

    pub(crate) fn len(&self, stream: &str) -> u64 {
        self.query(redis::cmd("XLEN").arg(stream))
    }

    /// The fields `id` of a stream, in its order.
    pub(crate) fn ids(&self, stream: &str) -> Vec<u64> {
        let range = redis::cmd("XRANGE").arg(stream).arg("-").arg("+").to_owned();
        let all: redis::streams::StreamRangeReply = self.query(&range);
        all.ids.iter().map(|entry| entry.get("id").expect("a number")).collect()
    }

    /// How many entries of a group are pending.
    pub(crate) fn pending(&self, stream: &str, group: &str) -> u64 {
        let reply: redis::streams::StreamPendingReply =
            self.query(redis::cmd("XPENDING").arg(stream).arg(group));
        reply.count() as u64
    }

    /// How many commands it has served, those that ask included.
    pub(crate) fn commands(&self) -> u64 {
        self.number("stats", "total_commands_processed:")
    }

    fn number(&self, section: &str, name: &str) -> u64 {
        let text: String = self.query(redis::cmd("INFO").arg(section));
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the number").trim().parse().expect("a number")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, dir: &Path) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it was there a moment ago")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}
