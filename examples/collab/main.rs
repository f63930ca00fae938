//! collab: boards of notes that many people change at once.
//!
//! Every board is a session. A change is answered when it is on disk; boards that nobody uses leave
//! memory; one that crashes comes back as it was. People are threads with seeded dice. Kill it whenever
//! you like: what was answered is there the next time.
//!
//! ```text
//! cargo run --release --example collab
//! ```

mod board;
mod check;
mod codec;
mod load;
mod say;
mod table;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ironsys::bus::Bus;
use ironsys::durable::DiskStore;
use ironsys::session::Manager;
use ironsys::{Canceller, Context};
use lexopt::prelude::*;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use board::{Board, CRASH, Office};
use load::{Counts, Load};

const HELP: &str = "\
Boards of notes that many people change at once, kept on disk.

Usage: collab [OPTIONS]

Options:
      --dir DIR       where the boards are kept [default: a folder that is removed at the end]
      --boards N      how many there are, 1 to 10000000 [default: 2000]
      --people N      threads that change them, 1 to 1000 [default: 16]
      --seconds N     how long, 1 to 86400 [default: 5]
      --seed N        other dice [default: 1]
      --say           one line on the standard output for each change that was answered
      --check FILE    look whether all that such lines (- for the standard input) say is in DIR
      --json          print the summary as one JSON object
  -h, --help          show this

Exit status: 0 if all is well; 1 if something failed, was not saved, or is lost; 2 for wrong usage; 130 after Ctrl-C,
143 after SIGTERM. Either ends it in good order; a second one at once.
";

struct Options {
    dir: Option<PathBuf>,
    boards: u32,
    people: u32,
    seconds: u64,
    seed: u64,
    say: bool,
    check: Option<PathBuf>,
    json: bool,
}

fn main() -> ExitCode {
    let options = match parse_args() {
        Ok(Some(options)) => options,
        Ok(None) => {
            say::out(format_args!("{}", HELP.trim_end()));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say::err(format_args!("collab: {error}; see --help"));
            return ExitCode::from(2);
        }
    };
    let run = if options.check.is_some() { look } else { run };
    run(&options).unwrap_or_else(|error| {
        say::err(format_args!("collab: {error}"));
        ExitCode::FAILURE
    })
}

fn parse_args() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        dir: None,
        boards: 2_000,
        people: 16,
        seconds: 5,
        seed: 1,
        say: false,
        check: None,
        json: false,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("dir") => options.dir = Some(args.value()?.into()),
            Long("boards") => options.boards = within(&mut args, 10_000_000)? as u32,
            Long("people") => options.people = within(&mut args, 1_000)? as u32,
            Long("seconds") => options.seconds = within(&mut args, 86_400)?,
            Long("seed") => options.seed = args.value()?.parse()?,
            Long("say") => options.say = true,
            Long("check") => options.check = Some(args.value()?.into()),
            Long("json") => options.json = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if options.check.is_some() && options.dir.is_none() {
        return Err("--check needs --dir".into());
    }
    if options.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        return Err("--dir is empty".into());
    }
    if options.say && options.json {
        return Err("--say and --json both write to the standard output".into());
    }
    Ok(Some(options))
}

