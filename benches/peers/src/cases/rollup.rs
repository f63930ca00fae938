//! The example `rollup` on a large log, as a process, against rayon over a memory map.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::harness::{Bar, Case, Row, Settings};
use crate::measured::{self, Measured};
use crate::versions;

/// Bytes of log, and in a quick run.
const LOG: usize = 950_000_000;
const QUICK_LOG: usize = 50_000_000;
/// Root of the package `ironsys`.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// What both must agree on.
const TOTALS: [&str; 7] = ["lines", "bad_lines", "all", "clients", "statuses", "days", "paths"];

pub(crate) fn rollup(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let example = build_example()?;
    let log = repeat_log(&example, if settings.quick { QUICK_LOG } else { LOG })?;
    let (log, mega_bytes) = (log.path(), log.as_file().metadata()?.len() as f64 / 1e6);
    let expected = totals(&measured::run_self("rayon", log)?)?;

    let our_run = || measured::run(&example, &["--json".as_ref(), log.as_ref()]);
    let (mut our_peaks, mut their_peaks) = (Vec::new(), Vec::new());
    let mut rows = Case::new("rollup", "MB/s (more is better)", || {
        checked(our_run(), &expected, mega_bytes, &mut our_peaks)
    })
    .peer("rayon over a memory map", versions::RAYON, Bar::AtLeast(0.9), || {
        checked(measured::run_self("rayon", log), &expected, mega_bytes, &mut their_peaks)
    })
    .limit("sum of the bytes", || {
        mega_bytes / measured::run_self("sum", log).expect("it runs").seconds
    })
    .measure(settings);

    // The peaks of the very same rounds.
    let (mut our_peaks, mut their_peaks) = (our_peaks.into_iter(), their_peaks.into_iter());
    let memory = Case::new("rollup_memory", "MiB", || our_peaks.next().expect("one a round"))
        .absolute(Bar::AtMost(64.0))
        .peer("rayon over a memory map", versions::RAYON, Bar::None, || {
            their_peaks.next().expect("one a round")
        });
    rows.extend(memory.measure(settings));
    Ok(rows)
}

/// MB/s of a run whose totals are right; its peak, in MiB, is added to `peaks`.
fn checked(
    run: Result<Measured, Box<dyn Error>>,
    expected: &Value,
    mega_bytes: f64,
    peaks: &mut Vec<f64>,
) -> f64 {
    let run = run.expect("it runs");
    assert!(totals(&run).expect("JSON") == *expected, "the totals differ");
    peaks.push(run.peak_kib as f64 / 1024.0);
    mega_bytes / run.seconds
}

/// What a program printed, as far as both print it; it must have kept all keys.
fn totals(run: &Measured) -> Result<Value, Box<dyn Error>> {
    let printed: Value = serde_json::from_slice(&run.output)?;
    if let Some(Value::Object(others)) = printed.get("others")
        && others.values().any(|other| other["requests"] != 0)
    {
        return Err("keys are missing from the totals".into());
    }
    let mut totals = serde_json::Map::new();
    for key in TOTALS {
        let value = printed.get(key).ok_or_else(|| format!("no {key:?} in the totals"))?;
        totals.insert(key.into(), value.clone());
    }
    Ok(totals.into())
}

/// Builds the example, unless it is up to date, and returns where it is.
fn build_example() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", "ironsys", "--example", "rollup"]);
    build.arg("--message-format=json-render-diagnostics").current_dir(ROOT);
    let output = build.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo build --example rollup: {}", output.status).into());
    }
    let executable = String::from_utf8(output.stdout)?.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "rollup";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    executable.ok_or_else(|| "cargo names no executable for the example".into())
}

/// Writes a log of about `size` bytes: the one of the environment, or else one that the example
/// makes up, again and again.
fn repeat_log(example: &Path, size: usize) -> Result<NamedTempFile, Box<dyn Error>> {
    let mut once = match env::var_os("IRONSYS_ACCESS_LOG") {
        Some(path) => fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => Command::new(example).args(["--generate", "2"].map(OsStr::new)).output()?.stdout,
    };
    if once.is_empty() {
        return Err("the log is empty".into());
    }
    if !once.ends_with(b"\n") {
        once.push(b'\n');
    }
    let mut log = NamedTempFile::new()?;
    for _ in 0..size.div_ceil(once.len()) {
        log.write_all(&once)?;
    }
    Ok(log)
}
