//! The program as its own user: people on real connections, and faults at their times.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ironsys::service::Ended;
use ironsys::{Context, Stop};
use serde_json::{Value, json};

use crate::client::Client;
use crate::faults::Faults;
use crate::latency::{bucket, quantiles};
use crate::options::Options;
use crate::say;

/// What people do not do at once: the pause between two requests of one of them.
const THINK: Duration = Duration::from_millis(10);

/// What the people have seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Changes of carts that were answered with yes.
    changes: AtomicU64,
    events: AtomicU64,
    looks: AtomicU64,
    /// 429 and 503.
    shed: AtomicU64,
    /// Other answers of 400 and more.
    refused: AtomicU64,
    /// Connections that broke.
    broken: AtomicU64,
    phases: Mutex<Vec<Phase>>,
}

/// A time with a name, and what was seen in it.
struct Phase {
    name: &'static str,
    counts: Box<[AtomicU64; 256]>,
    shed: u64,
}

/// What happens when, as parts of the whole time.
const STORY: &[(f64, &str, Option<&str>, bool)] = &[
    (0.0, "calm", None, false),
    (0.2, "slow auth", Some("slow-auth"), true),
    (0.4, "recovered", Some("slow-auth"), false),
    (0.5, "broker down", Some("broker-down"), true),
    (0.65, "broker back", Some("broker-down"), false),
    (0.75, "5x load", Some("load"), true),
    (0.95, "calm again", Some("load"), false),
];

pub(crate) struct Demo<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) options: &'a Options,
    pub(crate) faults: &'a Faults,
    pub(crate) seen: &'a Seen,
}

impl Demo<'_> {
    /// Lets people use the service until `ctx` stops, or the story has been told.
    pub(crate) fn play(&self, ctx: &Context) {
        let whole = match self.options.demo {
            true => Duration::from_secs(self.options.seconds),
            false => Duration::MAX,
        };
        let ctx = ctx.with_timeout(whole);
        let crowd = self.options.people * 5;
        let _ = ironsys::scope::options().limit(crowd + 1).name("people").run(&ctx, |s| {
            if self.options.demo {
                s.execute(|ctx| self.director(ctx, whole));
            }
            for person in 0..crowd {
                s.execute(move |ctx| self.person(ctx, person));
            }
            Ok::<(), Stop>(())
        });
    }

    /// Presses the buttons.
    fn director(&self, ctx: &Context, whole: Duration) -> Result<(), Stop> {
        let began = Instant::now();
        let mut client = Client::new(self.address, self.options.token.clone());
        for (at, name, fault, on) in STORY {
            let due = whole.mul_f64(*at).saturating_sub(began.elapsed());
            ctx.sleep(due)?;
            if let Some(fault) = fault {
                let method = if *on { "POST" } else { "DELETE" };
                let _ = client.send(method, &format!("/api/faults/{fault}"), "");
            }
            if !self.options.json && !self.options.say {
                say::err(format_args!("{:>7.1} s  {name}", began.elapsed().as_secs_f64()));
            }
            let counts = Box::new([const { AtomicU64::new(0) }; 256]);
            self.phases().push(Phase { name, counts, shed: 0 });
        }
        Ok(())
    }

    fn phases(&self) -> std::sync::MutexGuard<'_, Vec<Phase>> {
        self.seen.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One person: adds to carts, undoes, looks, sends events; sometimes a cart crashes.
    fn person(&self, ctx: &Context, number: usize) -> Result<(), Stop> {
        let mut client = Client::new(self.address, self.options.token.clone());
        let seed = self.options.seed.wrapping_mul(10_007) + number as u64 + 1;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        loop {
            // Most of the crowd is only there when there is five times the load.
            if number >= self.options.people && !Faults::is(&self.faults.load) {
                ctx.sleep(Duration::from_millis(100))?;
                continue;
            }
            ctx.sleep(THINK)?;
            self.act(&mut client, &mut dice);
        }
    }

    fn act(&self, client: &mut Client, dice: &mut Dice) {
        let user = format!("user-{}", dice.below(30) * dice.below(30));
        let item = ["apple", "bread", "cheese", "dates", "eggs", "figs"][dice.below(6) as usize];
        let cart = format!("/api/carts/{user}");
        let began = Instant::now();
        let (kind, answer) = match dice.below(100) {
            _ if dice.below(2_000) == 0 => ("crash", client.send("DELETE", &cart, "")),
            0..50 => {
                let body = json!({"item": item, "n": dice.below(3) + 1}).to_string();
                ("change", client.send("POST", &format!("{cart}/items"), &body))
            }
            50..60 => ("change", client.send("POST", &format!("{cart}/undo"), "")),
            60..80 => ("look", client.send("GET", &cart, "")),
            _ => {
                let lines = (0..20).map(|_| format!("page/{} {}\n", dice.below(50), dice.below(9)));
                ("events", client.send("POST", "/api/events", &lines.collect::<String>()))
            }
        };
        let took = began.elapsed();
        let Ok(answer) = answer else {
            self.seen.broken.fetch_add(1, Relaxed);
            return;
        };
        if let Some(phase) = self.phases().last_mut() {
            match answer.status {
                429 | 503 => phase.shed += 1,
                _ => drop(phase.counts[bucket(took)].fetch_add(1, Relaxed)),
            }
        }
        let count = match (answer.status, kind) {
            (429 | 503, _) => &self.seen.shed,
            (400.., _) => &self.seen.refused,
            (_, "change") => &self.seen.changes,
            (_, "events") => &self.seen.events,
            _ => &self.seen.looks,
        };
        count.fetch_add(1, Relaxed);
        if self.options.say && kind == "change" && answer.status == 200 {
            let said = answer.json();
            let (version, trail) = (&said["version"], said["trail"].as_str().unwrap_or("?"));
            let line = format!("{user} {version} {trail} {}", said["usage"]);
            let _ = writeln!(io::stdout().lock(), "{line}");
        }
    }
}

