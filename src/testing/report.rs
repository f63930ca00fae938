//! One line a model, and the environment.

use std::fs::OpenOptions;
use std::io::Write;
use std::str::FromStr;
use std::time::Instant;

/// Says what was searched: to the test's output, and to the file that `IRONSYS_STATS` names.
#[expect(clippy::print_stderr, reason = "the output of a test")]
pub(super) fn line(name: &str, kind: &str, executions: u64, since: Instant) {
    let name = name.replace(char::is_whitespace, "_");
    let seconds = since.elapsed().as_secs_f64();
    let line = format!("MODEL {name} {kind} executions={executions} seconds={seconds:.3}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("IRONSYS_STATS")
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        // One write a line: O_APPEND keeps the lines of parallel tests whole.
        let _ = file.write_all(line.as_bytes());
    }
}

/// A number from the environment.
///
/// # Panics
/// If the variable is set to something else: a limit that is silently ignored is worse.
pub(super) fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let Ok(value) = text.parse() else { panic!("{name}={text} is not a number in range") };
    Some(value)
}
