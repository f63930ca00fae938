//! A connection that is made again when it breaks.

use super::link::{Link, LinkError};
use super::server::Server;
use crate::context::Context;
use crate::schedule::{Backoff, Jitter};
use std::time::Duration;

/// One connection at a time to one server.
#[derive(Debug)]
pub(super) struct Kept {
    server: Server,
    retry: Backoff,
    link: Option<Link>,
    /// Whether nobody has used the link with success yet.
    is_fresh: bool,
}

impl Kept {
    pub(super) fn new(server: &Server, retry: &Backoff) -> Kept {
        Kept { server: server.clone(), retry: retry.clone(), link: None, is_fresh: true }
    }

    /// Gives up after about half a minute.
    pub(super) fn usual_retry() -> Backoff {
        Backoff::exponential(Duration::from_millis(50))
            .max_delay(Duration::from_secs(5))
            .jitter(Jitter::Equal)
            .max_attempts(15)
    }

    /// Calls `f` with the link, and whether it is new; again, after a while and with another link, for
    /// as long as the server is only away.
    pub(super) fn with<T>(
        &mut self,
        ctx: &Context,
        mut f: impl FnMut(&mut Link, bool) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let mut delays = self.retry.delays();
        let begun = ctx.clock().now();
        loop {
            let e = match self.once(ctx, &mut f) {
                Ok(done) => return Ok(done),
                Err(e) => e,
            };
            self.link = None;
            if !e.is_passing() {
                return Err(e);
            }
            let Some(delay) = delays.next_after(ctx.clock().now() - begun) else { return Err(e) };
            log::debug!("ironsys: {:?}: {e}", self.server);
            ctx.sleep(delay)?;
        }
    }

    /// Like `with`, and once only.
    pub(super) fn once<T>(
        &mut self,
        ctx: &Context,
        f: impl FnOnce(&mut Link, bool) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let mut link = match self.link.take().filter(|link| !link.is_broken()) {
            Some(link) => link,
            None => {
                self.is_fresh = true;
                self.server.connect(ctx)?
            }
        };
        let done = f(&mut link, self.is_fresh)?;
        self.is_fresh = false;
        self.link = Some(link).filter(|link| !link.is_broken());
        Ok(done)
    }

    /// Hangs up.
    pub(super) fn reset(&mut self) {
        self.link = None;
    }
}
