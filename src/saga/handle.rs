//! The handle: sagas are begun, resumed, looked at.

use super::definition::{Saga, StepError};
use super::errors::{OpenError, SagaError};
use super::journal::Journal;
use super::record::{Phase, Snapshot};
use super::run::Run;
use crate::context::Context;
use crate::durable::{AppendError, Outbox};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Runs sagas, and keeps the journal of them. All calls run on the caller's thread.
pub struct Sagas {
    journal: Journal,
    definitions: BTreeMap<String, Saga>,
}

/// A saga that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSaga {
    /// Which one.
    pub id: String,
    /// The name of its definition.
    pub saga: String,
    /// How it stands.
    pub progress: Progress,
    /// Steps of which something may have been done, and has not been undone.
    pub steps: Vec<String>,
    /// Whether a call runs it now.
    pub running: bool,
}

/// How an open saga stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Its actions are under way.
    Forward,
    /// A step failed, and the steps are being undone.
    Back {
        /// The step that failed.
        step: String,
        /// Why.
        why: String,
    },
    /// The last of its steps cannot be undone.
    Stuck {
        /// Why it was to be.
        why: String,
        /// Why it could not.
        trouble: String,
    },
}

/// What became of the sagas that were resumed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Resumed {
    /// Those that are done.
    pub done: Vec<String>,
    /// Those that are undone, or could not be brought to an end: stuck, without a definition.
    pub failed: Vec<SagaError>,
}

/// Gives the saga back when its call ends, however that is.
struct Busy<'a> {
    journal: &'a Journal,
    id: &'a str,
    began: u64,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.journal.look(self.id, |entry| entry.busy &= entry.began != self.began);
    }
}

