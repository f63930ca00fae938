//! What a saga is: steps, each with its compensation.

use crate::context::{Context, Stop};
use crate::error::BuildError;
use crate::resilience::{Retry, When};
use crate::sync::Arc;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A list of steps. Cheap to clone.
#[derive(Clone)]
pub struct Saga {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) retry: Transient,
    pub(super) undo_retry: Transient,
}

pub(super) struct Step {
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) undo: Undo,
}

type Action = Box<dyn Fn(&Context, &Turn<'_>) -> Result<Vec<u8>, StepError> + Send + Sync>;
type Undo = Box<dyn Fn(&Context, &Turn<'_>) -> Result<(), StepError> + Send + Sync>;
pub(super) type Transient = Retry<When<fn(&StepError) -> bool>>;

/// Builds a [`Saga`]. Made by [`Saga::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct SagaBuilder {
    inner: Inner,
}

/// What a step is called with.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    pub(super) saga: &'a str,
    pub(super) id: &'a str,
    pub(super) step: &'a str,
    pub(super) key: &'a str,
    pub(super) state: &'a [u8],
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// It may succeed if it is tried again.
    #[error("{0}")]
    Transient(#[source] Box<dyn Error + Send + Sync>),
    /// It is no use to try again.
    #[error("{0}")]
    Permanent(#[source] Box<dyn Error + Send + Sync>),
    /// It panicked. Not tried again.
    #[error("it panicked: {0}")]
    Panicked(String),
    /// It failed in an earlier process, which noted why.
    #[error("{0}")]
    Noted(String),
    /// A context stopped: the saga's, or one below it that had less time.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// The compensation of a step that leaves nothing behind.
///
/// # Errors
/// None.
///
/// ```
/// # use ironsys::{Context, saga::*};
/// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
/// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
/// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
/// # let sagas = Sagas::open(dir.path(), [saga])?;
/// assert_eq!(sagas.run(&ctx, "order", "a", b"paid")?, b"paid!");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn no_undo(_: &Context, _: &Turn<'_>) -> Result<(), StepError> {
    Ok(())
}

// ===== impl Saga =====

impl Saga {
    /// Starts to build a saga. The name is in the journal: a saga that was begun under it is gone on
    /// with under it.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// let act = |_: &Context, turn: &Turn<'_>| Ok(turn.state().to_vec());
    /// let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// assert_eq!(saga.name(), "order");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> SagaBuilder {
        let retry = Retry::exponential(Duration::from_millis(50)).max_attempts(5);
        let (retry, undo_retry) = (transient(retry.clone()), transient(retry.max_attempts(10)));
        SagaBuilder { inner: Inner { name: name.into(), steps: Vec::new(), retry, undo_retry } }
    }

    /// Returns the name.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// let act = |_: &Context, turn: &Turn<'_>| Ok(turn.state().to_vec());
    /// assert_eq!(Saga::builder("order").step("pay", act, no_undo).build()?.name(), "order");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

impl fmt::Debug for Saga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.inner.steps.iter().map(|step| &step.name).collect();
        f.debug_struct("Saga").field("name", &self.inner.name).field("steps", &steps).finish()
    }
}

// ===== impl SagaBuilder =====

