//! A panic as a value: caught at the boundary of a task, kept whole, resumed where it belongs.

use crate::sync::catch_unwind;
use std::any::Any;
use std::fmt;
use std::panic::Location;

/// A task that panicked: its name, where it was spawned, and the payload.
///
/// Pools and tickets report it as an error; a scope resumes the first one with its own payload.
///
/// ```
/// use ironsys::{Context, pool::{JoinError, Pool}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let pool = Pool::builder("jobs").workers(1).build()?;
/// let ticket = pool.submit(&ctx, |_| panic!("out of cheese"))?;
/// match ticket.join(&ctx) {
///     Err(JoinError::Panicked(p)) => assert_eq!(p.message(), "out of cheese"),
///     other => unreachable!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
pub struct Panicked {
    task: String,
    spawned_at: &'static Location<'static>,
    payload: Box<dyn Any + Send>,
}

impl Panicked {
    pub(crate) fn new(
        task: impl Into<String>,
        spawned_at: &'static Location<'static>,
        payload: Box<dyn Any + Send>,
    ) -> Self {
        Panicked { task: task.into(), spawned_at, payload }
    }

    /// Returns the name of the task.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let Err(CpuError::Panicked(panic)) = cpu::run(&ctx, || -> () { panic!("no {}", 7) }) else { unreachable!() };
    /// assert_eq!(panic.task(), "chunk 0");
    /// ```
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Returns the place that spawned the task.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let Err(CpuError::Panicked(panic)) = cpu::run(&ctx, || -> () { panic!("no {}", 7) }) else { unreachable!() };
    /// assert_eq!(panic.spawned_at().file(), file!());
    /// ```
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// Returns the panic's text, or a stand-in if the payload is no string.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let Err(CpuError::Panicked(panic)) = cpu::run(&ctx, || -> () { panic!("no {}", 7) }) else { unreachable!() };
    /// assert_eq!(panic.message(), "no 7");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        message(&*self.payload)
    }

    /// Returns the payload.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let Err(CpuError::Panicked(panic)) = cpu::run(&ctx, || -> () { std::panic::panic_any(7_u32) }) else { unreachable!() };
    /// assert_eq!(panic.into_payload().downcast_ref(), Some(&7_u32));
    /// ```
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload
    }

    /// Panics again, here, with the payload of the first panic.
    ///
    /// ```
    /// # use ironsys::{Context, cpu::{self, CpuError}};
    /// # let (ctx, _cancel) = Context::root();
    /// let Err(CpuError::Panicked(panic)) = cpu::run(&ctx, || -> () { std::panic::panic_any(7_u32) }) else { unreachable!() };
    /// let resumed = std::panic::AssertUnwindSafe(|| -> () { panic.resume() });
    /// let again = std::panic::catch_unwind(resumed);
    /// assert!(again.is_err_and(|payload| payload.is::<u32>()));
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.payload)
    }
}

/// The text of a panic's payload.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "(the payload is no text)"
    }
}

/// Drops what belongs to the user where nobody could take a panic: it is logged and goes no further.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(move || drop(value)) {
        contain(|| log::error!("ironsys: the drop of a value panicked: {}", message(&*payload)));
        std::mem::forget(payload); // Its own drop might panic, too.
    }
}

/// A user's text; a stand-in if it fails or panics, since it is made where nobody could take that.
pub(crate) fn text(of: &dyn fmt::Display) -> String {
    use fmt::Write;
    let mut text = String::new();
    match catch_unwind(|| write!(text, "{of}")) {
        Ok(Ok(())) => return text,
        Ok(Err(_)) => text.push_str("(and then its text failed)"),
        Err(payload) => {
            std::mem::forget(payload); // Its drop might panic, too.
            text.push_str("(its text panicked)");
        }
    }
    text
}

/// The same of what is shown by its `Debug`.
pub(crate) fn name(of: &dyn fmt::Debug) -> String {
    text(&format_args!("{of:?}"))
}

/// Calls what belongs to the user, a logger or a callback, where nobody could take its panic.
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(f) {
        std::mem::forget(payload); // Its drop might panic, too; and to log it might be what panicked.
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panicked")
            .field("task", &self.task)
            .field("spawned_at", &format_args!("{}", self.spawned_at))
            .field("message", &self.message())
            .finish()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "task `{}`, spawned at {}, panicked: {}",
            self.task,
            self.spawned_at,
            self.message()
        )
    }
}

impl std::error::Error for Panicked {}
