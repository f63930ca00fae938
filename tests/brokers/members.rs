//! Members of one group in processes of their own: what happens when one is killed in the midst.
//!
//! A member says what it is at and does not go on before it is let: so the test knows what every process
//! does at the moment of the kill.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a member may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many each does before one is killed.
const BEFORE: usize = 30;

/// What the handler of a member does: says `at`, waits until it is let go on, says `did`.
pub(crate) fn handle(id: u64) {
    say(format!("\nat {id}\n"));
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_ok_and(|n| n > 0) {
        say(format!("\ndid {id}\n"));
    } else {
        std::process::exit(0); // Nobody is there any more.
    }
}

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("somebody reads it");
}

/// The test itself, once more, to run only the function `child`.
pub(crate) fn member(child: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    command.args(["--exact", child, "--nocapture", "--test-threads=1"]);
    command
}

struct Member {
    child: Child,
    stdin: ChildStdin,
    /// How many it is at, and not let go on with.
    at: usize,
    did: Vec<u64>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

enum Word {
    At,
    Did(u64),
    Gone,
}

impl Member {
    fn start(n: usize, mut command: Command, tell: Sender<(usize, Word)>) -> Member {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = stdout.expect("it is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let word = match line.split_once(' ') {
                    Some(("at", _)) => Word::At,
                    Some(("did", id)) => Word::Did(id.parse().expect("a number")),
                    _ => continue, // The test harness talks, too.
                };
                let _ = tell.send((n, word));
            }
            let _ = tell.send((n, Word::Gone));
        });
        let stdin = stdin.expect("it is piped");
        Member { child, stdin, at: 0, did: Vec::new() }
    }

    /// Lets it go on with all it is at.
    fn go_on(&mut self) {
        for _ in 0..std::mem::take(&mut self.at) {
            self.stdin.write_all(b"\n").expect("it lives");
        }
    }
}

/// Hears one more word; the member that was killed may go, and no other.
fn hear(
    members: &mut [Member],
    word: Result<(usize, Word), RecvTimeoutError>,
    killed: Option<usize>,
) {
    match word.expect("the members go on") {
        (n, Word::At) => members[n].at += 1,
        (n, Word::Did(id)) => members[n].did.push(id),
        (n, Word::Gone) => assert_eq!(Some(n), killed, "a member died by itself"),
    }
}

/// Two members share the messages `1..=total`; one is killed while both are at one, which it has not said it
/// did. The other does that, and the rest, or this fails. Returns how many were done twice; the survivor
/// goes on until everything is `settled`.
pub(crate) fn one_is_killed_and_the_other_takes_over(
    commands: [Command; 2],
    total: u64,
    mut settled: impl FnMut() -> bool,
) -> usize {
    let (tell, heard) = channel();
    let start = |(n, command)| Member::start(n, command, tell.clone());
    let mut members: Vec<_> = commands.into_iter().enumerate().map(start).collect();
    // Neither goes on before the other is there, too.
    loop {
        while members.iter().any(|m| m.at == 0) {
            hear(&mut members, heard.recv_timeout(PATIENCE), None);
        }
        if members.iter().all(|m| m.did.len() >= BEFORE) {
            break;
        }
        members.iter_mut().for_each(Member::go_on);
    }
    members[0].child.kill().expect("it lives"); // SIGKILL.
    loop {
        let done = members.iter().flat_map(|m| m.did.iter().copied());
        if done.collect::<BTreeSet<u64>>().len() as u64 == total {
            break;
        }
        members[1].go_on();
        hear(&mut members, heard.recv_timeout(PATIENCE), Some(0));
    }
    // It may get some that are done once more.
    let began = Instant::now();
    while !settled() {
        assert!(began.elapsed() < PATIENCE, "not everything is settled");
        while let Ok(word) = heard.try_recv() {
            hear(&mut members, Ok(word), Some(0));
        }
        members[1].go_on();
        std::thread::yield_now();
    }
    let mut times = BTreeMap::<u64, usize>::new();
    for id in members.iter().flat_map(|m| &m.did) {
        *times.entry(*id).or_default() += 1;
    }
    assert_eq!(times.keys().copied().collect::<Vec<_>>(), (1..=total).collect::<Vec<_>>());
    times.values().map(|times| times - 1).sum()
}
