//! How a run of a flow fails.

use super::fault::Never;
use crate::context::Stop;
use crate::error::BuildError;
use crate::panics::Panicked;
use std::borrow::Cow;
use std::fmt;

/// A run that failed: which stage, at which item, and why.
///
/// It is the *first* failure: it was recorded before the cancel that it caused.
pub struct FlowError<E> {
    stage: Cow<'static, str>,
    item: Option<u64>,
    cause: FlowCause<E>,
}

/// Why a run failed.
#[non_exhaustive]
pub enum FlowCause<E> {
    /// A fallible part returned this error.
    Error(E),
    /// A closure, an iterator or the drop of an item panicked.
    Panicked(Panicked),
    /// The context stopped before the flow had ended.
    Stopped(Stop),
    /// An operator was given a number it cannot work with. Nothing has run.
    Misbuilt(BuildError),
}

impl<E> FlowError<E> {
    pub(super) fn new(
        stage: Cow<'static, str>,
        item: Option<u64>,
        cause: FlowCause<E>,
    ) -> FlowError<E> {
        FlowError { stage, item, cause }
    }

    /// Returns the name of the stage that failed; for a stop, that of the sink.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n == 7 { Err("seven") } else { Ok(n) });
    /// let error = flow.named("check").count(&ctx).unwrap_err();
    /// assert_eq!(error.stage(), "check");
    /// ```
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Returns how many items the stage had been through before the one it failed at: the index of
    /// that item, from 0, as the stage counts. For lines of a file that is the line.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n == 7 { Err("seven") } else { Ok(n) });
    /// let error = flow.count(&ctx).unwrap_err();
    /// assert_eq!(error.item(), Some(7));
    /// ```
    #[must_use]
    pub fn item(&self) -> Option<u64> {
        self.item
    }

    /// Returns why.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowCause}};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n == 7 { Err("seven") } else { Ok(n) });
    /// let error = flow.count(&ctx).unwrap_err();
    /// assert!(matches!(error.cause(), FlowCause::Error("seven")));
    /// ```
    #[must_use]
    pub fn cause(&self) -> &FlowCause<E> {
        &self.cause
    }

    /// Takes the reason out.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowCause}};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n == 7 { Err("seven") } else { Ok(n) });
    /// let error = flow.count(&ctx).unwrap_err();
    /// let FlowCause::Error(text) = error.into_cause() else { panic!() };
    /// assert_eq!(text, "seven");
    /// ```
    #[must_use]
    pub fn into_cause(self) -> FlowCause<E> {
        self.cause
    }

    /// Returns the user's error, if that is the reason.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n == 7 { Err("seven") } else { Ok(n) });
    /// let error = flow.count(&ctx).unwrap_err();
    /// assert_eq!(error.error(), Some(&"seven"));
    /// ```
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        match &self.cause {
            FlowCause::Error(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the panic, if that is the reason.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let error = Flow::of([1, 0]).map(|n| 1 / n).count(&ctx).unwrap_err();
    /// assert_eq!(error.panicked().unwrap().message(), "attempt to divide by zero");
    /// assert_eq!((error.stage(), error.item()), ("map", Some(1)));
    /// ```
    #[must_use]
    pub fn panicked(&self) -> Option<&Panicked> {
        match &self.cause {
            FlowCause::Panicked(panicked) => Some(panicked),
            _ => None,
        }
    }

    /// Returns why the context stopped, if that is the reason.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// let error = Flow::of(0..9).count(&ctx).unwrap_err();
    /// assert!(error.stop().is_some() && error.error().is_none());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match &self.cause {
            FlowCause::Stopped(stop) => Some(stop),
            _ => None,
        }
    }

