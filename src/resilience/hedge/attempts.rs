//! Where attempts run: in a scope that waits for the losers, or on a pool that owns them.

use super::Hedge;
use super::race::{Decided, Race};
use crate::context::{Canceller, Context, Stop};
use crate::pool::{Submitter, TrySubmitError};
use crate::resilience::CallError;
use crate::resilience::single_flight::{full, gave_up, run};
use crate::scope::{self, Scope};
use crate::sync::Arc;
use crate::wait::{Place, Site, WaitKind};
use std::panic::Location;
use std::time::Duration;

/// What an attempt calls.
type Next<'a, T, E> = &'a (dyn Fn(&Context) -> Result<T, CallError<E>> + Sync);

// ===== in a scope =====

struct Call<'a, T, E> {
    hedge: &'a Hedge,
    race: Race<T, E>,
    stop_rest: Canceller,
    next: Next<'a, T, E>,
    delay: Duration,
}

#[track_caller]
pub(super) fn in_scope<T: Send, E: Send>(
    hedge: &Hedge,
    ctx: &Context,
    delay: Duration,
    next: Next<'_, T, E>,
) -> Result<T, CallError<E>> {
    let (group, stop_rest) = ctx.with_cancel();
    let call = Call { hedge, race: Race::new(), stop_rest, next, delay };
    let ran = scope::options().name("hedge").run(&group, |s| {
        let _ = s.spawn_with(|s| call.later(s, 1));
        call.attempt(s.ctx(), false);
        Ok::<_, Stop>(())
    });
    call.race.take_answer().unwrap_or_else(|| Err(CallError::Stopped(no_answer(ctx, ran))))
}

impl<T: Send, E: Send> Call<'_, T, E> {
    /// Waits until attempt `n` beyond the first is due, and makes it.
    fn later<'env>(&'env self, s: &Scope<'_, 'env, Stop>, n: u32) -> Result<(), Stop> {
        if s.ctx().sleep(self.delay).is_err() || self.race.is_over() {
            return Ok(());
        }
        // The token first: entered without one, it would keep the race open.
        if !self.hedge.may() || !self.race.enter() {
            return Ok(());
        }
        self.hedge.shared.hedges.add_one();
        if n < self.hedge.most {
            let _ = s.spawn_with(move |s| self.later(s, n + 1));
        }
        self.attempt(s.ctx(), true);
        Ok(())
    }

    fn attempt(&self, ctx: &Context, is_hedge: bool) {
        let finished = self.race.finish(self.hedge.timed(ctx, || (self.next)(ctx)));
        if finished.wins && is_hedge {
            self.hedge.shared.won.add_one();
        }
        if finished.decides {
            self.stop_rest.cancel_with("another attempt has answered");
        }
    }
}

// ===== on a pool =====

/// An attempt on a pool, which owes an outcome: dropped unmade it says so.
struct Owed<T, E> {
    race: Arc<Race<T, E>>,
    at: &'static Location<'static>,
    is_open: bool,
}

impl<T, E> Drop for Owed<T, E> {
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.race.finish(Err(gave_up(self.at)));
        }
    }
}

#[track_caller]
pub(super) fn on_pool<T, E, F>(
    hedge: &Hedge,
    ctx: &Context,
    delay: Option<Duration>,
    pool: &Submitter,
    f: F,
) -> Result<T, CallError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(&Context) -> Result<T, E> + Send + Sync + 'static,
{
    let at = Location::caller();
    let (group, stop_rest) = ctx.with_cancel();
    let _stop_rest = stop_rest.cancel_on_drop(); // Whichever way this returns.
    let (race, f) = (Arc::new(Race::new()), Arc::new(f));
    let submit = |is_hedge: bool| {
        let (hedge, group, f) = (hedge.clone(), group.clone(), f.clone());
        let mut owed = Owed { race: race.clone(), at, is_open: true };
        pool.try_submit(move |job: &Context| {
            let ctx = Context::merge(&group, job);
            let out = hedge.timed(&ctx, || run(at, || f(&ctx)));
            owed.is_open = false;
            if owed.race.finish(out).wins && is_hedge {
                hedge.shared.won.add_one();
            }
        })
    };
    if let Err(TrySubmitError::Full(_)) = submit(false) {
        return Err(full(pool));
    }
    let site = Site::new(WaitKind::Join, Some(pool.name().into()));
    let mut decided = Decided { race: &race, place: Place::default() };
    for _ in 0..delay.map_or(0, |_| hedge.most) {
        let due = delay.and_then(|delay| ctx.clock().now().checked_add(delay));
        match ctx.block_until(due, site.clone(), &mut decided)? {
            None if due.is_some() && hedge.may() && race.enter() => {
                hedge.shared.hedges.add_one();
                let _ = submit(true); // Refused, it says that it was given up.
            }
            _ => break,
        }
    }
    ctx.block(site, &mut decided)?;
    race.take_answer().unwrap_or_else(|| Err(CallError::Stopped(no_answer(ctx, Ok(())))))
}

fn no_answer(ctx: &Context, ran: Result<(), Stop>) -> Stop {
    ran.err().or_else(|| ctx.check().err()).unwrap_or(Stop::DeadlineExceeded)
}