impl Seen {
    /// The summary for people.
    pub(crate) fn table(&self) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<12} {:>9} {:>9} {:>10} {:>10}",
            "phase", "answered", "shed", "p50", "p99"
        );
        for (name, n, shed, p50, p99) in self.rows() {
            let ms = |d: Duration| format!("{:.2} ms", d.as_secs_f64() * 1e3);
            let _ = writeln!(out, "{name:<12} {n:>9} {shed:>9} {:>10} {:>10}", ms(p50), ms(p99));
        }
        let get = |count: &AtomicU64| count.load(Relaxed);
        let _ = writeln!(
            out,
            "changes {}, event batches {}, looks {}, shed {}, refused {}, broken {}",
            get(&self.changes),
            get(&self.events),
            get(&self.looks),
            get(&self.shed),
            get(&self.refused),
            get(&self.broken)
        );
        out
    }

    fn rows(&self) -> Vec<(&'static str, u64, u64, Duration, Duration)> {
        let phases = self.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let row = |phase: &Phase| {
            let counts: Vec<u64> = phase.counts.iter().map(|count| count.load(Relaxed)).collect();
            let [p50, p99] = quantiles(&counts, [0.5, 0.99]).unwrap_or_default();
            (phase.name, counts.iter().sum(), phase.shed, p50, p99)
        };
        phases.iter().map(row).collect()
    }

    /// The summary for programs.
    pub(crate) fn json(&self, ended: &[(String, Ended)]) -> Value {
        let get = |count: &AtomicU64| count.load(Relaxed);
        let rows = self.rows().into_iter().map(|(name, n, shed, p50, p99)| {
            json!({"phase": name, "answered": n, "shed": shed,
                "p50_us": p50.as_micros() as u64, "p99_us": p99.as_micros() as u64})
        });
        let left = ended.iter().flat_map(|(part, ended)| {
            ended.left.iter().map(move |l| json!({"part": part, "what": l.what, "count": l.count}))
        });
        json!({
            "changes": get(&self.changes), "event_batches": get(&self.events),
            "looks": get(&self.looks), "shed": get(&self.shed), "refused": get(&self.refused),
            "broken": get(&self.broken), "phases": rows.collect::<Vec<_>>(),
            "left": left.collect::<Vec<_>>(),
        })
    }
}

/// xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % n
    }
}
