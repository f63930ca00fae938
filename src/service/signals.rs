//! Signals as requests to end.

use super::stopper::Stopper;
use crate::context::Context;
use crate::sync::time;
use crate::threads::Owned;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};
use std::fmt;
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};

/// A signal so soon after the last one is the same again: it was sent to the process and to its group.
const BOUNCE: Duration = Duration::from_millis(100);

/// A thread that waits for signals. Dropping it joins the thread; the signals are ignored from then on.
#[must_use = "dropping it stops the watch"]
pub struct SignalWatch {
    _thread: Owned<()>,
}

impl Stopper {
    /// Asks the service to end at SIGINT (Ctrl-C) or SIGTERM. A second signal forces it, a third ends
    /// the process on the spot, as if nobody had watched. One that comes within 100 ms of the one before is
    /// the same again.
    ///
    /// Starts one thread, which sleeps.
    ///
    /// # Errors
    /// The operating system has no more threads or descriptors.
    ///
    /// ```no_run
    /// use ironsys::{Context, service::Service};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let service = Service::builder("shop").context(&ctx).build()?;
    /// let _signals = service.stopper().on_signals(&ctx)?;
    /// let report = service.run(&ctx);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn on_signals(&self, ctx: &Context) -> io::Result<SignalWatch> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let stopper = self.clone();
        // A stop of `ctx` does not end the watch: the signals that force come after it.
        let (own, _) = ctx.detached();
        let work = move |ctx: &Context| {
            let _guard = ctx.on_stop(move |_| handle.close());
            let mut last: Option<Instant> = None;
            for signal in signals.forever() {
                let now = time::now();
                if last.replace(now).is_some_and(|last| now < last + BOUNCE) {
                    continue;
                }
                let name = signal_name(signal).unwrap_or("a signal");
                let forces = !stopper.request(name);
                if forces && !stopper.force(format!("{name}, again")) {
                    let _ = emulate_default_handler(signal);
                }
            }
        };
        let thread = Owned::start(&own, "signals".into(), Location::caller(), work)?;
        Ok(SignalWatch { _thread: thread })
    }
}

impl fmt::Debug for SignalWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignalWatch")
    }
}
