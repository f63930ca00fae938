//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::ingest::Source;

pub(crate) const HELP: &str = "\
A whole service on threads: a public API, live sessions, streaming ingest, rollups, a durable hand-off
to billing, and a call to a peer with a tight deadline. Look at it in a browser.

Usage: ironsys [OPTIONS]

Options:
      --address ADDR     where to listen [default: 127.0.0.1:8080]; port 0 takes any that is free
      --dir DIR          where its files are [default: a folder that is removed at the end]
      --token TOKEN      what clients have to show as a bearer token [default: nothing]
      --rate N           requests a second for each client's address [default: 100000]
      --concurrent N     requests at work at once [default: 4 for each core]
      --connections N    open connections [default: 512]
      --live N           carts in memory [default: 10000]
      --workers N        threads that count events [default: one for each core]
      --rollup SECONDS   time between two rollups [default: 5]
      --drain SECONDS    time for a drain [default: 10]
      --follow FILE      ingest the lines of a file, and those that are appended later
      --ingest-nats URL  ingest the messages of the stream EVENTS, subjects events.>, of a NATS server
      --ingest-redis URL ingest the entries of the stream events of a Redis server
      --nats URL         send usage to billing through the stream USAGE of a NATS server
      --stdin            ingest the lines of the standard input
      --people N         people on connections of their own who use it; 0 for none [default: 8]
      --seed N           other dice for the people [default: 1]
      --demo             press the buttons in turn, print a summary, and end
      --seconds N        how long the demo takes [default: 20]
      --say              one line on the standard output for each change that a person was answered
      --check FILE       look whether all that such lines (- for the standard input) say is in DIR
      --json             print the summary as one JSON object
      --trace FILE       write what ran and waited when, for ui.perfetto.dev
      --plant-deadlock   let two threads lock each other out, to see it found
  -h, --help             show this

Events are lines such as `page/home 1`, or objects such as {\"key\": \"page/home\", \"value\": 1}.

Exit status: 0 if all is well; 1 if something failed, is lost or was left at the end; 2 for wrong usage.
";

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) address: String,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) token: Option<String>,
    pub(crate) rate: u32,
    pub(crate) concurrent: usize,
    pub(crate) connections: usize,
    pub(crate) live: usize,
    pub(crate) workers: usize,
    pub(crate) rollup: Duration,
    pub(crate) drain: Duration,
    pub(crate) sources: Vec<Source>,
    pub(crate) nats: Option<String>,
    pub(crate) demo: bool,
    pub(crate) seconds: u64,
    pub(crate) people: usize,
    pub(crate) seed: u64,
    pub(crate) say: bool,
    pub(crate) check: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) plant_deadlock: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            address: "127.0.0.1:8080".into(),
            dir: None,
            token: None,
            rate: 100_000,
            concurrent: 4 * ironsys::cpu::available(),
            connections: 512,
            live: 10_000,
            workers: ironsys::cpu::available(),
            rollup: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            sources: Vec::new(),
            nats: None,
            demo: false,
            seconds: 20,
            people: 8,
            seed: 1,
            say: false,
            check: None,
            json: false,
            trace: None,
            plant_deadlock: false,
        }
    }
}

/// Reads the arguments; `None` if only help is wanted.
pub(crate) fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("address") => options.address = args.value()?.string()?,
            Long("dir") => options.dir = Some(args.value()?.into()),
            Long("token") => options.token = Some(args.value()?.string()?),
            Long("rate") => options.rate = within(&mut args, 1_000_000)? as u32,
            Long("concurrent") => options.concurrent = within(&mut args, 10_000)? as usize,
            Long("connections") => options.connections = within(&mut args, 10_000)? as usize,
            Long("live") => options.live = within(&mut args, 10_000_000)? as usize,
            Long("workers") => options.workers = within(&mut args, 1_000)? as usize,
            Long("rollup") => options.rollup = seconds(&mut args)?,
            Long("drain") => options.drain = seconds(&mut args)?,
            Long("follow") => options.sources.push(Source::File(args.value()?.into())),
            Long("ingest-nats") => options.sources.push(Source::Nats(args.value()?.string()?)),
            Long("ingest-redis") => options.sources.push(Source::Redis(args.value()?.string()?)),
            Long("nats") => options.nats = Some(args.value()?.string()?),
            Long("stdin") => options.sources.push(Source::Stdin),
            Long("demo") => options.demo = true,
            Long("seconds") => options.seconds = within(&mut args, 86_400)?,
            Long("people") => options.people = from(&mut args, 0, 1_000)? as usize,
            Long("seed") => options.seed = args.value()?.parse()?,
            Long("say") => options.say = true,
            Long("check") => options.check = Some(args.value()?.into()),
            Long("json") => options.json = true,
            Long("trace") => options.trace = Some(args.value()?.into()),
            Long("plant-deadlock") => options.plant_deadlock = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if options.token.as_deref() == Some("") {
        return Err("--token is empty".into());
    }
    if options.check.is_some() && options.dir.is_none() {
        return Err("--check needs --dir".into());
    }
    if options.say && options.json {
        return Err("--say and --json both write to the standard output".into());
    }
    if options.json && !options.demo {
        return Err("--json is the summary of --demo".into());
    }
    Ok(Some(options))
}

fn within(args: &mut lexopt::Parser, most: u64) -> Result<u64, lexopt::Error> {
    from(args, 1, most)
}

fn from(args: &mut lexopt::Parser, least: u64, most: u64) -> Result<u64, lexopt::Error> {
    let number = |text: &str| text.parse().ok().filter(|n| (least..=most).contains(n));
    let wrong = || format!("take a number from {least} to {most}");
    args.value()?.parse_with(|text| number(text).ok_or_else(wrong))
}

fn seconds(args: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    within(args, 86_400).map(Duration::from_secs)
}
