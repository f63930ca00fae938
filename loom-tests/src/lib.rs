//! What the tools of this package share: the models as a program, and cargo as a tool.
//!
//! * `cargo run -p loom-tests --bin census`: is every operation of the seam reached by a model?
//! * `cargo run -p loom-tests --bin seeded-bugs`: does a model catch each bug that is planted?
//!
//! Both build into directories beside the usual target directory, so that switching between builds
//! compiles nothing twice.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What any step may fail with: a text for whoever runs the tool.
pub type Fallible<T> = Result<T, String>;

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A target directory of its own for one kind of build: `target-loom` beside `target`.
#[must_use]
pub fn target(kind: &str) -> PathBuf {
    let usual = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    root().join(format!("{}-{kind}", usual.trim_end_matches('/')))
}

/// Cargo in the root of the workspace, with flags for the compiler and a target directory.
#[must_use]
pub fn cargo(command: &str, flags: &str, target: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).arg(command).arg("--target-dir").arg(target);
    // What the tool's own `cargo run` set is not meant for this one.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    cargo.env("RUSTFLAGS", flags).stderr(Stdio::inherit());
    cargo
}

/// Runs a cargo that was told `--message-format=json` and returns its messages.
///
/// # Errors
/// If it fails; what the compiler had to say is printed.
pub fn messages(mut cargo: Command) -> Fallible<Vec<Value>> {
    let out = cargo.output().map_err(|e| format!("cargo does not start: {e}"))?;
    let lines = out.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let messages: Vec<Value> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if !out.status.success() {
        for message in &messages {
            if message["message"]["level"] == "error" {
                eprintln!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
            }
        }
        return Err(format!("{cargo:?} failed: {}", out.status));
    }
    Ok(messages)
}

/// Builds a test for loom, in a profile of the workspace, and returns the program.
///
/// # Errors
/// If it does not compile.
pub fn build(package: &str, test: &str, profile: &str) -> Fallible<PathBuf> {
    let mut cargo = cargo("test", "--cfg loom", &target("loom"));
    cargo.args(["-p", package, "--profile", profile, "--test", test, "--no-run"]);
    cargo.args(["--message-format=json", "--quiet"]);
    let messages = messages(cargo)?;
    let program = messages.iter().filter(|m| m["target"]["name"] == test);
    let program = program.filter_map(|m| m["executable"].as_str()).next_back();
    program.map(PathBuf::from).ok_or_else(|| format!("cargo names no program for the test {test}"))
}

/// One `MODEL` line.
#[derive(Debug, Clone)]
pub struct Model {
    /// `loom-2`, `loom-FAILED`, `shuttle-pct`, `stress` …
    pub kind: String,
    /// How many executions.
    pub executions: u64,
    /// How long they took together.
    pub seconds: f64,
}

/// The `MODEL` lines in a text, by the model's name.
#[must_use]
pub fn models(text: &str) -> BTreeMap<String, Model> {
    let mut models = BTreeMap::new();
    for line in text.lines() {
        let Some(("", rest)) = line.split_once("MODEL ") else { continue };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
        let (Some(name), Some(kind)) = (words.first(), words.get(1)) else { continue };
        let executions = value("executions=").and_then(|n| n.parse().ok()).unwrap_or(0);
        let seconds = value("seconds=").and_then(|n| n.parse().ok()).unwrap_or(0.0);
        models.insert((*name).into(), Model { kind: (*kind).into(), executions, seconds });
    }
    models
}
