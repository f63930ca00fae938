//! Runs the `rollup` example as its users do: arguments and files in, totals, words and exit code out.
//!
//! `cargo test` builds the example first; `cargo test --test rollup` does not, so it is built here if
//! it is missing. With `IRONSYS_ACCESS_LOG` set to the real log that the facts below were counted from,
//! the totals are compared with them; everything else runs on made-up logs.
#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

const LINE: &str =
    r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 10 "-" "agent""#;

fn rollup() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("path of this test");
        let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
        let program = profile.join("examples/rollup");
        if !program.exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--example", "rollup"]);
            build.args(profile.ends_with("release").then_some("--release"));
            assert!(build.status().expect("cargo runs").success());
        }
        program
    });
    Command::new(program)
}

/// What a run left behind.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stderr))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn run(args: &[&str]) -> Ran {
    rollup().args(args).stdin(Stdio::null()).output().expect("rollup runs").into()
}

/// A directory with one file, and that file's path.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join(name);
    fs::write(&path, content).expect("temporary file");
    let path = path.to_str().expect("path is UTF-8").to_owned();
    (dir, path)
}

fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_ref()).expect("memory is writable");
    encoder.finish().expect("memory is writable")
}

/// The one row that a log of the single line `line` makes in `table`.
fn only_row(line: &str, table: &str) -> (String, u64) {
    let (_dir, path) = file("one.log", line);
    let ran = run(&["--json", &path]);
    assert_eq!(ran.code, Some(0), "{line}: {}", ran.stderr);
    let rows = ran.json()[table].as_object().expect("object").clone();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let (key, count) = rows.iter().next().expect("one row");
    (key.clone(), count["bytes"].as_u64().expect("number"))
}

