//! Both processes.

use ironsys::durable::{Committer, Outbox, Queue, QueueSource, Source};
use ironsys::{Context, Stop};
use lexopt::prelude::*;
use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

const HELP: &str = "\
Sends events through an outbox to another process.

Usage: queue [OPTIONS]

Options:
      --events N      how many [default: 200000]
      --bytes N       how long each is [default: 200]
      --commit N      the reader commits each Nth, and the last [default: 64]
      --slow-us N     how long the reader takes for an event [default: 0]
      --dir DIR       where the outbox is, an empty directory [default: a new one]
";

struct Args {
    events: u64,
    bytes: usize,
    commit: u64,
    slow: Duration,
    dir: Option<PathBuf>,
    is_reader: bool,
}

type Failed = Box<dyn Error + Send + Sync>;

pub(crate) fn main() -> ExitCode {
    match args().and_then(|args| if args.is_reader { read(&args) } else { own(&args) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(io::stderr(), "queue: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The process that has the outbox.
fn own(args: &Args) -> Result<(), Failed> {
    let (ctx, _cancel) = Context::root();
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    let outbox = Outbox::builder(dir).max_bytes(512 << 20).open()?;
    let queue = Queue::start(&ctx, &outbox, "work")?;
    let mut reader = Guard(reader(args, dir)?);
    // Until it is there, so that its start is not counted.
    queue.watcher().wait_until(&ctx, |stats| stats.has_reader)?;

    let begun = Instant::now();
    let body = vec![b'x'; args.bytes];
    let mut tickets = VecDeque::new();
    for _ in 0..args.events {
        tickets.push_back(outbox.submit(&ctx, &body)?);
        if tickets.len() >= 256
            && let Some(ticket) = tickets.pop_front()
        {
            ticket.wait(&ctx)?;
        }
    }
    for ticket in tickets {
        ticket.wait(&ctx)?;
    }
    let durable = begun.elapsed();
    if let Some(e) = queue.drain(&ctx).error {
        return Err(e.into());
    }
    let all = begun.elapsed();
    let rate = |time: Duration| args.events as f64 / time.as_secs_f64();
    writeln!(
        io::stdout(),
        "{} events of {} bytes: on disk in {durable:.2?} ({:.0}/s), handled and committed by the other \
         process in {all:.2?} ({:.0}/s)",
        args.events,
        args.bytes,
        rate(durable),
        rate(all),
    )?;
    reader.0.kill()?;
    Ok(())
}

fn reader(args: &Args, dir: &Path) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--reader").arg("--dir").arg(dir);
    command.args(["--commit", &args.commit.to_string()]);
    command.args(["--events", &args.events.to_string()]);
    command.args(["--slow-us", &args.slow.as_micros().to_string()]).spawn()
}

/// A child that does not outlive its parent's work.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other process.
fn read(args: &Args) -> Result<(), Failed> {
    let (ctx, _cancel) = Context::root();
    let dir = args.dir.as_deref().ok_or("a reader needs a directory")?;
    let mut source = QueueSource::open(dir, "work")?;
    let mut committer = source.committer();
    loop {
        let Some(event) = source.recv(&ctx)? else { return Ok(()) };
        if !args.slow.is_zero() {
            ctx.sleep(args.slow)?;
        }
        let is_last = event.position == args.events;
        if is_last || event.position % args.commit == 0 {
            committer.commit(&ctx, event.position)?;
        }
        if is_last {
            // Its commit is on the way. The parent ends it.
            let stop: Stop = ctx.wait_stopped();
            return Err(stop.into());
        }
    }
}

fn args() -> Result<Args, Failed> {
    let mut args = Args {
        events: 200_000,
        bytes: 200,
        commit: 64,
        slow: Duration::ZERO,
        dir: None,
        is_reader: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("events") => args.events = parser.value()?.parse()?,
            Long("bytes") => args.bytes = parser.value()?.parse()?,
            Long("commit") => args.commit = parser.value()?.parse::<u64>()?.max(1),
            Long("slow-us") => args.slow = Duration::from_micros(parser.value()?.parse()?),
            Long("dir") => args.dir = Some(PathBuf::from(parser.value()?)),
            Long("reader") => args.is_reader = true,
            Short('h') | Long("help") => {
                write!(io::stdout(), "{HELP}")?;
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(args)
}
