//! Does the suite have teeth? Each bug of the list is planted, and a model must catch it.
//!
//! A bug is a branch on `sync::planted("...")` at the place where somebody could make that mistake: a
//! constant `false` outside of the models. The models that are meant for it run, each in a process of
//! its own, since a failing loom model may abort. At least one must fail with the bug, and all of
//! them must pass without.
//!
//! `cargo run -p loom-tests --bin seeded-bugs [BUG…]`; with `--wide` every model is tried, to see
//! which else would notice.

use loom_tests::{Fallible, build, models, root, target};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A bug, and the models that look for it.
struct Bug {
    name: &'static str,
    what: &'static str,
    /// The package whose models they are.
    package: &'static str,
    models: &'static [&'static str],
}

const OURS: &str = "loom-tests";

const BUGS: &[Bug] = &[
    Bug {
        name: "notify_before_flag",
        what: "a waker notifies before it raises the flag",
        package: OURS,
        models: &["waiter::wake", "context::wait_vs_cancel"],
    },
    Bug {
        name: "test_before_register",
        what: "a receiver tests, unlocks, and only then registers",
        package: OURS,
        models: &["channel::recv_vs_deadline", "channel::handoff", "channel::two_receivers"],
    },
    Bug {
        name: "no_baton",
        what: "a receiver that was told takes one message and tells nobody of the rest",
        package: OURS,
        models: &["channel::baton", "channel::two_receivers", "select::passes_the_baton"],
    },
    Bug {
        name: "hook_test_before_insert",
        what: "a hook is inserted in another critical section than the test for the stop",
        package: OURS,
        models: &["context::on_stop_exactly_once", "context::wait_vs_cancel"],
    },
    Bug {
        name: "lost_grant",
        what: "a cancelled acquire drops the permits it was granted at that moment",
        package: OURS,
        models: &["semaphore::cancel_vs_grant"],
    },
    Bug {
        name: "breaker_takes_stale_answers",
        what: "a breaker counts an answer of an older state",
        package: OURS,
        models: &["breaker::stale_answer_vs_probe"],
    },
    Bug {
        name: "lost_turn",
        what: "a cancelled call forgets that its turn at a rate limit had come",
        package: OURS,
        models: &["rate::turn_vs_cancel"],
    },
    Bug {
        name: "stale_flight_is_joined",
        what: "a shared call that everybody has left is joined",
        package: OURS,
        models: &["single_flight::join_vs_leave"],
    },
    Bug {
        name: "record_after_cancel",
        what: "a failing task cancels its siblings before it records why",
        package: OURS,
        models: &["scope::first_error_vs_cancel"],
    },
    Bug {
        name: "time_moves_late",
        what: "a virtual clock moves after its last look at the alarms, outside of the lock",
        package: OURS,
        models: &["time::virtual_clock_advance_vs_park"],
    },
    Bug {
        name: "wake_uncounted",
        what: "a waker does not put the thread back into an autojumping clock's count",
        package: OURS,
        models: &["time::autojump_vs_message", "scope::autojump"],
    },
    Bug {
        name: "bound_receiver_leaves",
        what: "a cancelled receiver leaves the value that a rendezvous counted on it to take",
        package: OURS,
        models: &["rendezvous::recv_vs_cancel", "rendezvous::recv_vs_deadline"],
    },
    Bug {
        name: "one_claim_of_two",
        what: "two selects that meet take only one of their claims",
        package: OURS,
        models: &["select::select_vs_select_vs_recv"],
    },
    Bug {
        name: "gate_counts_late",
        what: "a thread takes the borrowed work and counts itself in afterwards",
        package: OURS,
        models: &["gate::gate_waits_for_runner", "gate::gate_late_runner"],
    },
    Bug {
        name: "quits_with_a_job",
        what: "a warm thread whose time is up ends although it was just asked to come",
        package: OURS,
        models: &["threads::keep_alive_vs_job"],
    },
    Bug {
        name: "due_seen_late",
        what: "a scheduler's dispatch thread reads what it is not to miss after its look at the times",
        package: OURS,
        models: &["schedule::add_vs_sleep"],
    },
    Bug {
        name: "room_no_baton",
        what: "a cancelled write that was told of room in a writer's buffer tells nobody of it",
        package: OURS,
        models: &["writer::cancel_vs_room"],
    },
    Bug {
        name: "memo_looks_twice",
        what: "the memo of the downstream crate looks and books in two critical sections",
        package: "downstream",
        models: &["two_callers_compute_once"],
    },
    Bug {
        name: "turn_ends_blind",
        what: "the end of a session's turn does not look whether a message has come meanwhile",
        package: OURS,
        models: &["session::tell_vs_stop", "session::dedicate_vs_tell"],
    },
    Bug {
        name: "late_session_is_queued",
        what: "a session that becomes ready when the manager has ended waits in a queue that nobody serves",
        package: OURS,
        models: &["session::ask_vs_drop_inside"],
    },
    Bug {
        name: "old_alarm_stays",
        what: "an alarm that has fired before it was stored puts its successor out",
        package: OURS,
        models: &["session::beat_vs_time"],
    },
    Bug {
        name: "no_next_leader",
        what: "a leader that is back tells nobody to lead who still waits",
        package: OURS,
        models: &["durable::append_vs_append", "durable::cancel_vs_lead"],
    },
    Bug {
        name: "flow_cancels_before_it_records",
        what: "a failing stage cancels the run before it records why",
        package: OURS,
        models: &["flow::first_error_wins"],
    },
    Bug {
        name: "flow_waits_with_a_chunk",
        what: "a segment waits for input and keeps items back meanwhile",
        package: OURS,
        models: &["flow::flush_before_wait"],
    },
];