/// Runs rollup on `content`, expects this exit code and every one of `words` on stderr.
fn check_fails(name: &str, content: impl AsRef<[u8]>, code: i32, words: &[&str]) -> Ran {
    let (_dir, path) = file(name, content);
    let ran = run(&["--json", &path]);
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    for word in words.iter().chain(&[name]) {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
    ran
}

// ===== Totals =====

#[test]
fn the_real_log_has_the_facts_counted_independently() {
    let Ok(log) = std::env::var("IRONSYS_ACCESS_LOG") else { return };
    let ran = run(&["--json", &log]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!(json["lines"], 10_000);
    assert_eq!(json["bad_lines"], 0);
    assert_eq!(json["all"], json!({"requests": 10_000, "bytes": 2_747_282_740_u64}));
    let requests = |table: &str, key: &str| json[table][key]["requests"].clone();
    for (status, count) in
        [(200, 9126), (304, 445), (404, 213), (301, 164), (206, 45), (500, 3), (416, 2), (403, 2)]
    {
        assert_eq!(requests("statuses", &status.to_string()), count);
    }
    for (day, count) in [(17, 1632), (18, 2893), (19, 2896), (20, 2579)] {
        assert_eq!(requests("days", &format!("{day}/May/2015")), count);
    }
    assert_eq!(json["clients"].as_object().map(|clients| clients.len()), Some(1753));
    assert_eq!(requests("clients", "66.249.73.135"), 482);
    assert_eq!(json["clients"]["68.180.224.225"]["bytes"], 168_132_893);
}

#[test]
fn without_a_file_it_reads_a_log_of_its_own() {
    let ran = run(&["--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let json = ran.json();
    for table in ["clients", "statuses", "days", "paths"] {
        let rows = json[table].as_object().expect("object").values();
        let sum: u64 = rows.map(|row| row["bytes"].as_u64().expect("number")).sum();
        assert_eq!(json["all"]["bytes"], sum, "{table}");
    }
    assert!(json["bad_lines"].as_u64() > Some(0));
}

#[test]
fn the_made_up_log_is_the_same_every_time() {
    let (first, second) = (run(&["--generate", "1"]), run(&["--generate", "1"]));
    assert!(first.stdout.len() >= 1 << 20 && first.stdout == second.stdout);
}

#[test]
fn files_gzip_members_and_stdin_add_up() {
    let log = format!("{LINE}\n{LINE}\n");
    let (_plain, plain) = file("plain.log", &log);
    let (_gzip, gzip) = file("log", [gzip(&log), gzip(LINE)].concat());
    let mut child = start(&["--json", &plain, &gzip, "-"]);
    child.stdin.take().expect("piped").write_all(log.as_bytes()).expect("rollup reads");
    let ran = Ran::from(child.wait_with_output().expect("rollup ends"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.json()["all"], json!({"requests": 7, "bytes": 70}));
}

#[test]
fn a_table_shows_the_top_rows_aligned() {
    let more = LINE.replace("10.0.0.1", "10.0.0.2").replace(" 10 ", " 12345 ");
    let (_dir, path) = file("log", format!("{LINE}\n{more}\n{more}"));
    let ran = run(&["--top", "1", &path]);
    let expected = "\
requests   bytes  clients (1 of 2)
       2  24,690  10.0.0.2
";
    assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
}

#[test]
fn days_are_in_their_own_order() {
    let days = ["01/Jan/2016", "02/Dec/2015", "30/Nov/2015"];
    let log: String = days.map(|day| LINE.replace("17/May/2015", day) + "\n").concat();
    let (_dir, path) = file("log", log);
    let out = run(&[&path]).stdout;
    let at = |day| out.find(day).expect(day);
    assert!(at(days[2]) < at(days[1]) && at(days[1]) < at(days[0]), "{out}");
}

// ===== Lines =====

#[test]
fn the_path_is_the_second_of_three_words_else_the_whole_request() {
    for (request, path) in [
        ("GET /x?y HTTP/1.1", "/x?y"),
        ("-", "-"),
        ("", ""),
        ("GET /x", "GET /x"),
        ("GET /a b HTTP/1.1", "GET /a b HTTP/1.1"),
        (r#"GET /\"q\" HTTP/1.1"#, r#"/\\\"q\\\""#),
        (r"\x16\x03\\", r"\\x16\\x03\\\\"),
    ] {
        let line = LINE.replace("GET /a HTTP/1.1", request);
        assert_eq!(only_row(&line, "paths").0, path, "{request}");
    }
}

#[test]
fn what_real_logs_contain_is_parsed() {
    for line in [
        LINE.to_owned() + "\r\n",
        LINE.to_owned() + " \"extra field\" 0.003",
        LINE.trim_end_matches("agent\"").to_owned(),
        LINE.replace("- - [", "- john doe ["),
        LINE.replace("\"-\"", r#""a \"quoted\" referer""#),
    ] {
        assert_eq!(only_row(&line, "days"), ("17/May/2015".into(), 10));
    }
    assert_eq!(only_row(&LINE.replace(" 10 ", " - "), "clients").1, 0);
    assert_eq!(only_row(&LINE.replace(" 10 ", " 18446744073709551615 "), "clients").1, u64::MAX);
}

#[test]
fn what_is_no_log_line_is_bad() {
    for line in [
        LINE.replace("17/May", "32/May"),
        LINE.replace("May", "Foo"),
        LINE.replace("2015:10", "2015 10"),
        LINE.replace(" 200 ", " 2000 "),
        LINE.replace(" 10 ", " 1x "),
        LINE.replace(" 10 ", " 18446744073709551616 "),
        LINE.replace("1.1\"", "1.1"),
        LINE.replace("- - ", "- "),
        String::new(),
        " ".into(),
        "\\".into(),
        "a b c [".into(),
        "a b c [17/May/2015:10:05:03 +0000] \"\\".into(),
    ] {
        let ran = check_fails("bad.log", line + "\n", 1, &[":1: ", "no line parses"]);
        assert_eq!(ran.json()["bad_lines"], 1);
    }
}

#[test]
fn no_prefix_of_a_line_makes_it_panic() {
    let (_dir, path) =
        file("log", (0..LINE.len()).map(|n| LINE[..n].to_owned() + "\n").collect::<String>());
    let ran = run(&["--json", &path]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.json()["lines"], LINE.len());
}

#[test]
fn bad_lines_are_kept_with_their_exact_numbers() {
    let bad_at = [1, 7_000, 13_579, 40_000];
    let log: String = (1..=40_000)
        .map(|n| if bad_at.contains(&n) { format!("bad {n}\n") } else { format!("{LINE}\n") })
        .collect();
    let (dir, path) = file("log", log);
    let kept = dir.path().join("kept");
    let ran = run(&["--json", "--bad", kept.to_str().expect("UTF-8"), &path, &path]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.json()["bad_lines"], 8);
    let once: String = bad_at.map(|n| format!("{path}:{n}: no ident: bad {n}\n")).concat();
    assert_eq!(fs::read_to_string(kept).expect("kept lines"), once.repeat(2));
}

// ===== Bad input =====

#[test]
fn a_file_that_cannot_be_read_fails_by_name_and_the_others_are_counted() {
    let (dir, path) = file("log", LINE);
    for (bad, word) in [("/no/such/file", "No such file"), (dir_of(&dir), "directory")] {
        let ran = run(&["--json", bad, &path]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(bad) && ran.stderr.contains(word), "{}", ran.stderr);
        assert_eq!(ran.json()["all"]["requests"], 1);
    }
}

#[test]
fn a_gzip_file_cut_off_fails_with_its_line_and_keeps_what_was_read() {
    let log = (0..50_000).map(|n| LINE.replace("/a", &n.to_string()) + "\n").collect::<String>();
    let mut cut = gzip(log);
    cut.truncate(cut.len() / 2);
    let ran = check_fails("cut.gz", cut, 1, &["after line ", "what was read is counted"]);
    let json = ran.json();
    assert!(json["all"]["requests"].as_u64() > Some(10_000), "{}", ran.stderr);
    assert_eq!(json["errors"].as_array().map(Vec::len), Some(1));
}

#[test]
fn garbage_fails_with_its_line() {
    let garbage: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    check_fails("garbage", garbage, 1, &["garbage:1: ", "not an access log"]);
    check_fails("garbage.gz", b"\x1f\x8bgarbage", 1, &["gzip"]);
}

#[test]
fn a_line_too_long_fails_with_its_number_and_memory_stays_bounded() {
    let mut child = start(&["--json", "-"]);
    let mut stdin = child.stdin.take().expect("piped");
    let mut write = |bytes: &[u8]| stdin.write_all(bytes).expect("rollup reads");
    write(format!("{LINE}\n").as_bytes());
    (0..100).for_each(|_| write(&[b'x'; 1 << 20]));
    write(format!("\n{LINE}\n").as_bytes());
    (0..2).for_each(|_| write(&[b'\n'; 1 << 20]));
    if let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("number");
        assert!(peak < 64 * 1024, "{peak} KiB");
    }
    drop(stdin);
    let ran = Ran::from(child.wait_with_output().expect("rollup ends"));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("(stdin):2: longer than 256 KiB"), "{}", ran.stderr);
    assert_eq!(ran.json()["all"]["requests"], 2);
}

#[test]
fn keys_beyond_the_memory_are_counted_as_others() {
    let log: String = (0..20_000).map(|n| LINE.replace("/a", &format!("/{n}")) + "\n").collect();
    let (_dir, path) = file("log", log);
    let json = run(&["--json", "--memory", "1", &path]).json();
    let named = json["paths"].as_object().expect("object").len() as u64;
    assert!(named < 20_000);
    assert_eq!(json["all"]["requests"], 20_000);
    // A path may have a row from one parser and no room left in another, so rows may hold more than one.
    let rows = json["paths"].as_object().expect("object").values();
    let rows: u64 = rows.map(|row| row["requests"].as_u64().expect("number")).sum();
    assert_eq!(json["others"]["paths"]["requests"], 20_000 - rows);
}

#[test]
fn wrong_usage_says_so_and_exits_with_2() {
    let (dir, path) = file("log", LINE);
    let missing = format!("{}/no/dir", dir_of(&dir));
    for args in [
        &["--nope"][..],
        &["--top"],
        &["--top", "many"],
        &["--top", "99999999999999999999999"],
        &["--memory", "0"],
        &["--json=yes"],
        &["--bad", &path, &path],
        &["--bad", &missing, &path],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("rollup: ") && ran.stdout.is_empty(), "{}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(path).expect("still there"), LINE);
    let help = run(&["--help"]);
    assert!(help.code == Some(0) && help.stdout.contains("Usage: rollup"), "{}", help.stdout);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_fails_and_is_named() {
    let (_dir, path) = file("log", format!("{LINE}\nbad\n"));
    let ran = run(&["--bad", "/dev/full", &path]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("--bad: No space left"), "{}", ran.stderr);
}

// ===== Ctrl-C =====

#[test]
fn an_interrupt_ends_it_at_once_even_in_a_blocked_read() {
    let mut child = start(&["-"]);
    let mut stdin = child.stdin.take().expect("piped");
    // More than a pipe holds: when this is written, rollup is reading and watches for signals.
    stdin.write_all((LINE.to_owned() + "\n").repeat(50_000).as_bytes()).expect("rollup reads");
    let pid = child.id().to_string();
    let started = Instant::now();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let ran = Ran::from(child.wait_with_output().expect("rollup ends"));
    let took = started.elapsed();
    drop(stdin);
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("interrupted: ") && ran.stderr.contains("lines counted"));
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    // 0.1 s is the promise; the rest is for starting `kill` on a busy machine.
    assert!(took < Duration::from_millis(500), "{took:?}");
}

fn start(args: &[&str]) -> Child {
    let mut command = rollup();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("rollup starts")
}

fn dir_of(dir: &TempDir) -> &str {
    Path::to_str(dir.path()).expect("UTF-8")
}
