//! The accept loop, with a limit, and a drain.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ironsys::limit::Semaphore;
use ironsys::pool::Pool;
use ironsys::service::Ended;
use ironsys::threads::ThreadCache;
use ironsys::{Context, Stop};

use super::connection::{self, Connection};
use super::crew::Crew;
use super::watch::{Door, Knock};
use super::{Refused, Request, Response};

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers, on a thread of the request's own: it may wait, until `ctx` stops.
    fn answer(&self, ctx: &Context, request: &Request<'_>) -> Response;

    /// Answers if that takes no waiting, on a thread that all connections share. What it says no to, and
    /// what has a body, comes to [`answer`](Self::answer).
    fn at_once(&self, request: &Request<'_>) -> Option<Response> {
        let _ = request;
        None
    }

    /// Counts a request that did not get as far as [`answer`](Self::answer).
    fn refused(&self, refused: &Refused) {
        let _ = refused;
    }
}

/// What a client may take of the server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// How long a request may take to come, and its answer to be made and to go: each.
    pub(crate) request: Duration,
    /// How long a connection may say nothing between two requests.
    pub(crate) idle: Duration,
    /// Bytes of a body.
    pub(crate) body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (request, idle) = (Duration::from_secs(5), Duration::from_secs(30));
        Limits { connections: 512, request, idle, body: 1024 * 1024 }
    }
}

#[derive(Default)]
pub(crate) struct ServerStats {
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    /// Turned away since there were too many.
    pub(crate) turned_away: AtomicU64,
    /// Cut since they took too long.
    pub(crate) cut: AtomicU64,
    /// Cut since the time of the drain was over, or the system had no more threads.
    pub(crate) left: AtomicU64,
    /// How often the system had no more threads.
    pub(crate) short: AtomicU64,
}

pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    stats: Arc<ServerStats>,
}

impl Server {
    pub(crate) fn bind(address: impl ToSocketAddrs, limits: Limits) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Server { listener, address, limits, stats: Arc::default() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stats(&self) -> Arc<ServerStats> {
        self.stats.clone()
    }

    /// Serves on threads of its own; what it returns is the part of a service that drains it: no more
    /// connections, every request that has begun is answered, then all are closed.
    pub(crate) fn start<H: Handler>(
        self,
        ctx: &Context,
        name: &str,
        handler: Arc<H>,
    ) -> Result<impl FnOnce(&Context) -> Ended + Send + use<H>, ironsys::BuildError> {
        let stats = self.stats.clone();
        let ctx = ctx.with_value(ThreadCache::new(self.limits.connections.min(64)));
        let pool = Pool::builder(name).workers(1).queue(1).context(&ctx).build()?;
        let (intake, close) = ctx.with_cancel();
        let serve = move |ctx: &Context| self.serve(ctx, &intake, &*handler);
        let server = pool.try_submit(serve).ok();
        Ok(move |ctx: &Context| {
            close.cancel_with("the server takes no more requests");
            drop(pool.drain(ctx)); // When `ctx` stops it cancels what is left, and waits for that.
            let ended = Ended::clean().left("connections", stats.left.load(Relaxed));
            match server.map(|server| server.join(&Context::root().0)) {
                Some(Ok(Err(error))) => ended.error(error),
                Some(Err(error)) if !ctx.is_stopped() => ended.error(error),
                _ => ended,
            }
        })
    }

    /// Accepts until `intake` stops; returns when the last connection has ended.
    fn serve<H: Handler>(self, ctx: &Context, intake: &Context, handler: &H) -> io::Result<()> {
        loop {
            let served = self.accept(ctx, intake, handler);
            match served {
                // No thread was to be had, and the scope has ended: the next connections may fare better.
                Err(error) if !intake.is_stopped() && ctx.check().is_ok() => {
                    self.stats.short.fetch_add(1, Relaxed);
                    log::error!("the connections are cut: {error}");
                    let _ = intake.sleep(Duration::from_millis(100));
                }
                served => return served,
            }
        }
    }

    fn accept<H: Handler>(&self, ctx: &Context, intake: &Context, handler: &H) -> io::Result<()> {
        let door = Door::new(&self.listener)?;
        let room = Semaphore::new(self.limits.connections);
        let (limits, stats) = (&self.limits, &*self.stats);
        let crew = Crew::new(handler, intake, limits, stats)?;
        // The places bound the threads: one that waited for another to end would leave its watch to nobody.
        let options = ironsys::scope::options().limit(usize::MAX).name("connections");
        let served = options.run(ctx, |s| {
            let mut knocks = crew.start(s);
            knocks.push(door.knocker());
            let knock = move |_: Stop| knocks.iter().for_each(Knock::knock);
            let _wakes = (intake.on_stop(knock.clone()), s.ctx().on_stop(knock));
            while !intake.is_stopped() && s.ctx().check().is_ok() {
                let (stream, peer) = match door.next() {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) => continue,
                    Err(error) => {
                        // No descriptors, or the client has gone again: the next may fare better.
                        log::warn!("no connection was accepted: {error}");
                        let _ = intake.sleep(Duration::from_millis(20));
                        continue;
                    }
                };
                self.stats.accepted.fetch_add(1, Relaxed);
                let Some(permit) = room.try_acquire(1).ok() else {
                    self.stats.turned_away.fetch_add(1, Relaxed);
                    connection::turn_away(&stream);
                    continue;
                };
                match Connection::new(s.ctx(), stream, peer.ip(), permit, limits, stats) {
                    Ok(connection) => crew.take(connection),
                    Err(error) => log::debug!("a connection ended as it began: {error}"),
                }
            }
            Ok(())
        });
        served.map_err(io::Error::other)
    }
}
