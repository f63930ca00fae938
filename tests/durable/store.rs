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

/// The example, which is built with the tests.
fn collab() -> PathBuf {
    let test = std::env::current_exe().expect("path of this test");
    let profile = test.ancestors().nth(2).expect("target/profile");
    profile.join("examples/collab")
}

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
fn closing_it_writes_what_is_left_whatever_the_context() {
    let (ctx, cancel) = root();
    let dir = folder();
    let path = dir.path().join("states");
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    for id in 0..1_000 {
        store.save_then(&ctx, &id, &Snapshot::new(1, "state"), drop).expect("there is room");
    }
    cancel.cancel();
    assert_eq!(store.close(&ctx), Ok(()));
    let (ctx, _cancel) = root();
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    assert_eq!(store.len(&ctx), Ok(1_000));
}

#[test]
fn its_own_thread_may_close_it_and_writes_what_is_left() {
    for closes in [false, true] {
        let (ctx, _cancel) = root();
        let dir = folder();
        let path = dir.path().join("states");
        let store = DiskStore::<u64>::open(&path).expect("it opens");
        let (hand, take) = mpsc::channel::<DiskStore<u64>>();
        let (told, tells) = mpsc::channel();
        let its = ctx.clone();
        let last = move |_| {
            let store = take.recv().expect("it is handed over");
            let closed = if closes { Some(store.close(&its)) } else { None };
            told.send(closed).expect("the test waits");
        };
        store.save_then(&ctx, &0, &Snapshot::new(1, "state"), last).expect("there is room");
        let (done, left) = mpsc::channel();
        for id in 1..100 {
            let done = done.clone();
            let note = move |saved: Result<(), StoreError>| done.send(saved).expect("it waits");
            store.save_then(&ctx, &id, &Snapshot::new(1, "state"), note).expect("there is room");
        }
        drop(done);
        hand.send(store).expect("it waits");
        let closed = tells.recv_timeout(std::time::Duration::from_secs(60)).expect("it hangs");
        assert_eq!(closed.is_some_and(|closed| closed.is_err()), closes);
        assert_eq!(left.iter().filter(Result::is_ok).count(), 99);
    }
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

#[cfg(unix)]
#[test]
fn a_save_to_a_file_that_is_no_longer_there_fails_until_it_is_back() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let (boards, away) = (dir.path().join("boards"), dir.path().join("away"));
    fs::create_dir(&boards).expect("there is room");
    let path = boards.join("states");
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    store.save(&ctx, &7, &Snapshot::new(1, "state")).expect("there is room");
    fs::rename(&boards, &away).expect("it is there");
    let error = store.save(&ctx, &7, &Snapshot::new(2, "state")).expect_err("it is not there");
    assert!(error.to_string().contains("removed or replaced"), "{error}");
    store.save(&ctx, &7, &Snapshot::new(3, "state")).expect_err("it is not there");
    fs::rename(&away, &boards).expect("it is there");
    store.save(&ctx, &7, &Snapshot::new(4, "state")).expect("it is back");
    assert_eq!(store.load(&ctx, &7).expect("it is whole"), Some(Snapshot::new(4, "state")));
    fs::remove_dir_all(&boards).expect("it is there");
    for _ in 0..2 {
        store.save(&ctx, &7, &Snapshot::new(5, "state")).expect_err("it is gone");
    }
    drop(store);
    assert!(!boards.exists());
}

#[cfg(unix)]
#[test]
fn a_save_to_a_file_that_another_one_has_replaced_fails() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let (path, other) = (dir.path().join("states"), dir.path().join("other"));
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    let copy = DiskStore::<u64>::open(&other).expect("it opens");
    copy.save(&ctx, &7, &Snapshot::new(7, "the copy's")).expect("there is room");
    drop(copy);
    fs::rename(&other, &path).expect("it is there");
    store.save(&ctx, &7, &Snapshot::new(1, "state")).expect_err("nobody would find it");
    // From now on it is the store of the file that is there.
    let found = store.load(&ctx, &7).expect("it is whole");
    assert_eq!(found, Some(Snapshot::new(7, "the copy's")));
}

#[test]
fn a_flipped_bit_is_an_error_that_names_the_session() {
    const STATE: &[u8] = b"a state that stands nowhere else in the file";
    let (ctx, _cancel) = root();
    let dir = folder();
    let path = dir.path().join("states");
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    store.save(&ctx, &7, &Snapshot::new(1, STATE)).expect("there is room");
    store.save(&ctx, &8, &Snapshot::new(1, "whole")).expect("there is room");
    drop(store);
    let mut bytes = fs::read(&path).expect("it is there");
    let places: Vec<usize> =
        (0..bytes.len() - STATE.len()).filter(|at| bytes[*at..].starts_with(STATE)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| bytes[at + 20] ^= 4);
    fs::write(&path, bytes).expect("it is written");
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    let error = store.load(&ctx, &7).expect_err("it does not verify");
    assert!(matches!(&error, StoreError::Corrupt { id, .. } if id == "7"), "{error}");
    assert_eq!(store.load(&ctx, &8), Ok(Some(Snapshot::new(1, "whole"))));
}

