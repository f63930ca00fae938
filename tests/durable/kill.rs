//! A process that is killed at any moment, again and again.

use crate::{Guard, root};
use ironsys::durable::{Outbox, Reader};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const DIR: &str = "IRONSYS_TEST_OUTBOX";
const ROUND: &str = "IRONSYS_TEST_ROUND";

/// Not a test by itself: what the killed process does, if the test below starts it.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let round = std::env::var(ROUND).unwrap();
    let (ctx, _cancel) = root();
    let outbox = Outbox::builder(dir).segment_bytes(64 << 10).open().unwrap();
    let mut reader = outbox.reader("r").unwrap();
    ironsys::scope(&ctx, |s| {
        s.daemon(|ctx| {
            while let Ok(event) = reader.next(ctx) {
                if event.id % 50 == 0 {
                    reader.ack(event.id - 40).unwrap();
                }
            }
            Ok(())
        });
        for thread in 0..4 {
            let (outbox, round) = (&outbox, &round);
            s.execute(move |ctx| {
                for n in 0.. {
                    let body = format!("{round} {thread} {n} {}", "y".repeat(n % 300));
                    let id = outbox.append(ctx, body.as_bytes()).unwrap();
                    // One write, so that a line is whole or not there.
                    let line = format!("\nsafe {id} {round} {thread} {n}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
                Ok::<_, ironsys::Stop>(())
            });
        }
        Ok(())
    })
    .unwrap();
}

fn start(dir: &std::path::Path, round: u64) -> Guard {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "kill::child", "--nocapture", "--test-threads=1"]);
    child.env(DIR, dir).env(ROUND, round.to_string());
    Guard(child.stdout(Stdio::piped()).spawn().unwrap())
}

fn read(reader: &mut Reader) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    while let Some(event) = reader.try_next().unwrap() {
        let text = String::from_utf8(event.body).unwrap();
        assert!(found.last_key_value().is_none_or(|(last, _)| *last < event.id));
        found.insert(event.id, text);
    }
    found
}

#[test]
fn every_acknowledged_event_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = if cfg!(debug_assertions) { 25 } else { 100 };
    let mut safe: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..rounds {
        let mut child = start(dir.path(), round);
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let (mut acks, goal) = (0, 1 + round * 37 % 211);
        for line in lines {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            if let ["safe", id, round, thread, n] = words[..] {
                safe.insert(id.parse().unwrap(), format!("{round} {thread} {n}"));
                acks += 1;
            }
            if acks == goal {
                child.0.kill().unwrap(); // SIGKILL; what it had written to the pipe is read on.
            }
        }
        drop(child);
        assert!(acks >= goal, "the child died by itself in round {round}");
        if round == rounds / 2 {
            // While it is alive the directory is its own.
            let mut other = start(dir.path(), 1000);
            let mut lines = BufReader::new(other.0.stdout.take().unwrap()).lines();
            let first = lines.find(|line| line.as_ref().unwrap().starts_with("safe "));
            assert!(first.is_some());
            assert!(Outbox::open(dir.path()).unwrap_err().storage().unwrap().is_in_use());
            drop(other); // Killed.
            for line in lines.map(Result::unwrap).chain(first.map(Result::unwrap)) {
                if let ["safe", id, round, thread, n] = line.split(' ').collect::<Vec<_>>()[..] {
                    safe.insert(id.parse().unwrap(), format!("{round} {thread} {n}"));
                }
            }
        }
        let outbox = Outbox::builder(dir.path()).segment_bytes(64 << 10).open().unwrap();
        let mut reader = outbox.reader("r").unwrap();
        let acked = reader.acked();
        let found = read(&mut reader);
        for (id, what) in safe.range(acked..) {
            let text = found.get(id).unwrap_or_else(|| panic!("round {round}: {id} is gone"));
            assert!(text.starts_with(&format!("{what} ")), "round {round}: {text} for {what}");
        }
        // In order for each thread, and no garbage.
        let mut last: BTreeMap<(String, String), u64> = BTreeMap::new();
        for text in found.values() {
            let words: Vec<&str> = text.split(' ').collect();
            let n: u64 = words[2].parse().unwrap();
            assert_eq!(words[3].len() as u64, n % 300);
            let key = (words[0].to_owned(), words[1].to_owned());
            assert!(last.insert(key, n).is_none_or(|before| before + 1 == n));
        }
        assert!(outbox.stats().ledger.is_balanced());
    }
}
