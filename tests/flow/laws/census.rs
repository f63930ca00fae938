//! No public function of a flow without a row.

use std::path::{Path, PathBuf};

/// Rows that stand for a function under another name, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("fold", "fold_by_key: of a keyed flow; sinks: of a flow"),
    ("explain", "runs nothing: ends.rs"),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn text(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// The public functions of `Flow`, `Keyed` and `Fallible`.
fn public() -> Vec<String> {
    let mut names = Vec::new();
    for source in text("src/flow") {
        let mut of_a_flow = false;
        for line in source.lines() {
            if line.starts_with("impl") {
                of_a_flow = line.contains("Flow<") || line.contains("Keyed<");
            }
            if let Some(rest) = line.strip_prefix("    pub fn ").filter(|_| of_a_flow) {
                names.push(rest.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

#[test]
fn every_public_function_of_a_flow_has_a_row() {
    let (names, rows) = (public(), text("tests/flow/laws"));
    assert!(names.len() > 60, "only {} found: the sources look otherwise now", names.len());
    let used = |name: &str| {
        ["(", "::<"].iter().any(|open| {
            let call = format!("{name}{open}");
            rows.iter().any(|row| {
                row.contains(&format!(".{call}")) || row.contains(&format!("Flow::{call}"))
            })
        })
    };
    let excused = |name: &str| OTHERWISE.iter().any(|(of, _)| *of == name);
    let forgotten: Vec<_> = names.iter().filter(|name| !used(name) && !excused(name)).collect();
    assert!(forgotten.is_empty(), "no row in tests/flow/laws: {forgotten:?}");
}