/// A model that needs longer has gone astray.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            println!("seeded bugs: {missed} not as they should be");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("seeded-bugs: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Fallible<usize> {
    let (options, wanted): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let wide = options.iter().any(|option| option == "--wide");
    if let Some(unknown) = wanted.iter().find(|name| !BUGS.iter().any(|bug| bug.name == **name)) {
        return Err(format!("there is no bug `{unknown}`"));
    }
    let chosen = |bug: &&Bug| wanted.is_empty() || wanted.iter().any(|name| name == bug.name);
    let mut programs = BTreeMap::new();
    let mut missed = 0;
    for bug in BUGS.iter().filter(chosen) {
        if !programs.contains_key(bug.package) {
            programs.insert(bug.package, build(bug.package, "models", "loom")?);
        }
        let program = &programs[bug.package];
        let all = if wide { list(program)? } else { Vec::new() };
        let directed: Vec<&str> = bug.models.to_vec();
        let tried = if wide { all.iter().map(String::as_str).collect() } else { directed };
        let mut caught = 0;
        for model in tried {
            let found = check(program, model, Some(bug.name))?;
            let Outcome::Failed { execution, how } = found else { continue };
            let also = if wide && !bug.models.contains(&model) { "also " } else { "" };
            caught += usize::from(also.is_empty());
            println!("{:24} {also}{model:40} execution {execution:>6}  {how}", bug.name);
        }
        if caught == 0 {
            missed += 1;
            println!("{:24} MISSED: {}", bug.name, bug.what);
        }
        for model in bug.models {
            if let Outcome::Failed { how, .. } = check(program, model, None)? {
                missed += 1;
                println!("{:24} {model:40} fails without the bug: {how}", bug.name);
            }
        }
    }
    Ok(missed)
}

fn list(program: &Path) -> Fallible<Vec<String>> {
    let out = Command::new(program).arg("--list").output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

enum Outcome {
    Passed,
    Failed { execution: u64, how: String },
}

/// Runs one model in a process of its own.
fn check(program: &Path, model: &str, bug: Option<&str>) -> Fallible<Outcome> {
    let stats = target("loom").join("bug-stats.txt");
    fs::write(&stats, "").map_err(|e| format!("{}: {e}", stats.display()))?;
    let output = target("loom").join("bug-output.txt");
    let sink = || fs::OpenOptions::new().create(true).append(true).open(&output);
    fs::write(&output, "").map_err(|e| format!("{}: {e}", output.display()))?;
    let (out, err) = (sink().map_err(|e| e.to_string())?, sink().map_err(|e| e.to_string())?);
    let mut command = Command::new(program);
    command.current_dir(root()).args(["--exact", model, "--nocapture", "--test-threads=1"]);
    command.env("IRONSYS_STATS", &stats).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command.stdout(out).stderr(err).envs(bug.map(|bug| ("IRONSYS_BUG", bug)));
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", program.display()))?;
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            break Some(status);
        }
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = fs::read_to_string(&stats).unwrap_or_default();
    let line = models(&text).remove(model);
    let text = fs::read_to_string(&output).unwrap_or_default();
    match (status, line) {
        (None, _) => Ok(Outcome::Failed { execution: 0, how: "does not end".into() }),
        (Some(status), Some(_)) if status.success() => Ok(Outcome::Passed),
        (Some(status), None) if status.success() => Err(format!("there is no model `{model}`")),
        (Some(_), line) => {
            let execution = line.map_or(0, |line| line.executions);
            Ok(Outcome::Failed { execution, how: reason(&text) })
        }
    }
}

/// The first thing that the panic said.
fn reason(output: &str) -> String {
    let mut lines = output.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    let said = lines.next().unwrap_or("no panic: killed by a signal").trim();
    let said = said.split("; threads").next().unwrap_or(said);
    said.chars().take(60).collect()
}
