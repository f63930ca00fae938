//! router: messages from several sources, through rules, to named outputs.
//!
//! Each source has a thread; their messages meet in one flow, are given a severity by a few workers, and
//! go where the rules say. Each output has a consumer of its own; the first one is slow, so that one can
//! see the pressure go back to the sources. Rules come from a file, and are read again on SIGHUP, while
//! messages flow; a file with a mistake changes nothing. Ctrl-C stops it cleanly.
//!
//! ```text
//! cargo run --release --example router
//! cargo run --release --example router -- --rules rules.txt --messages 100000 --delay-us 50
//! ```

mod message;
mod rules;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use ironsys::channel::{self, Receiver, Sender};
use ironsys::flow::{Flow, Monitor, Router};
use ironsys::{Canceller, Context, Stop, scope};
use lexopt::prelude::*;
use signal_hook::consts::{SIGHUP, SIGINT};
use signal_hook::iterator::Signals;

use message::{Message, Raw};

const HELP: &str = "\
Routes made-up messages by rules.

Usage: router [OPTIONS]

Options:
      --rules FILE    one rule a line: NAME FIELD VALUE OUTPUT, where FIELD is source or severity, VALUE
                      a word or *, and OUTPUT pager, audit or archive; # begins a comment
      --messages N    messages of each of the three sources [default: 20000]
      --delay-us N    how long the pager takes for a message [default: 20]
      --reload-after N  read the rules again after so many messages, as SIGHUP does
      --explain       print the plan, and do nothing else
  -h, --help          show this

Exit status: 0 if all is well; 1 if the rules cannot be read; 2 for wrong usage; 130 after Ctrl-C.
";

/// The outputs there are; rules name them.
const OUTPUTS: [&str; 3] = ["pager", "audit", "archive"];

struct Options {
    rules: Option<PathBuf>,
    messages: u64,
    delay: Duration,
    reload_after: Option<u64>,
    explain: bool,
}

fn main() -> ExitCode {
    let options = match parse_args() {
        Ok(Some(options)) => options,
        Ok(None) => {
            out(format_args!("{}", HELP.trim_end()));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            err(format_args!("router: {error}; see --help"));
            return ExitCode::from(2);
        }
    };
    let (ctx, cancel) = Context::root();
    match run(&ctx, cancel, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            err(format_args!("router: {error}"));
            ExitCode::from(if ctx.is_stopped() { 130 } else { 1 })
        }
    }
}

fn parse_args() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        rules: None,
        messages: 20_000,
        delay: Duration::from_micros(20),
        reload_after: None,
        explain: false,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("rules") => options.rules = Some(args.value()?.into()),
            Long("messages") => options.messages = args.value()?.parse()?,
            Long("delay-us") => options.delay = Duration::from_micros(args.value()?.parse()?),
            Long("reload-after") => options.reload_after = Some(args.value()?.parse()?),
            Long("explain") => options.explain = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn run(ctx: &Context, cancel: Canceller, options: &Options) -> Result<(), Error> {
    let (senders, receivers): (Vec<Sender<Message>>, Vec<Receiver<Message>>) =
        OUTPUTS.iter().map(|_| channel::bounded(256)).unzip();
    let router = Router::new(rules::load(options.rules.as_deref(), &senders)?)?;
    watch_signals(cancel, &router, options, &senders)?;

    // The architecture: three sources, two workers, one router.
    let monitor = Monitor::new();
    let source = |name: &'static str| {
        Flow::range(0..options.messages).map(move |n| Raw { source: name, number: n })
    };
    let mut routed = 0;
    let messages = source("web")
        .merge(source("db"))
        .merge(source("cron"))
        .par_map_unordered(2, Message::classify)
        .named("classify")
        .inspect(|_| {
            routed += 1;
            if options.reload_after == Some(routed) {
                reload(&router, options, &senders);
            }
        })
        .monitor(&monitor);
    if options.explain {
        out(format_args!("{}", messages.explain()));
        return Ok(());
    }

    let consumed = scope(ctx, |s| {
        let consumers: Vec<_> = receivers
            .iter()
            .zip(OUTPUTS)
            .map(|(output, name)| {
                s.named(name).spawn(move |ctx| consume(ctx, name, output, options.delay))
            })
            .collect();
        let sent = messages.route_to(s.ctx(), &router);
        for output in &senders {
            let _ = output.close();
        }
        sent?;
        consumers.into_iter().map(|task| task.join(s.ctx())).collect::<Result<Vec<u64>, Stop>>()
    })?;

    out(format_args!("{:<12} {:>10}", "rule", "routed"));
    for rule in router.stats() {
        out(format_args!("{:<12} {:>10}", rule.name, rule.routed));
    }
    out(format_args!(
        "\n{:<12} {:>10} {:>10} {:>6} {:>12}",
        "output", "accepted", "consumed", "peak", "time full"
    ));
    for ((output, name), consumed) in receivers.iter().zip(OUTPUTS).zip(consumed) {
        let stats = output.stats();
        let (accepted, peak, full) = (stats.ledger.accepted, stats.peak, stats.time_full);
        out(format_args!("{name:<12} {accepted:>10} {consumed:>10} {peak:>6} {full:>12.1?}"));
    }
    out(format_args!("\n{}", monitor.report()));
    Ok(())
}

/// What the owner of an output does. Only the pager is slow.
fn consume(
    ctx: &Context,
    name: &str,
    output: &Receiver<Message>,
    delay: Duration,
) -> Result<u64, Stop> {
    let mut count = 0;
    for message in output.iter(ctx) {
        std::hint::black_box(message);
        count += 1;
        if name == "pager" {
            ctx.sleep(delay)?;
        }
    }
    ctx.check()?;
    Ok(count)
}

/// Reads the rules again. A mistake in them changes nothing.
fn reload(router: &Router<Message>, options: &Options, outputs: &[Sender<Message>]) {
    let read = rules::load(options.rules.as_deref(), outputs);
    match read.and_then(|rules| router.replace(rules).map_err(Error::from)) {
        Ok(()) => err(format_args!("router: rules read again")),
        Err(error) => err(format_args!("router: {error}; the old rules stay")),
    }
}

/// Starts the thread that turns Ctrl-C into a stop, and SIGHUP into new rules.
fn watch_signals(
    cancel: Canceller,
    router: &Router<Message>,
    options: &Options,
    outputs: &[Sender<Message>],
) -> Result<(), Error> {
    let mut signals = Signals::new([SIGINT, SIGHUP])?;
    let (router, outputs, rules) = (router.clone(), outputs.to_vec(), options.rules.clone());
    let options =
        Options { rules, messages: 0, delay: Duration::ZERO, reload_after: None, explain: false };
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if signal == SIGINT {
                cancel.cancel_with("interrupted");
            } else {
                reload(&router, &options, &outputs);
            }
        }
    })?;
    Ok(())
}

/// Writes to the standard output. A reader that has seen enough (`| head`) is no failure.
fn out(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn err(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}
