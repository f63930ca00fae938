//! The service, and what its clients see of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ironsys::channel::{self, Receiver, Sender};
use ironsys::limit::{Admission, Admitted, Vegas};
use ironsys::sync::Mutex;
use ironsys::{Context, Stop, scope};

const WORKERS: usize = 8;
/// A request takes its worker from 16 to 24 ms.
const LEAST_WORK: Duration = Duration::from_millis(16);
const MORE_WORK: Duration = Duration::from_millis(8);
/// Requests a second that the workers can do: 8 in 20 ms.
pub(crate) const CAPACITY: f64 = WORKERS as f64 / 0.02;
/// A client that has waited for so long has left.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is measured.
pub(crate) struct Trial {
    /// Times the capacity.
    pub(crate) load: f64,
    pub(crate) admission: bool,
    pub(crate) seconds: u32,
    pub(crate) seed: u64,
}

/// What came of it.
pub(crate) struct Point {
    /// Requests served in time, of the capacity.
    pub(crate) goodput: f64,
    /// Of those that were served, in time or not: from the client's first word to the answer.
    pub(crate) p99: Duration,
    /// Clients that were told to go, of all.
    pub(crate) turned_away: f64,
}

struct Request {
    since: Instant,
    work: Duration,
    admitted: Option<Admitted>,
}

/// Runs the service on the context's clock, with clients that come at random.
pub(crate) fn measure(ctx: &Context, trial: &Trial) -> Result<Point, Box<dyn std::error::Error>> {
    let gate = Admission::builder(Vegas::default()).bounds(4..=100).interval(PATIENCE / 4);
    let gate = gate.clock(ctx.clock().clone());
    let gate = if trial.admission { Some(gate.build()?) } else { None };
    let start = ctx.clock().now() + WARM_UP;
    let end = start + Duration::from_secs(trial.seconds.into());
    let most = (trial.load * CAPACITY * (end - start + WARM_UP).as_secs_f64() * 2.0) as usize;
    let (queue, requests) = channel::bounded(most); // As good as no bound.
    let (times, turned_away, mut clients) = (Mutex::new(Vec::new()), AtomicU64::new(0), 0);
    let mut random = Random(trial.seed);

    scope(ctx, |s| {
        for _ in 0..WORKERS {
            s.daemon(|ctx| work(ctx, &requests, start, &times));
        }
        loop {
            // Poisson: the gaps have an exponential distribution.
            s.ctx()
                .sleep(Duration::from_secs_f64(-random.next().ln() / (trial.load * CAPACITY)))?;
            let since = s.ctx().clock().now();
            if since >= end {
                return Ok::<_, Stop>(());
            }
            let measured = since >= start;
            clients += u64::from(measured);
            let mut request = Request {
                since,
                work: LEAST_WORK + MORE_WORK.mul_f64(random.next()),
                admitted: None,
            };
            let Some(gate) = &gate else {
                enqueue(&queue, request);
                continue;
            };
            request.admitted = gate.try_enter();
            if request.admitted.is_some() {
                enqueue(&queue, request);
                continue;
            }
            // It has to wait, which takes a thread.
            let (queue, turned_away) = (&queue, &turned_away);
            s.execute(move |ctx| {
                match gate.enter(ctx) {
                    Ok(admitted) => enqueue(queue, Request { admitted: Some(admitted), ..request }),
                    Err(_) => drop(turned_away.fetch_add(u64::from(measured), Relaxed)),
                }
                Ok(())
            });
        }
    })?;

    let mut times = times.into_inner();
    times.sort_unstable();
    let in_time = times.iter().filter(|time| **time <= PATIENCE).count();
    Ok(Point {
        goodput: in_time as f64 / (f64::from(trial.seconds) * CAPACITY),
        p99: times.get(times.len() * 99 / 100).copied().unwrap_or_default(),
        turned_away: turned_away.into_inner() as f64 / clients.max(1) as f64,
    })
}

fn enqueue(queue: &Sender<Request>, request: Request) {
    // There is room: twice as much as there are clients.
    let _ = queue.try_send(request);
}

/// A worker. It does what it finds in the queue, wanted or not.
fn work(
    ctx: &Context,
    requests: &Receiver<Request>,
    start: Instant,
    times: &Mutex<Vec<Duration>>,
) -> Result<(), Stop> {
    for request in requests.iter(ctx) {
        ctx.sleep(request.work)?;
        if let Some(admitted) = request.admitted {
            admitted.success();
        }
        let now = ctx.clock().now();
        if now >= start {
            times.lock().push(now - request.since);
        }
    }
    Ok(())
}

/// Splitmix64.
struct Random(u64);

impl Random {
    /// Above 0, and 1 at the most.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}
