//! Eyes on the program: threads that lock each other out, where threads wait, tasks that become more and
//! more, and a file of what ran when. And a deadlock for those who want to see one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ironsys::export::trace::Tracer;
use ironsys::export::{DeadlockWatch, GrowthWatch, TaskGrowth, WaitProfile};
use ironsys::limit::{AcquireError, Semaphore};
use ironsys::service::{Ended, Service, StartError};
use ironsys::{BuildError, Context, channel};

use crate::say;

/// What the page shows of it.
#[derive(Clone, Default)]
pub(crate) struct Eyes {
    deadlocks: Arc<Mutex<Vec<String>>>,
    pub(crate) waits: WaitProfile,
}

impl Eyes {
    /// The deadlocks that were found so far.
    pub(crate) fn deadlocks(&self) -> Vec<String> {
        self.deadlocks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Two looks find a deadlock, so within twice this.
const LOOK: Duration = Duration::from_millis(700);
/// Bars that a trace has at most: the last.
pub(crate) const BARS: usize = 200_000;

/// Opens them, as a part of the service. With a tracer in the context and a file, what it has seen is
/// written there at the end.
pub(crate) fn open(
    service: &mut Service,
    trace: Option<PathBuf>,
) -> Result<Eyes, StartError<BuildError>> {
    service.start("eyes", |ctx| {
        let eyes = Eyes::default();
        let found = eyes.deadlocks.clone();
        let deadlocks = DeadlockWatch::start(ctx, LOOK, move |deadlock| {
            say::err(format_args!("ironsys: {deadlock}"));
            found.lock().unwrap_or_else(PoisonError::into_inner).push(deadlock.to_string());
        })?;
        let waits = eyes.waits.watch(ctx, Duration::from_millis(200))?;
        let tell = |growth: &_| say::err(format_args!("ironsys: {growth}"));
        let growth = GrowthWatch::start(ctx, Duration::from_secs(60), TaskGrowth::new(10), tell)?;
        let tracer = ctx.value::<Tracer>().cloned().zip(trace);
        let looks = match &tracer {
            Some((tracer, _)) => Some(tracer.watch(ctx, Duration::from_millis(10))?),
            None => None,
        };
        let part = move |_: &Context| {
            drop((deadlocks, waits, growth, looks));
            let Some((tracer, path)) = tracer else { return Ended::clean() };
            let written = File::create(&path).and_then(|file| {
                let mut file = BufWriter::new(file);
                tracer.write(&mut file)?;
                file.flush()
            });
            match written {
                Ok(()) => Ended::clean(),
                Err(error) => Ended::clean().error(format_args!("{}: {error}", path.display())),
            }
        };
        Ok((part, eyes))
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
