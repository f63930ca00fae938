//! ironsys: a whole service on threads, each shape of work on its own primitive.
//!
//! ```text
//! cargo run --release --example ironsys
//! ```
//!
//! Then look at the page it names: press the buttons, and see the system bend and recover.
//!
//! | file | what it shows |
//! |---|---|
//! | `http/`, `api` | 1 a public API: no thread for a connection that says nothing, deadlines, limits, a drain |
//! | `cart` | 2 live sessions that leave memory and come back |
//! | `ingest` | 3 a stream of events through a bounded channel |
//! | `rollup` | 4 batches on a schedule and on demand, by a flow |
//! | `billing` | 5 hand-off through an outbox, at least once |
//! | `brokers` | the same with NATS or Redis in between |
//! | `auth` | 6 a call with a tight deadline, behind breaker and hedge |
//! | `eyes` | deadlocks, where threads wait, a trace |
//! | `parts` | all of it as one service: started in order, drained in the reverse order |

mod api;
mod app;
mod auth;
mod billing;
mod brokers;
mod cart;
mod check;
mod client;
mod demo;
mod eyes;
mod faults;
mod http;
mod ingest;
mod latency;
mod metrics;
mod options;
mod parts;
mod rollup;
mod say;
mod view;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use ironsys::Context;
use ironsys::export::trace::Tracer;

use demo::{Demo, Seen};
use options::Options;

fn main() -> ExitCode {
    let options = match options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            say::out(format_args!("{}", options::HELP.trim_end()));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say::err(format_args!("ironsys: {error}; see --help"));
            return ExitCode::from(2);
        }
    };
    let run = if options.check.is_some() { look } else { run };
    run(&options).unwrap_or_else(|error| {
        say::err(format_args!("ironsys: {error}"));
        ExitCode::FAILURE
    })
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let temporary = if options.dir.is_none() { Some(tempfile::tempdir()?) } else { None };
    let dir = options.dir.as_deref().or(temporary.as_ref().map(|dir| dir.path()));
    let dir = dir.unwrap_or_else(|| ".".as_ref());
    fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    quiet_crashes();

    let mut builder = Context::builder();
    if options.trace.is_some() {
        builder = builder.value(Tracer::new(eyes::BARS));
    }
    let (ctx, _cancel) = builder.build();
    let (service, started) = parts::start(&ctx, dir, options)?;
    let stopper = service.stopper();
    let _signals = stopper.on_signals(&ctx)?;
    say::err(format_args!("ironsys is at http://{}/  (Ctrl-C drains it)", started.address));

    let seen = Seen::default();
    let demo = Demo { address: started.address, options, faults: &started.app.faults, seen: &seen };
    let (people, go) = ctx.with_cancel();
    let report = std::thread::scope(|s| {
        let (play, asked) = (&stopper, stopper.clone());
        s.spawn(|| {
            demo.play(&people);
            if options.demo {
                play.request("the demo is over");
            }
        });
        s.spawn(move || {
            let _ = asked.wait_requested(&Context::root().0);
            go.cancel_with("the service ends");
        });
        service.run(&ctx)
    });
    if options.demo {
        summary(options, &seen, &report);
    }
    if !options.json {
        say::err(format_args!("{}", report.to_string().trim_end()));
    }
    Ok(report.exit_code())
}

fn summary(options: &Options, seen: &Seen, report: &ironsys::service::Report) {
    if options.json {
        let ended = report.parts.iter().map(|part| (part.name.to_string(), part.ended.clone()));
        say::out(format_args!("{}", seen.json(&ended.collect::<Vec<_>>())));
    } else {
        say::err(format_args!("\n{}", seen.table()));
    }
}

/// `--check`.
fn look(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let (Some(dir), Some(answers)) = (&options.dir, &options.check) else {
        return Err("--check needs --dir".into());
    };
    let (ctx, _cancel) = Context::root();
    let found = check::check(&ctx, dir, answers)?;
    found.lost.iter().for_each(|lost| say::err(format_args!("ironsys: {lost}")));
    say::out(format_args!(
        "{} changes of {} carts were answered; {} uses are billed, {} wait in the outbox; {} things are \
         not as they should be",
        found.answered,
        found.carts,
        found.billed,
        found.waiting,
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
        if text.or(payload.downcast_ref::<&str>().copied()) != Some(cart::CRASH) {
            before(panic);
        }
    }));
}
