//! The other way to hand work over: the caller waits, and its deadline goes along.

use crate::context::{Context, Stop};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a caller still waits: what goes along with a request to another service.
///
/// Work is handed over in one of two ways. Either the *caller waits*, and owns the work: then the
/// request carries a `Call`, the receiver works below [`context`](Self::context), and when the caller
/// has gone nobody goes on. Or the *receiver owns* it: then it answers when
/// [`Outbox::append`](super::Outbox::append) has returned, and the caller's deadline ends with the
/// answer. What is in between, work that goes on although nobody waits for it and nobody has written
/// it down, is how work is lost.
///
/// The text is the time that is left, in whole milliseconds, and not a date: the clocks of two
/// machines differ. The way there is not counted; [`less`](Self::less) takes a margin for it off.
///
/// ```
/// use ironsys::{Context, durable::{Call, Outbox}};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The caller.
/// let (ctx, _cancel) = Context::root();
/// let ctx = ctx.with_timeout(Duration::from_secs(5));
/// let call = Call::of(&ctx)?.less(Duration::from_millis(20));
/// let header = (Call::HEADER, call.to_string());
///
/// // The receiver, which allows three seconds at most.
/// let (service, _cancel) = Context::root();
/// let call = Some(&*header.1).map_or(Ok(Call::UNBOUNDED), str::parse::<Call>)?;
/// let request = call.context(&service.with_timeout(Duration::from_secs(3)));
/// assert!(request.remaining() <= Some(Duration::from_secs(3)));
///
/// // Or it owns what it was given, and works later: then it is on disk before the answer.
/// # let dir = tempfile::tempdir()?;
/// let outbox = Outbox::open(dir.path())?;
/// outbox.append(&request, b"send the invoice")?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    left: Option<Duration>,
}

/// A text that says no deadline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number of milliseconds")]
pub struct BadDeadline(String);

impl Call {
    /// The name of the header.
    pub const HEADER: &str = "Deadline-Ms";

    /// A caller that waits for as long as it takes. Its text is `none`.
    pub const UNBOUNDED: Call = Call { left: None };

    /// Takes what is left of a context's time.
    ///
    /// # Errors
    /// It has stopped: there is nothing to call for.
    ///
    /// ```
    /// # use ironsys::{Context, durable::Call};
    /// # use std::time::Duration;
    /// let (ctx, cancel) = Context::root();
    /// assert_eq!(Call::of(&ctx)?, Call::UNBOUNDED);
    /// let call = Call::of(&ctx.with_timeout(Duration::from_secs(5)))?;
    /// assert!(call.left() <= Some(Duration::from_secs(5)));
    /// cancel.cancel();
    /// assert!(Call::of(&ctx).is_err()); // nobody waits for an answer
    /// # Ok::<(), ironsys::Stop>(())
    /// ```
    pub fn of(ctx: &Context) -> Result<Call, Stop> {
        ctx.check()?;
        Ok(Call { left: ctx.remaining() })
    }

    /// Takes a margin off: for the way there, and for the answer's way back. What is less than zero
    /// is zero.
    ///
    /// ```
    /// # use ironsys::durable::Call;
    /// # use std::time::Duration;
    /// let call: Call = "5000".parse()?;
    /// assert_eq!(call.less(Duration::from_millis(20)).to_string(), "4980");
    /// assert_eq!(call.less(Duration::from_secs(9)).to_string(), "0");
    /// # Ok::<(), ironsys::durable::BadDeadline>(())
    /// ```
    #[must_use]
    pub fn less(self, margin: Duration) -> Call {
        Call { left: self.left.map(|left| left.saturating_sub(margin)) }
    }

    /// Returns how long the caller waits, counted from when the text was made; `None` if for ever.
    ///
    /// ```
    /// # use ironsys::durable::Call;
    /// # use std::time::Duration;
    /// assert_eq!("1500".parse::<Call>()?.left(), Some(Duration::from_millis(1500)));
    /// assert_eq!("none".parse::<Call>()?.left(), None);
    /// # Ok::<(), ironsys::durable::BadDeadline>(())
    /// ```
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        self.left
    }

    /// Makes the context for the work, below the receiver's: it stops when either does. Zero is
    /// stopped from the start.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, durable::Call};
    /// # use std::time::Duration;
    /// let (ctx, _cancel) = Context::root();
    /// let own = ctx.with_timeout(Duration::from_secs(3));
    /// let request = "99000".parse::<Call>()?.context(&own);
    /// assert_eq!(request.deadline(), own.deadline()); // the earlier one
    /// let late = "0".parse::<Call>()?.context(&own);
    /// assert_eq!(late.check(), Err(Stop::DeadlineExceeded));
    /// # Ok::<(), ironsys::durable::BadDeadline>(())
    /// ```
    #[must_use]
    pub fn context(&self, ctx: &Context) -> Context {
        match self.left {
            Some(left) => ctx.with_timeout(left),
            None => ctx.clone(),
        }
    }
}

/// As milliseconds, rounded down; or `none`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left {
            Some(left) => write!(f, "{}", left.as_millis()),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for Call {
    type Err = BadDeadline;

    /// Reads what `Display` writes. More milliseconds than a `u64` holds are that many.
    fn from_str(text: &str) -> Result<Call, BadDeadline> {
        let text = text.trim();
        if text == "none" {
            return Ok(Call::UNBOUNDED);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadDeadline(text.chars().take(40).collect()));
        }
        let millis = text.parse().unwrap_or(u64::MAX);
        Ok(Call { left: Some(Duration::from_millis(millis)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_goes_there_as_text_and_only_what_it_says_comes_out() {
        let text = |ms| Call { left: Some(Duration::from_millis(ms)) }.to_string();
        for ms in [0, 1, 4999, u64::MAX] {
            assert_eq!(text(ms).parse::<Call>().unwrap().left(), Some(Duration::from_millis(ms)));
        }
        assert_eq!("none".parse(), Ok(Call::UNBOUNDED));
        assert_eq!(Call { left: Some(Duration::from_micros(1999)) }.to_string(), "1");
        let huge = "9".repeat(50).parse::<Call>().unwrap();
        assert_eq!(huge.left(), Some(Duration::from_millis(u64::MAX)));
        for bad in ["", "-1", "+1", "1.5", "0x10", "1 2", "NaN", "٣"] {
            assert!(bad.parse::<Call>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_receiver_has_the_earlier_of_both_deadlines() {
        let (ctx, _cancel) = Context::root();
        let short = Call { left: Some(Duration::ZERO) }.context(&ctx);
        assert_eq!(short.check(), Err(Stop::DeadlineExceeded));
        let own = ctx.with_timeout(Duration::from_secs(1));
        let long = Call { left: Some(Duration::from_secs(99)) }.context(&own);
        assert_eq!(long.deadline(), own.deadline());
        assert_eq!(Call::UNBOUNDED.context(&own).deadline(), own.deadline());
        assert!(Call::of(&short).is_err());
        assert_eq!(Call::of(&ctx), Ok(Call::UNBOUNDED));
        let call = Call::of(&own).unwrap();
        assert_eq!(call.less(Duration::MAX).left(), Some(Duration::ZERO));
    }
}
