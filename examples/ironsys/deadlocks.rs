//! A watch for threads that lock each other out, and two such threads for those who want to see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ironsys::export::DeadlockWatch;
use ironsys::limit::{AcquireError, Semaphore};
use ironsys::service::{Ended, Service, StartError};
use ironsys::{BuildError, Context, channel};

use crate::say;

/// What was found, for the page.
pub(crate) type Deadlocks = Arc<Mutex<Vec<String>>>;

/// Two looks find one, so within twice this.
const LOOK: Duration = Duration::from_millis(700);

pub(crate) fn watch(service: &mut Service) -> Result<Deadlocks, StartError<BuildError>> {
    let found = Deadlocks::default();
    service.start("deadlock-watch", |ctx| {
        let all = found.clone();
        let watch = DeadlockWatch::start(ctx, LOOK, move |deadlock| {
            say::err(format_args!("ironsys: {deadlock}"));
            all.lock().unwrap_or_else(PoisonError::into_inner).push(deadlock.to_string());
        })?;
        let part = move |_: &Context| {
            watch.stop();
            Ended::clean()
        };
        Ok((part, found))
    })
}

/// Two threads that take two things in opposite order. They go on when they are cancelled.
pub(crate) fn plant(service: &mut Service) -> Result<(), Box<dyn std::error::Error>> {
    let (left, right) = (Semaphore::named("left fork", 1), Semaphore::named("right fork", 1));
    let (a, b) = channel::bounded::<()>(1);
    let (c, d) = channel::bounded::<()>(1);
    let forks = [("plato", left.clone(), right.clone(), a, d), ("kant", right, left, c, b)];
    for (name, first, second, has, other_has) in forks {
        service.spawn(name, move |ctx| {
            let _first = first.hold_watched(ctx, 1)?;
            // Each is told that the other has its first.
            let _ = has.send(ctx, ());
            let _ = other_has.recv(ctx);
            let _second = second.hold_watched(ctx, 1)?;
            Ok::<(), AcquireError>(())
        })?;
    }
    Ok(())
}
