//! Sagas: several steps that are all done or all undone, whatever crashes in between.
//!
//! A [`Saga`] is a list of steps, each an action and a compensation. [`Sagas`] keeps a journal of those
//! that run: every step is on disk before the next one begins. After a crash [`Sagas::resume`] goes on
//! where the journal ends. If a step fails for good the steps are undone, in reverse order, the one
//! that failed first, since nobody knows how far it got. What cannot be undone is *stuck*: it is
//! listed with the reason, and waits for somebody to [retry](Sagas::retry) or [close](Sagas::close) it.
//!
//! An action may run more than once: the crash may come between its effect and the record of it. So
//! each is given a [key](Turn::key) that is the same each time; who it calls uses that to do it once.
//! A compensation may run for an action that had no effect, and has to bear that.
//!
//! A stop of the context undoes nothing: the saga stays open, and a later [`resume`](Sagas::resume), in
//! this process or the next, goes on. A process that is told to end has no time for compensations;
//! [`Sagas::abort`] undoes what is to be undone.
//!
//! ```
//! use ironsys::{Context, saga::{Saga, Sagas, StepError, Turn}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let order = Saga::builder("order")
//!     .step(
//!         "reserve",
//!         |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b" reserved"].concat()),
//!         |_: &Context, _: &Turn<'_>| Ok(()),
//!     )
//!     .step(
//!         "pay",
//!         |_: &Context, turn: &Turn<'_>| match turn.state().starts_with(b"dear") {
//!             true => Err(StepError::permanent("no credit")),
//!             false => Ok([turn.state(), b" paid"].concat()),
//!         },
//!         |_: &Context, turn: &Turn<'_>| Ok(assert_eq!(turn.key(), "b/pay/undo")),
//!     )
//!     .build()?;
//!
//! let (ctx, _cancel) = Context::root();
//! let sagas = Sagas::open(dir.path(), [order])?;
//! sagas.resume(&ctx)?; // what the last process left
//! assert_eq!(sagas.run(&ctx, "order", "a", b"cheap")?, b"cheap reserved paid");
//! let undone = sagas.run(&ctx, "order", "b", b"dear").unwrap_err();
//! assert_eq!(undone.to_string(), "saga `b` is undone: `pay` failed: no credit");
//! assert!(sagas.list().is_empty());
//! # Ok(()) }
//! ```
//!
//! # The journal
//!
//! All sagas share one outbox, so that those that run at the same time share its syncs. It is acked in
//! order, and a saga that is stuck for a month must not keep a month of records. So a record says
//! everything about its saga, the last one counts, and the records of the oldest open saga are
//! *copied forward* to the end when more than a few records for each open saga are kept. The other
//! way, a file for each saga, costs two more syncs of the folder a saga.
//!
//! * `definition`: what a saga is; `record`: what stands in the journal about one;
//! * `table`: which are open, and how far the journal may be acked; `journal`: the two together;
//! * `run`: one saga to its end; `handle`: what users hold.

mod definition;
mod errors;
mod handle;
mod journal;
mod record;
mod run;
mod table;

pub use definition::{Saga, SagaBuilder, StepError, Turn, no_undo};
pub use errors::{OpenError, SagaError};
pub use handle::{OpenSaga, Progress, Resumed, Sagas};
