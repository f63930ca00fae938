//! The rules of the house that no compiler checks: floors, the seam, size and shape of a file.
//!
//! A room is a folder or file right under `src/`. It may use the rooms above it in [`ROOMS`] and no
//! others; so there is no cycle, and the list is the order to read the crate in.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room with its floor, in the order to read them: each uses only what stands before it.
const ROOMS: &[(&str, u8)] = &[
    ("sync", 0),
    ("error", 0),
    ("panics", 0),
    ("time", 0),
    ("wait", 1),
    ("observe", 1),
    ("context", 1),
    ("channel", 2),
    ("limit", 2),
    ("threads", 3),
    ("scope", 3),
    ("pool", 3),
    ("cpu", 3),
    ("schedule", 3),
    ("resource", 3),
    ("writer", 3),
    ("bus", 3),
    ("owner", 3),
    ("resilience", 4),
    ("flow", 4),
    ("session", 4),
    ("process", 4),
    ("service", 4),
    ("durable", 5),
    ("brokers", 5),
    ("saga", 5),
    ("export", 5),
    ("testing", 6),
];

/// What only `sync` may name, and `testing`, which runs the checkers.
const PRIMITIVES: &[&str] = &[
    "std::sync",
    "core::sync",
    "std::thread",
    "std::cell::UnsafeCell",
    "std::panic::catch_unwind",
    "Instant::now",
    "SystemTime::now",
    "parking_lot",
    "crossbeam",
    "rayon::",
    "flume",
    "loom::",
    "shuttle::",
    "std::thread_local",
    " thread_local!",
    "static mut",
];

/// A file of the crate: its path below `src/`, its room, its lines.
struct File {
    path: PathBuf,
    room: String,
    lines: Vec<String>,
}

impl File {
    /// Numbered lines without what stands behind `//`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |line: &String| line.split("//").next().unwrap_or_default().len();
        self.lines.iter().enumerate().map(move |(i, line)| (i + 1, &line[..code(line)]))
    }

    fn at(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path.display())
    }

    /// `lib.rs` shows the whole house.
    fn is_the_map(&self) -> bool {
        self.path == Path::new("lib.rs")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn files() -> Vec<File> {
    let src = root().join("src");
    let mut paths = Vec::new();
    rust_files(&src, &mut paths);
    assert!(paths.len() > 20, "the sources are somewhere else");
    let file = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(&src).unwrap().to_path_buf();
        let room = path.components().next().unwrap().as_os_str().to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        File { path, room, lines: text.lines().map(str::to_owned).collect() }
    };
    paths.into_iter().map(file).collect()
}

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

#[track_caller]
fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The rooms that a line of code names as `crate::room`.
fn rooms_named(code: &str) -> Vec<String> {
    let parts = code.split("crate::").skip(1);
    let word = |part: &str| part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    parts.map(word).collect()
}

#[test]
fn a_room_uses_only_rooms_before_it() {
    assert!(ROOMS.is_sorted_by_key(|(_, floor)| floor), "a room stands below its floor");
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| !file.is_the_map()) {
        let Some(mine) = place(&file.room) else {
            broken.push(format!("{}: room `{}` has no floor", file.at(1), file.room));
            continue;
        };
        for (n, code) in file.code() {
            if code.contains("use crate::{") {
                broken.push(format!("{}: one `use` for each room", file.at(n)));
            }
            for other in rooms_named(code) {
                if place(&other).is_some_and(|other| other > mine) {
                    broken.push(format!("{}: `{}` uses `{other}`", file.at(n), file.room));
                }
            }
        }
    }
    none(broken);
}

#[test]
fn only_the_seam_names_the_primitives() {
    let mut broken = Vec::new();
    for file in files() {
        if ["sync", "testing"].contains(&&*file.room) {
            continue;
        }
        for (n, code) in file.code() {
            let padded = format!(" {}", code.trim_start());
            for primitive in PRIMITIVES.iter().filter(|p| padded.contains(**p)) {
                broken.push(format!("{}: names `{}`", file.at(n), primitive.trim()));
            }
        }
    }
    none(broken);
}

#[test]
fn every_file_opens_with_what_it_is_for_and_is_short() {
    let mut broken = Vec::new();
    for file in files() {
        if !file.lines.first().is_some_and(|line| line.starts_with("//!")) {
            broken.push(format!("{}: does not open with `//!`", file.at(1)));
        }
        if file.lines.len() > 500 {
            broken.push(format!("{}: {} lines, of 500", file.at(1), file.lines.len()));
        }
    }
    none(broken);
}

#[test]
fn unsafe_code_has_one_file() {
    let mut broken = Vec::new();
    for file in files() {
        for (n, code) in file.code() {
            let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let lint = code.contains("unsafe_code") || code.contains("unsafe_op");
            if words.any(|word| word == "unsafe") && !lint && file.path != Path::new("sync/gate.rs")
            {
                broken.push(format!("{}: unsafe outside of sync/gate.rs", file.at(n)));
            }
        }
    }
    none(broken);
}

#[test]
fn nothing_is_left_undone_or_ignored() {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "examples", "loom-tests"] {
        rust_files(&root().join(folder), &mut paths);
    }
    let mut broken = Vec::new();
    for path in paths.iter().filter(|path| !path.ends_with("tests/house.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for (i, line) in text.lines().enumerate() {
            for left in ["todo!(", "unimplemented!(", "#[ignore", "dbg!("] {
                if line.contains(left) {
                    broken.push(format!("{}:{}: {left}", path.display(), i + 1));
                }
            }
        }
    }
    none(broken);
}