    /// Returns what was wrong with the flow itself, if that is the reason.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let error = Flow::of(0..9).chunk(0).count(&ctx).unwrap_err();
    /// assert_eq!(error.misbuilt().unwrap().field(), "size");
    /// ```
    #[must_use]
    pub fn misbuilt(&self) -> Option<&BuildError> {
        match &self.cause {
            FlowCause::Misbuilt(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the context was cancelled.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// let error = Flow::of(0..9).count(&ctx).unwrap_err();
    /// assert!(error.is_cancelled() && !error.is_timeout());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop().is_some_and(Stop::is_cancelled)
    }

    /// Returns whether the deadline passed.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// use std::time::Duration;
    /// let (ctx, _cancel) = Context::root();
    /// let error = Flow::of(0..9).count(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
    /// assert!(error.is_timeout() && !error.is_cancelled());
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.stop().is_some_and(Stop::is_timeout)
    }

    /// Converts the user's error, and leaves the rest as it is.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n == 7 { Err("seven") } else { Ok(n) });
    /// let error = flow.count(&ctx).unwrap_err();
    /// assert_eq!(error.map(str::len).error(), Some(&5));
    /// ```
    pub fn map<E2>(self, f: impl FnOnce(E) -> E2) -> FlowError<E2> {
        let cause = match self.cause {
            FlowCause::Error(error) => FlowCause::Error(f(error)),
            FlowCause::Panicked(panicked) => FlowCause::Panicked(panicked),
            FlowCause::Stopped(stop) => FlowCause::Stopped(stop),
            FlowCause::Misbuilt(error) => FlowCause::Misbuilt(error),
        };
        FlowError { stage: self.stage, item: self.item, cause }
    }

    /// Takes the error as an error of the caller's: the user's error as it is, a stop converted.
    ///
    /// In a [`scope`](crate::scope()) or wherever else errors are `From<Stop>`:
    /// `flow.count(&ctx).map_err(FlowError::into_error)?`.
    ///
    /// # Panics
    /// With the payload of the panic, if that was the reason; and if the flow was misbuilt, which is
    /// a bug as well.
    ///
    /// ```
    /// use ironsys::{Context, Stop, flow::{Flow, FlowError}};
    /// #[derive(Debug, PartialEq)]
    /// enum Mine { Odd(u32), Stopped(Stop) }
    /// impl From<Stop> for Mine {
    ///     fn from(stop: Stop) -> Self { Mine::Stopped(stop) }
    /// }
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(0..9).try_map(|n| if n % 2 == 0 { Ok(n) } else { Err(Mine::Odd(n)) });
    /// assert_eq!(flow.count(&ctx).map_err(FlowError::into_error), Err(Mine::Odd(1)));
    /// ```
    pub fn into_error(self) -> E
    where
        E: From<Stop>,
    {
        match self.cause {
            FlowCause::Error(error) => error,
            FlowCause::Stopped(stop) => E::from(stop),
            FlowCause::Panicked(panicked) => panicked.resume(),
            FlowCause::Misbuilt(error) => panic!("{error}"),
        }
    }
}

impl FlowError<Never> {
    /// Takes the error of a flow that cannot fail by itself as one of any kind.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError}};
    /// fn total(ctx: &Context) -> Result<u32, FlowError<String>> {
    ///     Flow::of(0..4).fold(ctx, 0, |sum, n| sum + n).map_err(FlowError::widen)
    /// }
    /// assert_eq!(total(&Context::root().0).unwrap(), 6);
    /// ```
    #[must_use]
    pub fn widen<E>(self) -> FlowError<E> {
        self.map(|never| match never {})
    }
}

/// For `?` where errors are [`Stop`]: a flow without a fallible part only stops or panics. A panic
/// resumes, see [`FlowError::into_error`].
impl From<FlowError<Never>> for Stop {
    fn from(error: FlowError<Never>) -> Stop {
        error.widen::<Stop>().into_error()
    }
}

impl From<FlowError<Stop>> for Stop {
    fn from(error: FlowError<Stop>) -> Stop {
        error.into_error()
    }
}

impl<E: fmt::Display> fmt::Display for FlowError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage `{}`", self.stage)?;
        if let Some(item) = self.item {
            write!(f, ", item {item}")?;
        }
        match &self.cause {
            FlowCause::Error(error) => write!(f, ": {error}"),
            FlowCause::Panicked(panicked) => write!(f, " panicked: {}", panicked.message()),
            FlowCause::Stopped(stop) => write!(f, ": {stop}"),
            FlowCause::Misbuilt(error) => write!(f, ": {error}"),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for FlowError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowError")
            .field("stage", &self.stage)
            .field("item", &self.item)
            .field("cause", &self.cause)
            .finish()
    }
}

impl<E: fmt::Debug> fmt::Debug for FlowCause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowCause::Error(error) => f.debug_tuple("Error").field(error).finish(),
            FlowCause::Panicked(panicked) => f.debug_tuple("Panicked").field(panicked).finish(),
            FlowCause::Stopped(stop) => f.debug_tuple("Stopped").field(stop).finish(),
            FlowCause::Misbuilt(error) => f.debug_tuple("Misbuilt").field(error).finish(),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for FlowError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            FlowCause::Error(error) => Some(error),
            FlowCause::Panicked(panicked) => Some(panicked),
            FlowCause::Stopped(stop) => Some(stop),
            FlowCause::Misbuilt(error) => Some(error),
        }
    }
}
