//! Child processes whose time and peak memory are measured.
//!
//! A program is run by a small process of its own (this binary again, told so by a hidden argument),
//! whose children it alone is: so the peak that the kernel keeps for them is the program's.

use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

use crate::rollup_rayon;
#[cfg(feature = "durable")]
use crate::stores;

/// The argument that makes this binary a child.
pub(crate) const CHILD: &str = "--child";

pub(crate) struct Measured {
    /// What the program wrote to its standard output.
    pub(crate) output: Vec<u8>,
    /// From its start until it has ended.
    pub(crate) seconds: f64,
    pub(crate) peak_kib: u64,
}

/// Runs a program; it fails if the program does.
pub(crate) fn run(program: &Path, args: &[&OsStr]) -> Result<Measured, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.args([CHILD, "measure"]).arg(program).args(args).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {}\n{said}", program.display(), output.status).into());
    }
    let report: Option<(f64, u64)> = said.lines().last().and_then(|line| {
        let (seconds, peak) = line.split_once(' ')?;
        Some((seconds.parse().ok()?, peak.parse().ok()?))
    });
    let (seconds, peak_kib) = report.ok_or_else(|| format!("no report in {said:?}"))?;
    Ok(Measured { output: output.stdout, seconds, peak_kib })
}

/// Runs this binary as the child that does `what` with a file.
pub(crate) fn run_self(what: &str, file: &Path) -> Result<Measured, Box<dyn Error>> {
    run(&env::current_exe()?, &[CHILD.as_ref(), what.as_ref(), file.as_ref()])
}

/// The main function of a child.
pub(crate) fn child(args: &[OsString]) -> ExitCode {
    let result = match args {
        [what, program, args @ ..] if what == "measure" => measure(program, args),
        [what, file] if what == "rayon" => rollup_rayon::rollup(Path::new(file)),
        [what, file] if what == "sum" => rollup_rayon::sum(Path::new(file)),
        #[cfg(feature = "durable")]
        [what, dir, events] if what == "fill" => fill_here(dir, events),
        #[cfg(feature = "durable")]
        [what, dir] if what == "reopen" => reopen_here(dir),
        _ => Err("not for use by hand".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program on our own standard output, and reports as the last line of our standard error.
fn measure(program: &OsStr, args: &[OsString]) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let status = Command::new(program).args(args).status()?;
    let seconds = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(status.to_string().into());
    }
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    writeln!(std::io::stderr(), "{seconds} {peak_kib}")?;
    Ok(())
}

/// Puts so many events into an outbox; the process that does it ends without closing it.
#[cfg(feature = "durable")]
pub(crate) fn fill(dir: &Path, events: u64) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    let status = command.args([CHILD, "fill"]).arg(dir).arg(events.to_string()).status()?;
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}

#[cfg(feature = "durable")]
fn fill_here(dir: &OsStr, events: &OsStr) -> Result<(), Box<dyn Error>> {
    let events = events.to_str().ok_or("no number")?.parse()?;
    stores::fill(Path::new(dir), events);
    Ok(())
}

/// Opens an outbox in a process of its own.
#[cfg(feature = "durable")]
pub(crate) fn reopen(dir: &Path) -> Result<stores::Reopened, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.args([CHILD, "reopen"]).arg(dir).output()?;
    let said = String::from_utf8(output.stdout)?;
    let mut words = said.split_whitespace();
    let [ms, kib, pending] = [(); 3].map(|()| words.next().unwrap_or(""));
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(stores::Reopened { ms: ms.parse()?, kib: kib.parse()?, pending: pending.parse()? })
}

#[cfg(feature = "durable")]
fn reopen_here(dir: &OsStr) -> Result<(), Box<dyn Error>> {
    let stores::Reopened { ms, kib, pending } = stores::reopen(Path::new(dir))?;
    writeln!(std::io::stdout(), "{ms} {kib} {pending}")?;
    Ok(())
}
