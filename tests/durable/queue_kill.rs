//! A queue between processes, either of which is killed at any moment.

use crate::{Dice, Guard, root, until};
use ironsys::durable::{Committer, Outbox, Queue, QueueSource, Source};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

const READER: &str = "IRONSYS_TEST_QUEUE_READER";
const OWNER: &str = "IRONSYS_TEST_QUEUE_OWNER";
const ROUND: &str = "IRONSYS_TEST_ROUND";

fn open(dir: &Path) -> Outbox {
    let outbox = Outbox::builder(dir).segment_bytes(16 << 10).group_bytes(4096);
    outbox.max_bytes(256 << 10).open().unwrap()
}

/// One write, so that a line is whole or not there.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

fn start(test: &str, role: &str, dir: &Path, round: u64) -> (Guard, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    child.env(role, dir).env(ROUND, round.to_string());
    let mut child = Guard(child.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The numbers and texts that a process says it has.
fn events(line: &str) -> Option<(u64, String)> {
    let mut words = line.splitn(3, ' ');
    let (Some("event"), Some(id), Some(text)) = (words.next(), words.next(), words.next()) else {
        return None;
    };
    Some((id.parse().unwrap(), text.to_owned()))
}

/// Not a test by itself: a process that reads, and commits each seventh.
#[test]
fn reader() {
    let Some(dir) = std::env::var_os(READER) else { return };
    let (ctx, _cancel) = root();
    let mut source = QueueSource::open(dir, "q").unwrap();
    let mut committer = source.committer();
    say("stands by");
    loop {
        let event = source.recv(&ctx).unwrap().unwrap();
        say(&format!("event {} {}", event.position, String::from_utf8_lossy(&event.body)));
        if event.position % 7 == 0 {
            committer.commit(&ctx, event.position).unwrap();
            say(&format!("committed {}", event.position));
        }
    }
}

#[test]
fn a_reader_that_is_killed_loses_nothing_and_the_one_that_stands_by_takes_over() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let rounds = std::env::var("IRONSYS_KILLS").map_or(12, |n| n.parse().unwrap());
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    let (mut dice, mut next, mut again) = (Dice(5), 1, 0_u64);
    ironsys::scope(&ctx, |s| {
        // It never stops; the bounds of the outbox hold it up when nobody commits.
        s.daemon(|ctx| {
            for n in 1.. {
                let text = format!("{n} {}", "x".repeat(n % 300));
                let Ok(id) = outbox.append(ctx, text.as_bytes()) else { break };
                assert_eq!(id, n as u64);
            }
            Ok::<_, ironsys::Stop>(())
        });
        let mut active = start("queue_kill::reader", READER, dir.path(), 0);
        until(|| queue.stats().has_reader); // Or the next one would be the first.
        for round in 1..=rounds {
            let mut standby = start("queue_kill::reader", READER, dir.path(), round);
            let is_there = standby.1.find(|line| line.as_ref().unwrap() == "stands by");
            assert!(is_there.is_some());
            let goal = 1 + dice.below(400);
            let (mut had, mut committed, mut expected) = (0, None, None);
            for line in active.1.by_ref() {
                let line = line.unwrap();
                if let Some(id) = line.strip_prefix("committed ") {
                    committed = Some(id.parse::<u64>().unwrap());
                }
                let Some((id, text)) = events(&line) else { continue };
                // In order, without a gap, and first not behind what nobody has had.
                assert!(expected.is_none_or(|expected| id == expected), "{id} in round {round}");
                assert!(id <= next, "{next} to {id} are lost in round {round}");
                assert_eq!(text, format!("{id} {}", "x".repeat(id as usize % 300)));
                expected = Some(id + 1);
                again += u64::from(id < next);
                next = next.max(id + 1);
                had += 1;
                if had == goal {
                    active.0.0.kill().unwrap(); // SIGKILL; what it has said is read on.
                }
            }
            assert!(had >= goal, "the reader died by itself in round {round}");
            active = standby;
            // What it has said to be committed is, once the next one has its turn.
            until(|| queue.stats().readers > round);
            let position = outbox.stats().readers[0].position;
            assert!(committed.is_none_or(|id| position > id), "{committed:?}, {position}");
        }
        Ok(())
    })
    .unwrap();
    assert!(outbox.stats().ledger.is_balanced());
    say(&format!("{rounds} readers killed: {} events arrived, {again} of them again", next - 1));
}

/// Not a test by itself: a process that has the outbox, and appends.
#[test]
fn owner() {
    let Some(dir) = std::env::var_os(OWNER) else { return };
    let round = std::env::var(ROUND).unwrap();
    let (ctx, _cancel) = root();
    let outbox = open(Path::new(&dir));
    let _queue = Queue::start(&ctx, &outbox, "q").unwrap();
    for n in 0.. {
        let text = format!("{round} {n}");
        let id = outbox.append(&ctx, text.as_bytes()).unwrap();
        say(&format!("event {id} {text}"));
    }
}

#[test]
fn an_owner_that_is_killed_and_comes_back_goes_on_where_it_was() {
    let (dir, (ctx, _cancel)) = (tempfile::tempdir().unwrap(), root());
    let rounds = std::env::var("IRONSYS_KILLS").map_or(12, |n| n.parse().unwrap());
    let mut dice = Dice(7);
    let mut reader = QueueSource::open(dir.path(), "q").unwrap();
    let mut committer = reader.committer();
    let (mut safe, mut got) = (BTreeMap::new(), BTreeMap::new());
    for round in 0..rounds {
        let (mut child, lines) = start("queue_kill::owner", OWNER, dir.path(), round);
        let said =
            std::thread::spawn(|| lines.filter_map(|l| events(&l.unwrap())).collect::<Vec<_>>());
        // One reader for all the owners: it finds each by itself. More than the outbox takes without.
        let goal = 1 + dice.below(4000);
        for n in 1..=goal {
            let event = reader.recv(&ctx).unwrap().unwrap();
            let text = String::from_utf8(event.body).unwrap();
            assert!(got.insert(event.position, text).is_none(), "{} twice", event.position);
            if n % 5 == 0 {
                committer.commit(&ctx, event.position).unwrap();
            }
        }
        child.0.kill().unwrap();
        safe.extend(said.join().unwrap());
    }
    // The last owner is this process.
    let outbox = open(dir.path());
    let queue = Queue::start(&ctx, &outbox, "q").unwrap();
    // For this one the reader has to come, even if it had all there was: it tells what it has committed.
    let last = outbox.append(&ctx, b"last 0").unwrap();
    while got.last_key_value().is_none_or(|(id, _)| *id < last) {
        let event = reader.recv(&ctx).unwrap().unwrap();
        assert!(got.insert(event.position, String::from_utf8(event.body).unwrap()).is_none());
    }
    committer.commit(&ctx, last).unwrap();
    assert!(queue.drain(&ctx).error.is_none() && outbox.is_empty());
    for (id, text) in &safe {
        assert_eq!(got.get(id), Some(text), "{id} was acknowledged");
    }
    // In order for each owner, and without a gap.
    let mut said = BTreeMap::new();
    for text in got.values() {
        let (round, n) = text.split_once(' ').unwrap();
        let next = said.entry(round).or_insert(0_u64);
        assert_eq!(n.parse(), Ok(*next), "{text}");
        *next += 1;
    }
    say(&format!("{rounds} owners killed: {} acknowledged, {} arrived", safe.len(), got.len()));
}
