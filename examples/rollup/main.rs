//! rollup: totals of access logs, by client, status, day and path.
//!
//! A batch job built from a flow, a channel and a context: see `pipeline` for its shape. It uses all
//! cores, keeps its memory bounded whatever the input, counts what it cannot read instead of
//! dropping it, and stops within 100 ms of Ctrl-C. Run it without arguments to see it work on a log
//! that it makes up itself:
//!
//! ```text
//! cargo run --release --example rollup
//! cargo run --release --example rollup -- --top 5 --bad bad.txt access.log access.log.1.gz
//! ```

mod block;
mod input;
mod line;
mod pipeline;
mod plain;
mod progress;
mod recorder;
mod report;
mod sample;
mod totals;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use indicatif::HumanCount;
use ironsys::{Canceller, Context};
use lexopt::prelude::*;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use input::Source;
use progress::{Progress, say};
use sample::Sample;

const HELP: &str = "\
Totals access logs (combined format) by client, status, day and path.

Usage: rollup [OPTIONS] [FILE]...

FILE is plain or gzipped text; - is the standard input. Without FILE, a made-up log is read.

Options:
      --top N        rows shown of each table [default: 10]
      --json         write all rows, as one JSON object
      --bad PATH     write lines that do not parse to PATH, as file:line: reason: text
      --explain      also say how the job is laid out
      --memory MIB   memory for keys; requests with further keys are counted as others [default: 32]
      --generate MIB write so much made-up log to the standard output, and do nothing else
  -h, --help         show this

Exit status: 0 if all is well, even if some lines do not parse (they are counted); 1 if a file
cannot be read to its end or none of its lines parses; 2 for wrong usage; 130 after Ctrl-C.
";

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;
const MIB: usize = 1 << 20;
/// Size of the made-up log, in bytes.
const SAMPLE: u64 = 32 << 20;
/// How long the job may take to end by itself after Ctrl-C.
const GRACE: Duration = Duration::from_millis(40);

enum Task {
    Help,
    Generate(u64),
    Total(Options),
}

#[derive(Default)]
struct Options {
    sources: Vec<Source>,
    top: usize,
    json: bool,
    explain: bool,
    bad: Option<PathBuf>,
    /// In bytes.
    memory: usize,
}

fn main() -> ExitCode {
    match parse_args() {
        Ok(Task::Help) => print(|out| out.write_all(HELP.as_bytes())),
        Ok(Task::Generate(size)) => print(|out| io::copy(&mut Sample::new(size), out).map(drop)),
        Ok(Task::Total(options)) => total(&options),
        Err(error) => {
            say(format_args!("{error}; see --help"));
            ExitCode::from(USAGE)
        }
    }
}

fn parse_args() -> Result<Task, lexopt::Error> {
    let mut options = Options { top: 10, memory: 32 << 20, ..Options::default() };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("top") => options.top = args.value()?.parse()?,
            Long("json") => options.json = true,
            Long("explain") => options.explain = true,
            Long("bad") => options.bad = Some(args.value()?.into()),
            Long("memory") => {
                options.memory = args.value()?.parse::<NonZero<usize>>()?.get().saturating_mul(MIB);
            }
            Long("generate") => {
                let size = args.value()?.parse::<u64>()?.saturating_mul(MIB as u64);
                return Ok(Task::Generate(size));
            }
            Short('h') | Long("help") => return Ok(Task::Help),
            Value(path) if path == "-" => options.sources.push(Source::Stdin),
            Value(path) => options.sources.push(Source::File(path.into())),
            other => return Err(other.unexpected()),
        }
    }
    if options.sources.is_empty() {
        options.sources.push(Source::Sample(SAMPLE));
    }
    Ok(Task::Total(options))
}

/// Reads all sources and reports; everything the example is about.
fn total(options: &Options) -> ExitCode {
    let bad = match create_bad(options) {
        Ok(bad) => bad,
        Err(error) => {
            say(format_args!("--bad: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    let size = options.sources.iter().map(Source::size).sum();
    let progress = Arc::new(Progress::new(size));
    let (ctx, cancel) = Context::root();
    if let Err(error) = watch_for_interrupt(cancel, Arc::clone(&progress)) {
        say(format_args!("cannot watch for Ctrl-C: {error}"));
        return ExitCode::from(FAILED);
    }
    let Options { sources, memory, explain, .. } = options;
    let totalled = pipeline::run(&ctx, sources, *memory, bad, *explain, &progress);
    let (totals, journal) = match totalled {
        Ok(totalled) => totalled,
        Err(pipeline::Error::Stopped(_)) => {
            progress.say_interrupted();
            return ExitCode::from(INTERRUPTED);
        }
        Err(error) => {
            say(error);
            return ExitCode::from(FAILED);
        }
    };
    let summary = progress.finish();
    let printed = print(|out| match options.json {
        true => report::write_json(out, &totals, &journal),
        false => report::write_tables(out, &totals, options.top),
    });
    for what in journal.examples.iter().chain(&journal.errors) {
        say(what);
    }
    let hint =
        if journal.bad > 0 && options.bad.is_none() { " (--bad PATH keeps them)" } else { "" };
    let (lines, bad) = (HumanCount(journal.lines), HumanCount(journal.bad));
    say(format_args!("{summary}: {lines} lines, {bad} of them did not parse{hint}"));
    if journal.errors.is_empty() { printed } else { ExitCode::from(FAILED) }
}

/// Creates the file for bad lines, unless that would destroy one of the logs.
fn create_bad(options: &Options) -> io::Result<Option<File>> {
    let Some(path) = &options.bad else { return Ok(None) };
    if let Ok(real) = path.canonicalize() {
        let is_it = |log: &PathBuf| log.canonicalize().is_ok_and(|log| log == real);
        if options.sources.iter().any(|source| matches!(source, Source::File(log) if is_it(log))) {
            return Err(io::Error::other(format!("{} is one of the logs", path.display())));
        }
    }
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    File::create(path).map(Some).map_err(named)
}

/// Starts the thread that turns Ctrl-C into a stop of the job.
///
/// The job then ends by itself within a few milliseconds, and `main` with it, unless a thread is in a
/// system call that no context can end, such as a read from a silent pipe or a write to a pager. So
/// if the process is still there after `GRACE`, this thread ends it.
fn watch_for_interrupt(cancel: Canceller, progress: Arc<Progress>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            cancel.cancel_with("interrupted");
            thread::sleep(GRACE);
            progress.say_interrupted();
            exit(INTERRUPTED.into());
        }
    })?;
    Ok(())
}

/// Writes to the standard output. A reader that has seen enough (`| head`) is no failure.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(format_args!("standard output: {error}"));
            ExitCode::from(FAILED)
        }
        _ => ExitCode::SUCCESS,
    }
}