#[test]
fn a_file_that_was_cut_or_overwritten_gives_errors_or_what_was_saved() {
    let (ctx, _cancel) = root();
    let dir = folder();
    let path = dir.path().join("states");
    let saved = Snapshot::new(1, vec![b's'; 500]);
    let store = DiskStore::<u64>::open(&path).expect("it opens");
    for id in 0..200 {
        store.save_then(&ctx, &id, &saved, drop).expect("there is room");
    }
    drop(store);
    let whole = fs::read(&path).expect("it is there");
    let part = |n| whole.len() / 8 * n;
    let overwritten = (0..8).map(|n| {
        let mut bytes = whole.clone();
        bytes[part(n)..][..512].fill(0xa5);
        bytes
    });
    let cut = (0..8).map(|n| whole[..part(n)].to_vec());
    for bytes in std::iter::once(whole.clone()).chain(overwritten).chain(cut) {
        let is_whole = bytes == whole;
        fs::write(&path, bytes).expect("it is written");
        let store = DiskStore::<u64>::open(&path);
        assert!(store.is_ok() || !is_whole);
        let Ok(store) = store else { continue };
        for id in 0..200 {
            match store.load(&ctx, &id) {
                Ok(Some(found)) => assert!(found == saved),
                other => assert!(!is_whole, "{other:?}"),
            }
        }
    }
}

#[test]
fn a_board_keeps_what_it_answered_when_the_process_is_killed() {
    let program = collab();
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

#[test]
fn ctrl_c_ends_it_with_130_and_everything_saved() {
    let dir = folder();
    let mut child = Command::new(collab())
        .args(["--say", "--seconds", "60", "--boards", "50", "--people", "4", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the example is built with the tests");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said: Vec<_> = lines.by_ref().take(20).map(|line| line.expect("text")).collect();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    said.extend(lines.map_while(Result::ok));
    assert_eq!(child.wait().expect("it has ended").code(), Some(130));
    let answers = dir.path().join("answers");
    fs::write(&answers, said.join("\n") + "\n").expect("it is written");
    let mut check = Command::new(collab());
    check.arg("--check").arg(&answers).arg("--dir").arg(dir.path());
    assert!(check.output().expect("it runs").status.success());
}

/// Starts it, and returns what it says.
fn started(dir: &std::path::Path) -> (std::process::Child, impl Iterator<Item = String>) {
    let mut child = Command::new(collab())
        .args(["--say", "--seconds", "60", "--boards", "50", "--people", "4", "--dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example is built with the tests");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines.map_while(Result::ok))
}

#[test]
fn sigterm_ends_it_in_good_order() {
    let dir = folder();
    let (mut child, mut lines) = started(dir.path());
    assert_eq!(lines.by_ref().take(20).count(), 20);
    let pid = child.id().to_string();
    let term = || Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    assert!(term().success());
    lines.for_each(drop);
    assert_eq!(child.wait().expect("it has ended").code(), Some(143));
}

#[test]
fn a_folder_that_is_gone_is_a_failure_of_it() {
    let dir = folder();
    let boards = dir.path().join("boards");
    let (child, mut lines) = started(&boards);
    let errors = thread::spawn(move || {
        let pid = child.id().to_string();
        let mut child = child;
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        // It is told to end when it has noticed.
        let error = lines.next().expect("an error").expect("text");
        let _ = Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        lines.map_while(Result::ok).for_each(drop);
        (error, child.wait().expect("it has ended").code())
    });
    assert_eq!(lines.by_ref().take(20).count(), 20);
    fs::remove_dir_all(&boards).expect("it is there");
    lines.for_each(drop);
    let (error, code) = errors.join().expect("it does not panic");
    assert!(error.contains("store"), "{error}");
    assert_eq!(code, Some(1));
}

#[test]
fn its_check_takes_no_line_for_another_and_makes_no_file() {
    let dir = folder();
    let answers = dir.path().join("answers");
    let check = |dir: &std::path::Path| {
        let mut check = Command::new(collab());
        check.arg("--check").arg(&answers).arg("--dir").arg(dir);
        check.output().expect("the example is built with the tests").status.code()
    };
    fs::write(&answers, "").expect("it is written");
    assert_eq!((check(dir.path()), dir.path().join("boards.redb").exists()), (Some(1), false));
    drop(DiskStore::<u32>::open(dir.path().join("boards.redb")).expect("it opens"));
    assert_eq!(check(dir.path()), Some(0));
    for line in ["4294967296 0 0", "1 0 0 x", "1 0 0 0", "1 0", "-1 0 0", ""] {
        fs::write(&answers, format!("{line}\n")).expect("it is written");
        assert_eq!(check(dir.path()), Some(1), "{line}");
    }
}