impl Sagas {
    /// Opens the journal in a directory, and reads which sagas are open.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"paid")?, b"paid!");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(
        path: impl Into<PathBuf>,
        definitions: impl IntoIterator<Item = Saga>,
    ) -> Result<Self, OpenError> {
        let outbox = Outbox::builder(path).segment_bytes(SEGMENT);
        Sagas::over(outbox.open()?, definitions)
    }

    /// Keeps the journal in an outbox that holds nothing else. A state has to fit into its group, with the
    /// names of the steps and two reasons, of a KiB or an eighth of the group at the most.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::Outbox, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// let act = |_: &Context, turn: &Turn<'_>| Ok(turn.state().to_vec());
    /// let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// let journal = Outbox::builder(dir.path()).max_bytes(1 << 30).open()?;
    /// assert!(Sagas::over(journal, [saga])?.run(&ctx, "order", "a", b"").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over(
        outbox: Outbox,
        definitions: impl IntoIterator<Item = Saga>,
    ) -> Result<Self, OpenError> {
        let mut by_name = BTreeMap::new();
        for saga in definitions {
            if let Some(twice) = by_name.insert(saga.name().to_owned(), saga) {
                return Err(OpenError::Twice(twice.name().into()));
            }
        }
        Ok(Sagas { journal: Journal::open(outbox)?, definitions: by_name })
    }

    /// Begins a saga and runs it to its end. Returns what its last action returned.
    ///
    /// The id is yours: an order's number, say. It is refused while a saga with this id is open; when
    /// that is over it is forgotten.
    ///
    /// # Cancellation
    /// [`Interrupted`](SagaError::Interrupted): the saga stays as it is, for [`resume`](Self::resume).
    /// If it was stopped before the first record, it may not have begun; then it is not listed.
    ///
    /// # Errors
    /// See [`SagaError`].
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert_eq!(sagas.run(&ctx, "order", "a", b"paid")?, b"paid!");
    /// assert!(matches!(sagas.run(&ctx, "order", "", b""), Err(SagaError::Id(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run(
        &self,
        ctx: &Context,
        saga: &str,
        id: &str,
        state: &[u8],
    ) -> Result<Vec<u8>, SagaError> {
        if id.is_empty() || id.len() > MAX_ID {
            return Err(SagaError::Id(id.into()));
        }
        let definition = self.definition(saga, id)?;
        let at = self.journal.next();
        let snapshot = Snapshot::new(at, saga, id, state);
        let bytes = snapshot.encode();
        self.journal.with(|table| {
            if table.entries.contains_key(id) {
                return Err(SagaError::Exists(id.into()));
            }
            if table.entries.len() >= MAX_OPEN {
                return Err(SagaError::Full(MAX_OPEN));
            }
            table.enter(snapshot.clone(), bytes.into(), at, true);
            Ok(())
        })?;
        let _busy = Busy { journal: &self.journal, id, began: at };
        let first = definition.inner.steps.first().map(|step| &*step.name);
        match self.journal.record(ctx, &snapshot, first) {
            Ok(()) => Run::new(&self.journal, definition, snapshot).finish(ctx),
            Err(e) => {
                if let AppendError::Refused(_) = e {
                    self.journal.with(|table| table.entries.remove(id));
                }
                Err(SagaError::of_a_record(id, e))
            }
        }
    }

    /// Goes on with every saga that is open, one after the other, but for those that are stuck and
    /// those that other calls run. To be called when the process starts.
    ///
    /// # Cancellation
    /// Those that are not over stay open.
    ///
    /// # Errors
    /// The context stopped, or the journal failed. What one saga says is in the report.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(sagas.resume(&ctx)?.done.is_empty()); // nothing is open
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn resume(&self, ctx: &Context) -> Result<Resumed, SagaError> {
        let open = |snapshot: &Snapshot| matches!(snapshot.phase, Phase::Forward | Phase::Back);
        let ids: Vec<String> = self.journal.with(|table| {
            let mut open: Vec<_> =
                table.entries.values().filter(|e| !e.busy && open(&e.snapshot)).collect();
            open.sort_by_key(|entry| entry.last);
            open.iter().map(|entry| entry.snapshot.id.clone()).collect()
        });
        let mut resumed = Resumed::default();
        for id in ids {
            match self.resume_one(ctx, &id) {
                Ok(_) => resumed.done.push(id),
                Err(e @ (SagaError::Interrupted { .. } | SagaError::Journal { .. })) => {
                    return Err(e);
                }
                Err(SagaError::Busy(_) | SagaError::Unknown(_)) => {} // Another call was first.
                Err(e) => resumed.failed.push(e),
            }
        }
        Ok(resumed)
    }

    /// Goes on with one saga. Threads may resume different ones at the same time.
    ///
    /// # Cancellation
    /// As for [`run`](Self::run).
    ///
    /// # Errors
    /// See [`SagaError`]. One that is stuck stays so.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(matches!(sagas.resume_one(&ctx, "a"), Err(SagaError::Unknown(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn resume_one(&self, ctx: &Context, id: &str) -> Result<Vec<u8>, SagaError> {
        let (_busy, run) = self.take(id)?;
        run.finish(ctx)
    }

    /// Undoes an open saga instead of going on with it.
    ///
    /// # Cancellation
    /// As for [`run`](Self::run).
    ///
    /// # Errors
    /// [`Undone`](SagaError::Undone) is what it comes to; or see [`SagaError`].
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(matches!(sagas.abort(&ctx, "a", "too late"), Err(SagaError::Unknown(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn abort(&self, ctx: &Context, id: &str, reason: &str) -> Result<Vec<u8>, SagaError> {
        let (_busy, mut run) = self.take(id)?;
        if run.snapshot.phase == Phase::Forward {
            run.turn_round(StepError::permanent(reason));
            run.record(ctx).map_err(|e| SagaError::of_a_record(id, e))?;
        }
        run.finish(ctx)
    }

    /// Tries again to undo a saga that is stuck, from the step at which it is.
    ///
    /// # Cancellation
    /// As for [`run`](Self::run).
    ///
    /// # Errors
    /// [`Undone`](SagaError::Undone) is what it comes to, if it works; or see [`SagaError`].
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # use std::sync::atomic::{AtomicBool, Ordering};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// static BANK_IS_THERE: AtomicBool = AtomicBool::new(false);
    /// let no = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no credit"));
    /// let undo = |_: &Context, _: &Turn<'_>| match BANK_IS_THERE.load(Ordering::Relaxed) {
    ///     true => Ok(()),
    ///     false => Err(StepError::permanent("no answer")),
    /// };
    /// let sagas = Sagas::open(dir.path(), [Saga::builder("order").step("pay", no, undo).build()?])?;
    /// assert!(matches!(sagas.run(&ctx, "order", "a", b""), Err(SagaError::Stuck { .. })));
    ///
    /// BANK_IS_THERE.store(true, Ordering::Relaxed);
    /// assert!(matches!(sagas.retry(&ctx, "a"), Err(SagaError::Undone { .. })));
    /// assert!(sagas.list().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn retry(&self, ctx: &Context, id: &str) -> Result<Vec<u8>, SagaError> {
        let (_busy, mut run) = self.take(id)?;
        if run.snapshot.phase == Phase::Stuck {
            run.snapshot.phase = Phase::Back;
            run.snapshot.trouble.clear();
        }
        run.finish(ctx)
    }

    /// Ends an open saga as it is: somebody has seen to what is left of it. Nothing is called.
    ///
    /// # Cancellation
    /// It may be closed or not; it is listed as long as it is not.
    ///
    /// # Errors
    /// [`Unknown`](SagaError::Unknown), [`Busy`](SagaError::Busy), [`Journal`](SagaError::Journal),
    /// [`Interrupted`](SagaError::Interrupted).
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let no = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no"));
    /// # let undo = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no answer"));
    /// # let sagas = Sagas::open(dir.path(), [Saga::builder("order").step("pay", no, undo).build()?])?;
    /// sagas.run(&ctx, "order", "a", b"").unwrap_err(); // stuck
    /// sagas.close(&ctx, "a")?; // somebody has called the bank
    /// assert!(sagas.list().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn close(&self, ctx: &Context, id: &str) -> Result<(), SagaError> {
        let (_busy, mut snapshot) = self.hold(id)?;
        snapshot.phase = Phase::Closed;
        snapshot.version += 1;
        self.journal.record(ctx, &snapshot, None).map_err(|e| SagaError::of_a_record(id, e))
    }

    /// Lists the sagas that are not over, by id.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// sagas.run(&ctx, "order", "a", b"paid")?;
    /// assert!(sagas.list().is_empty()); // it is over
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn list(&self) -> Vec<OpenSaga> {
        self.journal.with(|table| {
            let open = table.entries.values().filter(|e| e.snapshot.phase != Phase::Closed);
            open.map(|entry| OpenSaga::new(&entry.snapshot, entry.busy)).collect()
        })
    }

    /// Lists those that are stuck.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let no = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no"));
    /// # let undo = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no answer"));
    /// # let sagas = Sagas::open(dir.path(), [Saga::builder("order").step("pay", no, undo).build()?])?;
    /// sagas.run(&ctx, "order", "a", b"").unwrap_err();
    /// assert_eq!(sagas.stuck()[0].id, "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stuck(&self) -> Vec<OpenSaga> {
        let mut all = self.list();
        all.retain(|saga| matches!(saga.progress, Progress::Stuck { .. }));
        all
    }

    /// Returns how many records the journal keeps: some for each open saga, and some spare.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let dir = tempfile::tempdir()?;
    /// let act = |_: &Context, turn: &Turn<'_>| Ok(turn.state().to_vec());
    /// let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// assert_eq!(Sagas::open(dir.path(), [saga])?.journal_len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn journal_len(&self) -> u64 {
        self.journal.len()
    }

    fn definition(&self, saga: &str, id: &str) -> Result<&Saga, SagaError> {
        let none = || SagaError::Definition { id: id.into(), saga: saga.into() };
        self.definitions.get(saga).ok_or_else(none)
    }

    /// Keeps other calls from running it.
    fn hold<'a>(&'a self, id: &'a str) -> Result<(Busy<'a>, Snapshot), SagaError> {
        let held = self.journal.look(id, |entry| {
            if entry.snapshot.phase == Phase::Closed {
                return None;
            }
            let busy = std::mem::replace(&mut entry.busy, true);
            Some((!busy).then(|| (entry.snapshot.clone(), entry.began)))
        });
        match held.flatten() {
            Some(Some((snapshot, began))) => {
                Ok((Busy { journal: &self.journal, id, began }, snapshot))
            }
            Some(None) => Err(SagaError::Busy(id.into())),
            None => Err(SagaError::Unknown(id.into())),
        }
    }

    fn take<'a>(&'a self, id: &'a str) -> Result<(Busy<'a>, Run<'a>), SagaError> {
        let (busy, snapshot) = self.hold(id)?;
        let name = snapshot.saga.clone();
        let run = Run::new(&self.journal, self.definition(&name, id)?, snapshot);
        if run.fits() {
            Ok((busy, run))
        } else {
            Err(SagaError::Definition { id: id.into(), saga: name })
        }
    }
}

impl fmt::Debug for Sagas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sagas")
            .field("definitions", &self.definitions.keys())
            .finish_non_exhaustive()
    }
}

impl OpenSaga {
    fn new(snapshot: &Snapshot, running: bool) -> Self {
        let Snapshot { saga, id, done, failed, why, trouble, .. } = snapshot.clone();
        let progress = match snapshot.phase {
            Phase::Stuck => Progress::Stuck { why, trouble },
            Phase::Back => Progress::Back { step: failed, why },
            Phase::Forward | Phase::Closed => Progress::Forward,
        };
        OpenSaga { id, saga, progress, steps: done, running }
    }
}

/// Small, since the journal is.
const SEGMENT: u64 = 8 << 20;
const MAX_ID: usize = 256;
const MAX_OPEN: usize = 65_536;
