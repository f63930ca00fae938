//! Is every lock, condvar and atomic operation in `src/` reached by a model?
//!
//! The compiler lists the operations: under `--cfg ironsys_sites` the functions of the loom seam are
//! deprecated, so each use is a diagnostic with its place. The models list what they execute: the same
//! functions know their caller. The first list without the second must be empty. A line that cannot be
//! reached says `// loom: unreached: <reason>`, at its end or on the line above.
//!
//! The tool runs the suite itself, prints how many executions each model took, and fails on a model
//! with a single one: it has lost its race.

use loom_tests::{Fallible, build, cargo, messages, models, root, target};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("census: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Fallible<bool> {
    let sites = sites()?;
    let (reached, raced) = suite()?;
    let mut sources = Sources::default();
    let (mut open, mut excused) = (0, 0);
    for site in &sites {
        if site.is_reached(&reached, sources.line(site)) {
            continue;
        }
        match sources.excuse(site) {
            Some(reason) => {
                excused += 1;
                println!("excused  {site}: {reason}");
            }
            None => {
                open += 1;
                println!("OPEN     {site}: {}", sources.line(site).trim());
            }
        }
    }
    println!("census: {} sites, {excused} excused, {open} not reached by any model", sites.len());
    Ok(open == 0 && raced)
}

/// The use of an operation of the seam.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    file: String,
    line: usize,
    column: usize,
    what: String,
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{} {}", self.file, self.line, self.column, self.what)
    }
}

type Reached = BTreeMap<(String, usize), BTreeSet<usize>>;

impl Site {
    /// The compiler points at the name of the function, the caller of a path at the path's start.
    fn is_reached(&self, reached: &Reached, line: &str) -> bool {
        let Some(columns) = reached.get(&(self.file.clone(), self.line)) else { return false };
        let before: Vec<char> = line.chars().take(self.column - 1).collect();
        let path = before.iter().rev().take_while(|c| c.is_alphanumeric() || "_:<>".contains(**c));
        let start = self.column - path.count();
        columns.contains(&self.column) || columns.contains(&start)
    }
}

/// Every use of the seam's operations outside of the seam's own back ends, from the compiler.
fn sites() -> Fallible<BTreeSet<Site>> {
    let mut check = cargo("check", "--cfg loom --cfg ironsys_sites", &target("loom"));
    check.args(["-p", "ironsys", "--lib", "--all-features", "--message-format=json", "--quiet"]);
    let mut sites = BTreeSet::new();
    for message in messages(check)? {
        let message = &message["message"];
        let text = message["message"].as_str().unwrap_or_default();
        if !text.contains("ironsys-site") {
            continue;
        }
        for span in message["spans"].as_array().into_iter().flatten() {
            let file = span["file_name"].as_str().unwrap_or_default();
            // The back ends are what is counted against; the module passes them on.
            let seam = file.starts_with("src/sync/with_") || file == "src/sync/mod.rs";
            if span["is_primary"] != true || seam {
                continue;
            }
            let number = |key: &str| span[key].as_u64().unwrap_or(0) as usize;
            sites.insert(Site {
                file: file.into(),
                line: number("line_start"),
                column: number("column_start"),
                what: text.split('`').nth(1).unwrap_or(text).into(),
            });
        }
    }
    if sites.is_empty() {
        return Err("the compiler lists no site at all".into());
    }
    Ok(sites)
}

/// Runs the models: what they reach, and whether every one of them has a race.
fn suite() -> Fallible<(Reached, bool)> {
    let program = build("loom-tests", "models", "loom")?;
    let (census, stats) = (scratch("census")?, scratch("stats")?);
    let mut suite = Command::new(&program);
    suite.current_dir(root()).arg("--quiet");
    let suite = suite.env("IRONSYS_CENSUS", &census).env("IRONSYS_STATS", &stats);
    let status = suite.status().map_err(|e| format!("{}: {e}", program.display()))?;
    let stats = read(&stats)?;
    let (mut raced, mut executions, mut seconds) = (true, 0, 0.0);
    let models = models(&stats);
    for (name, model) in &models {
        println!("{name:50} {:14} {:>9} {:>9.3} s", model.kind, model.executions, model.seconds);
        (executions, seconds) = (executions + model.executions, seconds + model.seconds);
        if model.executions <= 1 {
            raced = false;
            println!("OPEN     {name}: a single execution, so there is no race in it");
        }
    }
    println!("{} models, {executions} executions, {seconds:.1} s", models.len());
    if !status.success() {
        return Err(format!("the models fail: {status}"));
    }
    let mut reached = Reached::new();
    for line in read(&census)?.lines() {
        // file:line:column kind
        let place = line.split(' ').next().unwrap_or_default();
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next().and_then(|n| n.parse().ok());
        let (Some(column), Some(line), Some(file)) =
            (column, parts.next().and_then(|n| n.parse().ok()), parts.next())
        else {
            continue;
        };
        reached.entry((file.into(), line)).or_default().insert(column);
    }
    Ok((reached, raced))
}

fn scratch(name: &str) -> Fallible<PathBuf> {
    let path = target("loom").join(format!("{name}.txt"));
    fs::write(&path, "").map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> Fallible<String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The lines of the files that have sites.
#[derive(Default)]
struct Sources(BTreeMap<String, Vec<String>>);

impl Sources {
    fn line(&mut self, site: &Site) -> &str {
        self.at(&site.file, site.line)
    }

    fn at(&mut self, file: &str, line: usize) -> &str {
        let lines = self.0.entry(file.into()).or_insert_with(|| {
            let text = fs::read_to_string(root().join(file)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        });
        line.checked_sub(1).and_then(|i| lines.get(i)).map_or("", String::as_str)
    }

    fn excuse(&mut self, site: &Site) -> Option<String> {
        let lines = [site.line, site.line - 1];
        let mark = "// loom: unreached:";
        let found = lines
            .map(|n| self.at(&site.file, n).split_once(mark).map(|(_, why)| why.trim().to_owned()));
        found.into_iter().flatten().find(|reason| !reason.is_empty())
    }
}
