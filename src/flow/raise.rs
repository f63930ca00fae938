//! How failures leave a run: out of band, the first one first.

use super::cx::{At, Cx};
use super::error::{FlowCause, FlowError};
use super::fault::{Becomes, Fault};
use super::stage::Halt;
use crate::context::{Canceller, Context};
use crate::panics::{self, Panicked};
use crate::sync::{Arc, LeakTrack, Mutex, planted};
use std::any::Any;
use std::fmt;
use std::panic::Location;

/// How the run is going: decided once.
pub(super) struct Verdict<E> {
    /// Guards the outcome.
    state: Mutex<State<E>>,
    cancel: Canceller,
    /// What the sink was called with.
    caller: Context,
    /// The call of the sink.
    at: &'static Location<'static>,
    _leak: LeakTrack,
}

enum State<E> {
    Running,
    /// The first failure.
    Failed(FlowError<E>),
    /// The sink has what it wants; what fails from now on does not count.
    Ended,
}

impl<E: Send + 'static> Verdict<E> {
    pub(super) fn new(caller: Context, cancel: Canceller, at: &'static Location<'static>) -> Self {
        Verdict { state: Mutex::new(State::Running), cancel, caller, at, _leak: LeakTrack::new() }
    }

    /// Records a failure if it is the first, then cancels the run: in this order, so that a failure
    /// which is caused by the cancel comes second.
    fn fail(&self, error: FlowError<E>) {
        if error.error().is_some() && self.caller.is_stopped() {
            // The caller's own stop is known, whether this comes of it or not.
            return panics::discard(error);
        }
        let why = format!("stage `{}` of the flow failed", error.stage());
        if planted("flow_cancels_before_it_records") {
            self.cancel.cancel_with(why.clone());
        }
        let late = {
            let mut state = self.state.lock();
            match *state {
                State::Running => {
                    *state = State::Failed(error);
                    None
                }
                State::Failed(_) | State::Ended => Some(error),
            }
        };
        self.cancel.cancel_with(why);
        if let Some(panicked) = late.as_ref().and_then(FlowError::panicked) {
            log::error!("ironsys: a flow that was over panicked too: {panicked}");
        }
        panics::discard(late);
    }

    /// The sink has all it wants. Failures that come later do not count, and whatever still runs is
    /// told to stop.
    pub(super) fn end(&self) {
        let ended = {
            let mut state = self.state.lock();
            let running = matches!(*state, State::Running);
            if running {
                *state = State::Ended;
            }
            running
        };
        if ended {
            self.cancel.cancel_with("the flow has ended");
        }
    }

    /// Takes the failure out, after every segment has ended.
    pub(super) fn take(&self) -> Option<FlowError<E>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Ended) {
            State::Failed(error) => Some(error),
            State::Running | State::Ended => None,
        }
    }
}

/// What every segment can do to the run, whatever its error.
pub(super) trait Fate: Send + Sync {
    /// Records a panic.
    fn panicked(&self, at: At, item: Option<u64>, payload: Box<dyn Any + Send>);
}

impl<E: Send + 'static> Fate for Verdict<E> {
    fn panicked(&self, at: At, item: Option<u64>, payload: Box<dyn Any + Send>) {
        let panicked = Panicked::new(at.stage.clone(), self.at, payload);
        self.fail(FlowError::new(at.stage, item, FlowCause::Panicked(panicked)));
    }
}

/// A stage's way to fail the run with an `E`.
pub struct Raise<E>(Arc<dyn Fn(FlowError<E>) + Send + Sync>);

impl<E> Clone for Raise<E> {
    fn clone(&self) -> Self {
        Raise(self.0.clone())
    }
}

impl<E> fmt::Debug for Raise<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raise")
    }
}

impl<E: Send + 'static> Raise<E> {
    pub(super) fn new(verdict: Arc<Verdict<E>>) -> Self {
        Raise(Arc::new(move |error| verdict.fail(error)))
    }

    /// The same for a stage before: its errors are converted on the way.
    pub(super) fn convert<E0: Send + 'static>(
        self,
        f: impl Fn(E0) -> E + Send + Sync + 'static,
    ) -> Raise<E0> {
        Raise(Arc::new(move |error| (self.0)(error.map(&f))))
    }

    /// The same for what stands before a fallible operator.
    pub(super) fn before<F: Fault + Becomes<E>>(self) -> Raise<F::Error> {
        self.convert(F::convert)
    }

    /// Fails the run at an item, unless the segment has been stopped: then the error may come of that, and
    /// why is known elsewhere. The caller returns the [`Halt`].
    #[cold]
    pub(super) fn error(&self, at: &At, cx: &Cx, error: E) -> Halt {
        if cx.ctx.is_stopped() {
            panics::discard(error);
            return Halt;
        }
        self.raise(at, Some(at.item), FlowCause::Error(error))
    }

    /// Fails the run because of the stage itself.
    #[cold]
    pub(super) fn raise(&self, at: &At, item: Option<u64>, cause: FlowCause<E>) -> Halt {
        (self.0)(FlowError::new(at.stage.clone(), item, cause));
        Halt
    }
}
