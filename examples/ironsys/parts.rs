//! All shapes as one service. What is started later uses what was started before; so the drain goes from
//! the server that takes requests to the outbox that keeps what they cost.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ironsys::Context;
use ironsys::durable::{DiskStore, Outbox};
use ironsys::service::Service;

use crate::app::{App, Gate, Meters};
use crate::billing::Billing;
use crate::faults::Faults;
use crate::http::{Limits, Server};
use crate::ingest::Source;
use crate::options::Options;
use crate::{auth, brokers, cart, eyes, ingest, rollup, say};

/// What the rest of the program needs of the service.
pub(crate) struct Started {
    pub(crate) address: SocketAddr,
    pub(crate) app: Arc<App>,
}

pub(crate) fn start(
    ctx: &Context,
    dir: &Path,
    options: &Options,
) -> Result<(Service, Started), Box<dyn Error>> {
    let faults = Arc::new(Faults::default());
    let mut service =
        Service::builder("ironsys").context(ctx).drain_within(options.drain).build()?;

    // Who cannot be bound is told before anything is begun.
    let limits = Limits { connections: options.connections, ..Limits::default() };
    let server = Server::bind(&*options.address, limits)
        .map_err(|e| format!("cannot listen at {}: {e}", options.address))?;
    let address = server.address();

    let eyes = eyes::open(&mut service, options.trace.clone())?;
    if options.plant_deadlock {
        eyes::plant(&mut service)?;
    }
    let usage = Outbox::open(dir.join("usage"))?;
    service.start("outbox", |_| Ok::<_, std::io::Error>((usage.clone(), ())))?;
    let (billing, books) = Billing::open(&dir.join("billing.log"), faults.clone())?;
    let relay = brokers::relay(ctx, &mut service, &usage, billing, options.nats.as_deref())?;

    let path = dir.join("carts.redb");
    // An empty store would be made anew, and every cart whose changes were answered be gone without a word.
    let is_new = fs::metadata(&path).map_or(true, |file| file.len() == 0);
    if is_new && usage.stats().next > 1 {
        let what = "is missing or empty, but the outbox has had usage of carts";
        return Err(format!("{}: {what}", path.display()).into());
    }
    let store = Arc::new(DiskStore::open(path)?);
    let carts = cart::start(&mut service, store, options.live)?;
    let ingest = ingest::start(&mut service, options.workers)?;
    let rollups = rollup::start(&mut service, &ingest, options.rollup)?;
    let auth = auth::start(&mut service, &faults)?;
    for source in &options.sources {
        let ingest = ingest.clone();
        match source.clone() {
            Source::File(path) => {
                service.spawn("follow", move |ctx| ingest.follow(ctx, &path))?;
            }
            Source::Nats(url) => {
                service.spawn("from-nats", move |ctx| brokers::from_nats(ctx, &ingest, &url))?;
            }
            Source::Redis(url) => {
                service.spawn("from-redis", move |ctx| brokers::from_redis(ctx, &ingest, &url))?;
            }
            Source::Stdin => {
                // Nothing wakes a thread that reads the standard input: it ends with the process.
                let (ctx, name) = (ctx.clone(), std::thread::Builder::new().name("stdin".into()));
                name.spawn(move || {
                    if let Err(e) = ingest.read_stdin(&ctx) {
                        say::err(format_args!("ironsys: the standard input: {e}"));
                    }
                })?;
            }
        }
    }

    let app = Arc::new(App {
        carts,
        ingest,
        rollups,
        usage,
        relay,
        books,
        auth,
        gate: Gate::new(options.rate, options.concurrent)?,
        faults,
        health: service.health(),
        http: server.stats(),
        meters: Meters::default(),
        eyes,
        token: options.token.clone(),
        started: Instant::now(),
    });
    let carts = app.carts.clone();
    service.ready_if("carts", move || match carts.stats().queued {
        0..10_000 => Ok(()),
        queued => Err(format!("{queued} messages wait")),
    });
    let usage = app.usage.clone();
    service.ready_if("outbox", move || match usage.stats().bytes_on_disk {
        0..0x4000_0000 => Ok(()),
        bytes => Err(format!("{bytes} bytes wait for billing")),
    });
    let handler = app.clone();
    service.start("http", |ctx| {
        let part = server.start(ctx, "http", handler)?;
        Ok::<_, ironsys::BuildError>((part, ()))
    })?;
    Ok((service, Started { address, app }))
}
