//! overload: what a service is worth at up to five times its capacity, with and without admission.
//!
//! The service has eight workers and a queue. Clients come at random, whatever its state, and give up after
//! a while; the service does not notice. Without a guard the queue grows, and soon all work is for clients
//! that have left. With an `Admission` in front, whose limit is learned, it serves as many as it can in
//! time, and tells the others at once. Time is virtual, so minutes pass in seconds.
//!
//! ```text
//! cargo run --release --example overload
//! ```

mod picture;
mod service;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use lexopt::prelude::*;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use service::{CAPACITY, Point, Trial};

const HELP: &str = "\
Measures a service at up to five times its capacity, with and without admission in front.

Usage: overload [OPTIONS]

Options:
      --svg FILE     where the picture goes [default: overload.svg]
      --loads LIST   times the capacity, up to 20 each [default: 0.5,0.75,1,1.25,1.5,2,3,4,5]
      --seconds N    virtual seconds for each point of a curve, 1 to 60 [default: 4]
      --seed N       other clients, as many [default: 1]
  -h, --help         show this

Exit status: 0 if all is well; 1 if the picture cannot be written; 2 for wrong usage; 130 after Ctrl-C.
";

const LOADS: &str = "0.5,0.75,1,1.25,1.5,2,3,4,5";

struct Options {
    svg: PathBuf,
    /// In ascending order.
    loads: Vec<f64>,
    seconds: u32,
    seed: u64,
}

/// One load, both ways.
struct Pair {
    load: f64,
    with: Point,
    without: Point,
}

fn main() -> ExitCode {
    let options = match parse_args() {
        Ok(Some(options)) => options,
        Ok(None) => {
            out(format_args!("{}", HELP.trim_end()));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            err(format_args!("{error}; see --help"));
            return ExitCode::from(2);
        }
    };
    let time = VirtualClock::auto();
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    match run(&ctx, cancel, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            err(format_args!("{error}"));
            ExitCode::from(if ctx.is_stopped() { 130 } else { 1 })
        }
    }
}

fn parse_args() -> Result<Option<Options>, lexopt::Error> {
    let mut options =
        Options { svg: "overload.svg".into(), loads: loads(LOADS)?, seconds: 4, seed: 1 };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("svg") => options.svg = args.value()?.into(),
            Long("loads") => options.loads = args.value()?.parse_with(loads)?,
            Long("seconds") => options.seconds = args.value()?.parse_with(seconds)?,
            Long("seed") => options.seed = args.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn loads(text: &str) -> Result<Vec<f64>, String> {
    let one = |word: &str| word.trim().parse().ok().filter(|load| *load > 0.0 && *load <= 20.0);
    let loads: Option<Vec<f64>> = text.split(',').map(one).collect();
    let mut loads = loads.ok_or("take numbers above 0, up to 20, with commas between them")?;
    loads.sort_by(f64::total_cmp);
    Ok(loads)
}

fn seconds(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|n| (1..=60).contains(n));
    seconds.ok_or_else(|| "take a number from 1 to 60".into())
}

fn run(
    ctx: &Context,
    cancel: Canceller,
    options: &Options,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::new([SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            cancel.cancel_with("interrupted");
        }
    })?;
    // Before the work, not after it.
    let named = |error| format!("{}: {error}", options.svg.display());
    File::options().append(true).create(true).open(&options.svg).map_err(named)?;
    // Hides itself if stderr is not a terminal.
    let bar = ProgressBar::new(2 * options.loads.len() as u64)
        .with_style(ProgressStyle::with_template("{wide_bar} {pos} of {len} points  {eta} left")?);
    let mut pairs = Vec::new();
    for &load in &options.loads {
        let point = |admission| {
            let &Options { seconds, seed, .. } = options;
            let point = service::measure(ctx, &Trial { load, admission, seconds, seed });
            bar.inc(1);
            point
        };
        pairs.push(Pair { load, with: point(true)?, without: point(false)? });
    }
    bar.finish_and_clear();
    table(&pairs);
    fs::write(&options.svg, picture::draw(&pairs)).map_err(named)?;
    out(format_args!("\nThe curves are in {}.", options.svg.display()));
    Ok(())
}

fn table(pairs: &[Pair]) {
    out(format_args!(
        "Served in time, of a capacity of {CAPACITY:.0} a second; 99 of 100 took at most.\n"
    ));
    out(format_args!("{:>6} {:>9}   {:^32}   {:^18}", "", "", "with admission", "without"));
    out(format_args!(
        "{:>6} {:>9}   {:>8} {:>11} {:>11}   {:>7} {:>10}",
        "load", "clients/s", "in time", "time", "turned away", "in time", "time"
    ));
    for Pair { load, with, without } in pairs {
        out(format_args!(
            "{load:>5}x {:>9.0}   {:>7.0}% {:>8.0} ms {:>10.0}%   {:>6.0}% {:>7.0} ms",
            load * CAPACITY,
            with.goodput * 100.0,
            with.p99.as_secs_f64() * 1e3,
            with.turned_away * 100.0,
            without.goodput * 100.0,
            without.p99.as_secs_f64() * 1e3,
        ));
    }
}

/// Writes to the standard output. A reader that has seen enough (`| head`) is no failure.
fn out(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn err(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "overload: {text}");
}
