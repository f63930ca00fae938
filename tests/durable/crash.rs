//! From append to broker under kill -9: every acknowledged event arrives at least once, in order for
//! each key, and none is invented. `IRONSYS_KILLS` says how many kills; few by default.

use crate::{Dice, Guard, root};
use ironsys::Context;
use ironsys::durable::{Event, Outbox, PublishError, Relay};
use ironsys::schedule::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const DIR: &str = "IRONSYS_TEST_CRASH";
const ROUND: &str = "IRONSYS_TEST_ROUND";

/// The broker is a file: what was written to it survives the process. It rejects each seventh event
/// once.
fn relay(ctx: &Context, outbox: &Outbox, dir: &Path) -> Relay {
    let mut broker = OpenOptions::new().create(true).append(true).open(dir.join("broker")).unwrap();
    let mut rejected = BTreeSet::new();
    let publish = move |_: &Context, event: &Event| {
        if event.id.is_multiple_of(7) && rejected.insert(event.id) {
            return Err(PublishError::Rejected("not at once".into()));
        }
        let line = [format!("{} ", event.id).as_bytes(), &event.body, b"\n"].concat();
        broker.write_all(&line).map_err(PublishError::down)
    };
    let key = |event: &Event| event.body.split(|b| *b == b' ').next().unwrap().to_vec();
    let relay = outbox.relay(publish).window(16).order_by(key);
    relay.backoff(Backoff::fixed(Duration::ZERO)).start(ctx).unwrap()
}

fn open(dir: &Path) -> Outbox {
    Outbox::builder(dir.join("outbox")).segment_bytes(16 << 10).open().unwrap()
}

/// Not a test by itself: what the killed process does.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let round = std::env::var(ROUND).unwrap();
    let (ctx, _cancel) = root();
    let outbox = open(Path::new(&dir));
    let _relay = relay(&ctx, &outbox, Path::new(&dir));
    ironsys::scope(&ctx, |s| {
        for thread in 0..3 {
            let (outbox, round) = (&outbox, &round);
            s.execute(move |ctx| {
                for n in 0.. {
                    let body = format!("{round}.{thread} {n}");
                    let id = outbox.append(ctx, body.as_bytes()).unwrap();
                    let line = format!("\nsafe {id} {body}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
                Ok::<_, ironsys::Stop>(())
            });
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_was_acknowledged_arrives_in_order_for_each_key_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let kills = std::env::var("IRONSYS_KILLS").map_or(10, |n| n.parse().unwrap());
    let (mut dice, mut safe) = (Dice(3), BTreeMap::new());
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "crash::child", "--nocapture", "--test-threads=1"]);
        child.env(DIR, dir.path()).env(ROUND, round.to_string());
        let mut child = Guard(child.stdout(Stdio::piped()).spawn().unwrap());
        let (mut acks, goal) = (0, 1 + dice.below(80));
        for line in BufReader::new(child.0.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let ["safe", id, key, n] = line.split(' ').collect::<Vec<_>>()[..] {
                safe.insert(id.parse::<u64>().unwrap(), format!("{key} {n}"));
                acks += 1;
                if acks == goal {
                    child.0.kill().unwrap();
                }
            }
        }
        assert!(acks >= goal, "the child died by itself in round {round}");
    }
    let (ctx, _cancel) = root();
    let outbox = open(dir.path());
    let report = relay(&ctx, &outbox, dir.path()).drain(&ctx);
    assert!(report.error.is_none() && outbox.is_empty(), "{report:?}");

    let broker = std::fs::read_to_string(dir.path().join("broker")).unwrap();
    let (mut got, mut next) = (BTreeMap::new(), BTreeMap::new());
    for line in broker.lines() {
        let (id, body) = line.split_once(' ').unwrap();
        match got.insert(id.parse::<u64>().unwrap(), body.to_owned()) {
            Some(before) => assert_eq!(before, body, "{id} is another event now"),
            None => {
                // The first time it comes nothing of its key is missing before it.
                let (key, n) = body.split_once(' ').unwrap();
                let next = next.entry(key.to_owned()).or_insert(0_u64);
                assert_eq!(n.parse(), Ok(*next), "{line}");
                *next += 1;
                let round: u64 = key.split('.').next().unwrap().parse().unwrap();
                assert!(round < kills, "{line} is invented");
            }
        }
    }
    for (id, body) in &safe {
        assert_eq!(got.get(id), Some(body), "{id} was acknowledged");
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{kills} kills: {} acknowledged, {} arrived, {} of them again",
        safe.len(),
        got.len(),
        broker.lines().count() - got.len()
    )
    .unwrap();
}