fn within(args: &mut lexopt::Parser, most: u64) -> Result<u64, lexopt::Error> {
    let number = |text: &str| text.parse().ok().filter(|n| (1..=most).contains(n));
    args.value()?.parse_with(|text| number(text).ok_or(format!("take a number from 1 to {most}")))
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let temporary = if options.dir.is_none() { Some(tempfile::tempdir()?) } else { None };
    let dir = options.dir.as_deref().or(temporary.as_ref().map(|dir| dir.path()));
    let dir = dir.unwrap_or_else(|| ".".as_ref());
    fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    quiet_crashes();

    let store = Arc::new(DiskStore::open(dir.join("boards.redb"))?);
    let office = Office { store: store.clone(), changes: Bus::new() };
    let watched = office.changes.subscribe(0)?;
    let (root, cancel) = Context::builder().value(office).build();
    let unsaved = Arc::new(AtomicBool::new(false));
    let lost = unsaved.clone();
    let boards = Manager::<Board>::builder("boards")
        .sharded(thread::available_parallelism().map_or(2, usize::from))
        .live_limit((options.boards as usize / 4).max(8))
        .idle_after(Duration::from_secs(1))
        // Crash buttons are pressed often here.
        .intensity(1_000_000, Duration::from_secs(1))
        // Nothing that was answered is lost by it: that is on disk, or was answered with the error.
        .on_unsaved(move |_, _, error| {
            lost.store(true, Relaxed);
            say::err(format_args!("collab: {error}"));
        })
        .store(store)
        .context(&root)
        .build()?;

    let (ctx, stop) = root.with_timeout(Duration::from_secs(options.seconds)).with_cancel();
    let signal = watch_for_signals(stop)?;
    let (counts, began) = (Counts::default(), Instant::now());
    let (ids, says) = (options.boards, options.say);
    let load = Load { boards: boards.sessions(), ids, counts: &counts, says };
    let worked = ironsys::scope::options().limit(options.people as usize + 1).run(&ctx, |s| {
        for person in 0..options.people {
            let seed = options.seed.wrapping_mul(1_000).wrapping_add(u64::from(person) + 1);
            let load = &load;
            s.execute(move |ctx| load.run(ctx, seed));
        }
        s.execute(|ctx| table::draw(ctx, &load.boards, &counts));
        Ok(())
    });
    let seconds = began.elapsed().as_secs_f64();
    drop(worked); // It ends when its time is over, or it was interrupted.

    let stats = boards.stats();
    let closed = boards.close(&root.shielded(Duration::from_secs(30)));
    let rate = counts.changes.load(Relaxed) as f64 / seconds;
    let seen = std::iter::from_fn(|| watched.try_recv().ok()).count();
    summary(options, &stats, &counts, rate, seen);
    drop(cancel);
    if !closed.in_time {
        return Err("not every board was saved within 30 s".into());
    }
    let failed = counts.unsaved.load(Relaxed);
    if failed > 0 || unsaved.load(Relaxed) {
        return Err(format!("{failed} changes were not saved").into());
    }
    Ok(ExitCode::from(match signal.load(Relaxed) {
        0 => 0,
        signal => 128 + signal as u8,
    }))
}

fn summary(
    options: &Options,
    stats: &ironsys::session::Stats,
    counts: &Counts,
    rate: f64,
    seen: usize,
) {
    if options.json {
        let get = |count: &AtomicU64| count.load(Relaxed);
        let object = json!({
            "changes": get(&counts.changes), "changes_per_second": rate.round(),
            "views": get(&counts.views), "refused": get(&counts.refused),
            "p50_us": counts.latency.quantile(0.5), "p99_us": counts.latency.quantile(0.99),
            "boards": stats.sessions, "in_memory": stats.live, "restarts": stats.restarts,
            "crashes": get(&counts.crashes), "unanswered": get(&counts.unanswered),
            "unsaved": get(&counts.unsaved),
        });
        say::out(format_args!("{object}"));
    } else {
        let mut text = String::new();
        table::rows(&mut text, stats, counts, rate);
        say::err(format_args!("{text}  changes of board 0 that its watcher has waiting: {seen}"));
    }
}

/// `--check`.
fn look(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (Some(dir), Some(answers)) = (&options.dir, &options.check) else {
        return Err("--check needs --dir".into());
    };
    let (ctx, _cancel) = Context::root();
    let store = dir.join("boards.redb");
    // To look makes nothing.
    fs::metadata(&store).map_err(|e| format!("{}: {e}", store.display()))?;
    let found = check::check(&ctx, &store, answers)?;
    found.lost.iter().for_each(|lost| say::err(format_args!("collab: {lost}")));
    say::out(format_args!(
        "{} changes of {} boards were answered; {} boards have lost some",
        found.answered,
        found.boards,
        found.lost.len()
    ));
    Ok(if found.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The crash button is not news; any other panic is.
fn quiet_crashes() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        if text.or(payload.downcast_ref::<&str>().copied()) != Some(CRASH) {
            before(panic);
        }
    }));
}

/// What was received; 0 for nothing yet. The second one ends the process as if nobody had listened.
fn watch_for_signals(cancel: Canceller) -> io::Result<Arc<AtomicI32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let first = Arc::new(AtomicI32::new(0));
    let told = first.clone();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if told.swap(signal, Relaxed) != 0 {
                let _ = emulate_default_handler(signal);
            }
            cancel.cancel_with("interrupted");
        }
    })?;
    Ok(first)
}