impl SagaBuilder {
    /// Adds a step. The action gets the state and returns the next one; the compensation gets the
    /// state as it was when the last action had ended. [`no_undo`] does nothing.
    ///
    /// Both may run more than once, with the same [key](Turn::key), and a compensation for an action
    /// of which nothing was done.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// let act = |_: &Context, turn: &Turn<'_>| Ok(turn.state().to_vec());
    /// let twice = Saga::builder("order").step("pay", act, no_undo).step("pay", act, no_undo);
    /// assert!(twice.build().is_err());
    /// ```
    pub fn step(
        mut self,
        name: impl Into<String>,
        action: impl Fn(&Context, &Turn<'_>) -> Result<Vec<u8>, StepError> + Send + Sync + 'static,
        undo: impl Fn(&Context, &Turn<'_>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let step = Step { name: name.into(), action: Box::new(action), undo: Box::new(undo) };
        self.inner.steps.push(step);
        self
    }

    /// Sets how an action is tried again that failed for now, and from which budget. What still fails
    /// then, for want of attempts, tokens or time, turns the saga round. The default is five attempts
    /// from 50 ms on, without a budget.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::Retry, saga::*, schedule::Backoff};
    /// # use std::sync::atomic::{AtomicU32, Ordering};
    /// # use std::time::Duration;
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// let tries = AtomicU32::new(0);
    /// let act = move |_: &Context, turn: &Turn<'_>| match tries.fetch_add(1, Ordering::Relaxed) {
    ///     0 => Err(StepError::transient("busy")),
    ///     _ => Ok(turn.state().to_vec()),
    /// };
    /// let twice = Retry::new(Backoff::fixed(Duration::from_millis(1)).max_attempts(2));
    /// let saga = Saga::builder("order").step("pay", act, no_undo).retry(twice).build()?;
    /// assert!(Sagas::open(dir.path(), [saga])?.run(&ctx, "order", "a", b"").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry(mut self, retry: Retry) -> Self {
        self.inner.retry = transient(retry);
        self
    }

    /// Sets how a compensation is tried again. What still fails then is stuck. The default is ten
    /// attempts from 50 ms on, without a budget.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::Retry, saga::*, schedule::Backoff};
    /// # use std::time::Duration;
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// let no = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no credit"));
    /// let undo = |_: &Context, _: &Turn<'_>| Err(StepError::transient("no answer"));
    /// let once = Retry::new(Backoff::fixed(Duration::ZERO).max_attempts(1));
    /// let saga = Saga::builder("order").step("pay", no, undo).undo_retry(once).build()?;
    /// let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(sagas.run(&ctx, "order", "a", b"").is_err());
    /// assert_eq!(sagas.stuck().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn undo_retry(mut self, retry: Retry) -> Self {
        self.inner.undo_retry = transient(retry);
        self
    }

    /// Makes the saga.
    ///
    /// # Errors
    /// There is no step; a name is empty, or two steps share one.
    ///
    /// ```
    /// # use ironsys::saga::Saga;
    /// assert!(Saga::builder("order").build().is_err()); // no step
    /// ```
    pub fn build(self) -> Result<Saga, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("saga", field, problem));
        let Inner { name, steps, .. } = &self.inner;
        if name.is_empty() {
            return wrong("name", "is empty".into());
        }
        if steps.is_empty() {
            return wrong("step", "is missing: there is none".into());
        }
        for (i, step) in steps.iter().enumerate() {
            if step.name.is_empty() {
                return wrong("step", format!("has no name: number {}", i + 1));
            }
            if steps[..i].iter().any(|other| other.name == step.name) {
                return wrong("step", format!("is there twice: `{}`", step.name));
            }
        }
        Ok(Saga { inner: Arc::new(self.inner) })
    }
}

impl fmt::Debug for SagaBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaBuilder").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

fn transient(retry: Retry) -> Transient {
    retry.when(|e: &StepError| matches!(e, StepError::Transient(_) | StepError::Stopped(_)))
}

// ===== impl Turn =====

impl<'a> Turn<'a> {
    /// Returns the name of the saga's definition.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok(turn.saga().into());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"")?, b"order");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn saga(&self) -> &'a str {
        self.saga
    }

    /// Returns the saga's own id.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok(turn.id().into());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"")?, b"a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// Returns the name of the step.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok(turn.step().into());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"")?, b"pay");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn step(&self) -> &'a str {
        self.step
    }

    /// Returns the idempotency key, the same for every attempt, before and after a crash: `id/step`
    /// for an action, `id/step/undo` for its compensation.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok(turn.key().into());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"")?, b"a/pay");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Returns the state: what the last action returned, or what the saga began with.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok(turn.state().into());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"cheap")?, b"cheap");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> &'a [u8] {
        self.state
    }
}

// ===== impl StepError =====

impl StepError {
    /// Makes an error after which the step is tried again.
    ///
    /// ```
    /// # use ironsys::saga::StepError;
    /// assert!(matches!(StepError::transient("busy"), StepError::Transient(_)));
    /// ```
    pub fn transient(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StepError::Transient(why.into())
    }

    /// Makes an error after which it is not.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Err(StepError::permanent("no credit"));
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(sagas.run(&ctx, "order", "a", b"").unwrap_err().is_undone());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn permanent(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StepError::Permanent(why.into())
    }
}
