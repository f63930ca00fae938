//! ironsys beside its peers: the same work in the same run, one tab-separated row a case and peer.
//!
//! `README.md` in this folder says what the columns mean and what each case needs.

mod actors;
mod allocs;
mod cases;
mod go;
mod harness;
mod limits;
mod mapping;
mod measured;
mod ours;
mod rollup_rayon;
#[cfg(feature = "durable")]
mod stores;
mod tally;
mod versions;
mod web;
mod wires;
mod zipf;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use harness::{Row, Settings};

const HELP: &str = "\
Measures ironsys and its peers side by side, and prints a row for each case and peer.

Usage: peers [OPTIONS] [CASE]...

Without CASE, all cases run. The columns are separated by tabs: case, peer, peer version, our median,
the peer's median, unit, ours/peer's, bar, verdict (ok or short). A bar is for the ratio; beside the
peer limit:absolute it is for our own figure. Other rows with a bar of - are for information.

Options:
      --quick     less work a round, as many rounds: shows that all runs, not how fast
      --rounds N  measured rounds of a case, at least 7 [default: 9]
      --list      list the cases
  -h, --help      show this

Environment:
  IRONSYS_GO          the go command, if it is not on the PATH
  IRONSYS_BENCH_DIR   a folder on the disk of the durable cases, else that of this program is
  IRONSYS_ACCESS_LOG  a log in combined format for the case rollup, else one is made up
";

const USAGE: u8 = 2;
const MIN_ROUNDS: usize = 7;

enum Task {
    Help,
    List,
    Measure(Settings, Vec<String>),
    /// What a child process of the case `rollup` does.
    Child(Vec<OsString>),
}

fn main() -> ExitCode {
    match parse_args() {
        Ok(Task::Help) => print!("{HELP}"),
        Ok(Task::List) => print!("{}", list()),
        Ok(Task::Measure(settings, names)) => return measure(&settings, &names),
        Ok(Task::Child(args)) => return measured::child(&args),
        Err(error) => {
            eprint!("{error}; see --help. The cases are:\n{}", list());
            return ExitCode::from(USAGE);
        }
    }
    ExitCode::SUCCESS
}

fn parse_args() -> Result<Task, String> {
    let mut settings = Settings { rounds: 9, quick: false };
    let mut names = Vec::new();
    let mut args = env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some(measured::CHILD) => return Ok(Task::Child(args.collect())),
            Some("--quick") => settings.quick = true,
            Some("--rounds") => {
                let rounds = args.next().and_then(|n| n.to_str()?.parse().ok());
                settings.rounds = rounds
                    .filter(|rounds| *rounds >= MIN_ROUNDS)
                    .ok_or_else(|| format!("--rounds needs a number from {MIN_ROUNDS} on"))?;
            }
            Some("--list") => return Ok(Task::List),
            Some("-h" | "--help") => return Ok(Task::Help),
            Some(name) if cases::ALL.iter().any(|(known, ..)| *known == name) => {
                names.push(name.to_owned());
            }
            _ => return Err(format!("no case or option {}", arg.display())),
        }
    }
    Ok(Task::Measure(settings, names))
}

fn list() -> String {
    cases::ALL.iter().map(|(name, about, _)| format!("{name:24} {about}\n")).collect()
}

/// Runs the cases named, or all, and prints the rows of each as soon as it is done.
fn measure(settings: &Settings, names: &[String]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    println!("{}", Row::HEADER);
    for (name, _, measure) in cases::ALL {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        match measure(settings) {
            Ok(rows) => rows.iter().for_each(|row| println!("{row}")),
            Err(error) => {
                eprintln!("{name}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
