//! The store for the states of sessions, and the example that lives on it.

use super::root;
use ironsys::durable::DiskStore;
use ironsys::session::{Snapshot, Store, StoreError};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn it_is_a_map_that_survives_reopening(
        steps in prop::collection::vec((0..6_u32, prop::option::of(any::<Vec<u8>>())), 0..24),
    ) {
        let (ctx, _cancel) = root();
        let dir = folder();
        let path = dir.path().join("states");
        let open = || DiskStore::<u32>::open(&path).expect("it opens");
        let (mut store, mut model) = (open(), HashMap::new());
        for (id, bytes) in steps {
            match bytes {
                Some(bytes) => {
                    let snapshot = Snapshot::new(id, bytes);
                    store.save(&ctx, &id, &snapshot).expect("there is room");
                    model.insert(id, snapshot);
                }
                None => {
                    drop(store);
                    store = open();
                }
            }
            prop_assert_eq!(store.len(&ctx).expect("it is there"), model.len() as u64);
            prop_assert_eq!(store.load(&ctx, &id).expect("it is whole"), model.get(&id).cloned());
        }
    }
}

#[test]
fn a_load_sees_what_was_given_to_be_saved_before() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let store = DiskStore::<u64>::open(dir.path().join("states")).expect("it opens");
    let (told, tells) = mpsc::channel();
    for n in 0..100_u32 {
        let told = told.clone();
        let done = move |saved: Result<(), StoreError>| {
            told.send((n, saved.is_ok())).expect("the test waits");
        };
        store.save_then(&ctx, &7, &Snapshot::new(n, "state"), done).expect("there is room");
    }
    let found = store.load(&ctx, &7).expect("it is whole").expect("it is there");
    assert_eq!(found.version, 99);
    assert!(tells.iter().take(100).enumerate().all(|(i, told)| told == (i as u32, true)));
}

#[test]
fn dropping_it_writes_what_is_left() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let path = dir.path().join("states");
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    for id in 0..1_000 {
        store.save_then(&ctx, &id, &Snapshot::new(1, "state"), drop).expect("there is room");
    }
    drop(store);
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    assert_eq!(store.len(&ctx).expect("it is there"), 1_000);
}

#[test]
fn many_threads_save_at_once() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let store = DiskStore::<u64>::open(dir.path().join("states")).expect("it opens");
    thread::scope(|s| {
        for thread in 0..8_u64 {
            let (store, ctx) = (&store, &ctx);
            s.spawn(move || {
                for n in 0..20 {
                    store.save(ctx, &(thread * 100 + n), &Snapshot::new(1, "s")).expect("room");
                }
            });
        }
    });
    assert_eq!(store.len(&ctx).expect("it is there"), 160);
}

#[test]
fn a_stopped_context_saves_nothing_new_and_says_so() {
    let (ctx, cancel) = root();
    let dir = folder();
    let store = DiskStore::<u64>::open(dir.path().join("states")).expect("it opens");
    cancel.cancel();
    let error = store.save(&ctx, &7, &Snapshot::new(1, "state")).expect_err("it is stopped");
    assert!(matches!(&error, StoreError::Failed { id, .. } if id == "7"), "{error}");
}

#[test]
fn what_cannot_be_opened_is_named() {
    let dir = folder();
    let garbage = dir.path().join("garbage");
    fs::write(&garbage, [7; 8192]).expect("it is written");
    let missing = dir.path().join("no").join("such");
    for path in [garbage, missing, dir.path().to_path_buf()] {
        let error = DiskStore::<u64>::open(&path).expect_err("it is no store");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_second_store_on_the_file_is_refused() {
    let dir = folder();
    let path = dir.path().join("states");
    let _first = DiskStore::<u64>::open(&path).expect("it opens");
    assert!(DiskStore::<u64>::open(&path).is_err());
}

#[test]
fn a_file_that_was_cut_or_overwritten_never_panics() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let path = dir.path().join("states");
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    for id in 0..200 {
        store.save(&ctx, &id, &Snapshot::new(1, vec![b's'; 500])).expect("there is room");
    }
    drop(store);
    let whole = fs::read(&path).expect("it is there");
    for at in (0..8).map(|n| whole.len() / 8 * n) {
        let mut bytes = whole.clone();
        bytes[at..][..512].fill(0xa5);
        fs::write(&path, bytes).expect("it is written");
        let Ok(store) = DiskStore::<u64>::open(&path) else { continue };
        for id in 0..200 {
            // What comes back is what was saved, or an error.
            if let Ok(Some(snapshot)) = store.load(&ctx, &id) {
                assert!(snapshot == Snapshot::new(1, vec![b's'; 500]));
            }
        }
    }
}

#[test]
fn a_board_keeps_what_it_answered_when_the_process_is_killed() {
    let test = std::env::current_exe().expect("path of this test");
    let profile: PathBuf = test.ancestors().nth(2).expect("target/profile").into();
    let program = profile.join("examples/collab");
    let dir = folder();
    let boards = dir.path().join("boards");
    let answers = dir.path().join("answers");
    let mut said = String::new();
    for seed in 1..=2 {
        let mut child = Command::new(&program)
            .args(["--say", "--seconds", "60", "--boards", "50", "--people", "8"])
            .args(["--seed", &seed.to_string(), "--dir"])
            .arg(&boards)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example is built with the tests");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = out.lines();
        // Killed at a moment that depends on nothing but the load; then what is still in the pipe.
        said.extend(lines.by_ref().take(200).map(|line| line.expect("text") + "\n"));
        child.kill().expect("it runs");
        said.extend(lines.map_while(Result::ok).map(|line| line + "\n"));
        child.wait().expect("it has ended");
        fs::write(&answers, &said).expect("it is written");
        let mut check = Command::new(&program);
        check.arg("--check").arg(&answers).arg("--dir").arg(&boards);
        let found = check.output().expect("it runs");
        let text = String::from_utf8_lossy(&found.stdout);
        assert!(found.status.success(), "{text}{}", String::from_utf8_lossy(&found.stderr));
        assert!(text.contains("; 0 boards have lost some"), "{text}");
    }
    // And the check does find what is missing.
    fs::write(&answers, said + "0 99999999 1\n").expect("it is written");
    let found =
        Command::new(&program).arg("--check").arg(&answers).arg("--dir").arg(&boards).output();
    assert_eq!(found.expect("it runs").status.code(), Some(1));
}
