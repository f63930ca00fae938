//! Shape 6, a synchronous call: who is this? A peer answers, over a socket, within a tight deadline.
//!
//! The call goes through a breaker and a hedge. When the peer cannot be asked, an answer of the last
//! minute is good enough; without one the request is refused for now.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ironsys::pool::{Pool, Submitter};
use ironsys::resilience::{Breaker, BreakerState, Budget, CallError, Hedge, HedgeStats, Trip};
use ironsys::service::{Ended, Part, Service};
use ironsys::{Context, Stop};

use crate::faults::Faults;
use crate::http::{Handler, Limits, Request, Response, Server};

/// How long the peer may take for an answer.
const DEADLINE: Duration = Duration::from_millis(250);
/// When a second attempt is made.
const HEDGE: Duration = Duration::from_millis(40);
/// How long an answer is taken without asking again.
const FRESH: Duration = Duration::from_secs(2);
/// How long it will do if the peer cannot be asked.
const STALE: Duration = Duration::from_secs(60);
/// Answers that are kept.
const KEPT: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted,
    Denied,
}

/// The peer could not be asked, and nothing is known of the user.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) why: String,
    pub(crate) retry_after: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the peer did not answer: {0}")]
    Http(#[from] ureq::Error),
    #[error(transparent)]
    Stopped(#[from] Stop),
    #[error("the peer answered {0}")]
    Odd(u16),
}

#[derive(Clone)]
pub(crate) struct Auth {
    peer: SocketAddr,
    agent: ureq::Agent,
    breaker: Breaker,
    hedge: Hedge,
    pool: Submitter,
    known: Arc<Mutex<HashMap<String, (Verdict, Instant)>>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) asked: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Answered from what was known, since the peer could not be asked.
    pub(crate) stale: AtomicU64,
}

/// The peer: another server, on a port of its own.
struct Peer {
    faults: Arc<Faults>,
}

impl Handler for Peer {
    fn answer(&self, ctx: &Context, request: &Request<'_>) -> Response {
        if Faults::is(&self.faults.slow_auth) && ctx.sleep(Duration::from_secs(1)).is_err() {
            return Response::error(503, "the peer ends");
        }
        match request.path.strip_prefix("/who/") {
            Some(user) if user.starts_with("evil") => Response::error(403, "that one may not"),
            Some(_) => Response::text("welcome"),
            None => Response::error(404, "ask for /who/NAME"),
        }
    }
}

/// Starts the peer, and what is needed to ask it, as parts of the service.
pub(crate) fn start(
    service: &mut Service,
    faults: &Arc<Faults>,
) -> Result<Auth, Box<dyn std::error::Error>> {
    let peer = service.start("auth-peer", |ctx| {
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0), Limits::default())?;
        let address = server.address();
        let handler = Arc::new(Peer { faults: faults.clone() });
        let part = server.start(ctx, "auth-peer", handler).map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>((part, address))
    })?;
    let pool = service.start("auth-calls", |ctx| {
        let pool = Pool::builder("auth").workers(32).queue(256).context(ctx).build()?;
        let submitter = pool.submitter();
        // A call that lost its race is not worth waiting for longer than it may take.
        let part = move |ctx: &Context| -> Ended {
            let part: Box<dyn Part> = Box::new(pool.within(2 * DEADLINE));
            part.drain(ctx)
        };
        Ok::<_, ironsys::BuildError>((part, submitter))
    })?;
    let breaker = Breaker::builder("auth")
        .trip(Trip::last(20, 0.5).min_calls(10))
        .open_for(Duration::from_secs(2))
        .probes(3)
        .close_after(2)
        .build()?;
    let budget = Budget::builder().ratio(0.2).floor_per_second(5).build()?;
    let hedge = Hedge::after(HEDGE).budget(&budget);
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = config.max_idle_connections_per_host(32).build().into();
    let (known, counts) = (Arc::default(), Arc::default());
    Ok(Auth { peer, agent, breaker, hedge, pool, known, counts })
}

impl Auth {
    /// Says whether the user may come in.
    pub(crate) fn check(&self, ctx: &Context, user: &str) -> Result<Verdict, Unknown> {
        let known = self.known(user);
        if let Some((verdict, age)) = known
            && age < FRESH
        {
            return Ok(verdict);
        }
        self.counts.asked.fetch_add(1, Relaxed);
        let failed = match self.ask(ctx, user) {
            Ok(verdict) => {
                self.keep(user, verdict);
                return Ok(verdict);
            }
            Err(failed) => failed,
        };
        self.counts.failed.fetch_add(1, Relaxed);
        if let Some((verdict, age)) = known
            && age < STALE
        {
            self.counts.stale.fetch_add(1, Relaxed);
            return Ok(verdict);
        }
        let retry_after = failed.retry_after().unwrap_or(Duration::from_secs(1));
        Err(Unknown { why: failed.to_string(), retry_after })
    }

    fn ask(&self, ctx: &Context, user: &str) -> Result<Verdict, CallError<AskError>> {
        let ctx = ctx.with_timeout(DEADLINE);
        self.breaker.call(&ctx, |ctx| {
            let (agent, url) = (self.agent.clone(), format!("http://{}/who/{user}", self.peer));
            let once = move |ctx: &Context| get(ctx, &agent, &url);
            self.hedge.call_on(ctx, &self.pool, once).map_err(|error| match error {
                CallError::Failed(failed) => failed,
                CallError::Stopped(stop) => AskError::Stopped(stop),
                other => AskError::Http(ureq::Error::Io(std::io::Error::other(other.to_string()))),
            })
        })
    }

    fn known(&self, user: &str) -> Option<(Verdict, Duration)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(user).map(|(verdict, at)| (*verdict, at.elapsed()))
    }

    fn keep(&self, user: &str, verdict: Verdict) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.retain(|_, (_, at)| at.elapsed() < FRESH);
        }
        if known.len() < KEPT {
            known.insert(user.to_owned(), (verdict, Instant::now()));
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    pub(crate) fn hedges(&self) -> HedgeStats {
        self.hedge.stats()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// Asks the peer once, for as long as the context lets it.
fn get(ctx: &Context, agent: &ureq::Agent, url: &str) -> Result<Verdict, AskError> {
    ctx.check()?;
    let request = agent.get(url).config().timeout_global(ctx.remaining()).build();
    match request.call()?.status().as_u16() {
        200 => Ok(Verdict::Granted),
        403 => Ok(Verdict::Denied),
        other => Err(AskError::Odd(other)),
    }
}
