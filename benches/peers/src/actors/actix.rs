//! actix: each actor lives on one of two arbiter threads; `do_send` has no bound.

use std::sync::atomic::Ordering;

use actix::prelude::*;

use crate::cases::session::{ACTORS, TALLY, await_tally};
use crate::harness::ns_each;

struct Counter(u64);

impl Actor for Counter {
    type Context = Context<Self>;
}

struct Add(u64);
struct Report;
struct Get;

impl Message for Add {
    type Result = ();
}
impl Message for Report {
    type Result = ();
}
impl Message for Get {
    type Result = u64;
}

impl Handler<Add> for Counter {
    type Result = ();
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) {
        self.0 += n;
    }
}
impl Handler<Report> for Counter {
    type Result = ();
    fn handle(&mut self, _: Report, _: &mut Context<Self>) {
        TALLY.fetch_add(self.0, Ordering::AcqRel);
    }
}
impl Handler<Get> for Counter {
    type Result = u64;
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

pub(crate) fn tell(n: u64) -> f64 {
    let system = System::new();
    system.block_on(async {
        let arbiters = [Arbiter::new(), Arbiter::new()];
        let all: Vec<_> = (0..ACTORS)
            .map(|i| Counter::start_in_arbiter(&arbiters[i as usize % 2].handle(), |_| Counter(0)))
            .collect();
        let each = ns_each(n, || {
            std::thread::scope(|s| {
                for sender in 0..2 {
                    let all = &all;
                    s.spawn(move || {
                        for i in 0..n / 2 {
                            all[((i + sender * ACTORS / 2) % ACTORS) as usize].do_send(Add(1));
                        }
                    });
                }
            });
            all.iter().for_each(|a| a.do_send(Report));
            await_tally(n / 2 * 2);
        });
        arbiters.iter().for_each(|a| assert!(a.stop()));
        for arbiter in arbiters {
            let _ = arbiter.join();
        }
        each
    })
}

pub(crate) fn ask(n: u64) -> f64 {
    System::new().block_on(async {
        let counter = Counter(0).start();
        let start = std::time::Instant::now();
        for _ in 0..n {
            counter.send(Get).await.expect("it answers");
        }
        start.elapsed().as_nanos() as f64 / n as f64
    })
}
