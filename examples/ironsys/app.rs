//! What all shapes share: the handles that a request may use, and the limits in front of them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ironsys::BuildError;
use ironsys::channel::Watcher;
use ironsys::durable::{Outbox, RelayStats};
use ironsys::export::Histogram;
use ironsys::limit::{Admission, Keyed, Rate, TokenBucket};
use ironsys::service::Health;
use ironsys::session::Sessions;

use crate::auth::Auth;
use crate::billing::Books;
use crate::cart::Cart;
use crate::eyes::Eyes;
use crate::faults::Faults;
use crate::http::ServerStats;
use crate::ingest::Ingest;
use crate::rollup::Rollups;

pub(crate) struct App {
    pub(crate) carts: Sessions<Cart>,
    pub(crate) ingest: Ingest,
    pub(crate) rollups: Rollups,
    pub(crate) usage: Outbox,
    pub(crate) relay: Watcher<RelayStats>,
    pub(crate) books: Arc<Books>,
    pub(crate) auth: Auth,
    pub(crate) gate: Gate,
    pub(crate) faults: Arc<Faults>,
    pub(crate) health: Health,
    pub(crate) http: Arc<ServerStats>,
    pub(crate) meters: Meters,
    pub(crate) eyes: Eyes,
    /// What a client has to know, if anything.
    pub(crate) token: Option<String>,
    pub(crate) started: Instant,
}

/// Who is asked first: so many a second for each client, and so many at once for all.
pub(crate) struct Gate {
    pub(crate) clients: Keyed<IpAddr, TokenBucket>,
    pub(crate) all: Admission,
}

impl Gate {
    pub(crate) fn new(rate: u32, concurrent: usize) -> Result<Gate, BuildError> {
        let each = TokenBucket::new(Rate::per_second(rate), rate.saturating_mul(2));
        Ok(Gate {
            clients: Keyed::builder(&each).max_keys(100_000).build()?,
            all: Admission::builder(ironsys::limit::Fixed)
                .initial(concurrent)
                .queue(concurrent)
                .target(Duration::from_millis(1))
                .interval(Duration::from_millis(100))
                .name("requests")
                .build()?,
        })
    }
}

/// What is counted of the requests.
#[derive(Default)]
pub(crate) struct Meters {
    pub(crate) requests: AtomicU64,
    pub(crate) ok: AtomicU64,
    /// 429 and 503: come again later.
    pub(crate) shed: AtomicU64,
    /// Other answers of 400 and more.
    pub(crate) failed: AtomicU64,
    /// Changes of carts that were answered with yes.
    pub(crate) changes: AtomicU64,
    /// Of the last seconds, for the page.
    pub(crate) latency: crate::latency::Recent,
    /// Of all time, for Prometheus.
    pub(crate) took: Histogram,
}

impl Meters {
    pub(crate) fn count(&self, status: u16, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        let kind = match status {
            429 | 503 => &self.shed,
            400.. => &self.failed,
            _ => &self.ok,
        };
        kind.fetch_add(1, Relaxed);
        if status < 400 {
            self.latency.add(took);
            self.took.record(took);
        }
    }
}
