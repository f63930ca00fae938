//! Who waits for whom, and whether they wait for each other.
//!
//! A thread that parks notes what it waits for; a thread at work notes, at next to no cost, what it is
//! at work for. Matched, the two say who waits for whom:
//!
//! | a wait | ends when |
//! |---|---|
//! | [`Task::join`](crate::scope::Task::join) | that task ends |
//! | the end of a [`scope`](crate::scope()) | all its tasks end |
//! | [`Ticket::join`](crate::pool::Ticket::join) | that job ends, if it has begun |
//! | a call of an [`Owner`](crate::owner::Owner), or its `close` | its thread gets to it |
//! | [`ask`](crate::session::Sessions::ask), room in a mailbox, the start or end of a session | the session gets to it, if it is in a turn |
//! | permits of a semaphore | somebody who has some gives them back: known if all that are out were taken by [`hold_watched`](crate::limit::Semaphore::hold_watched) |
//! | everything else: channels, rates, sleep | unknown |
//!
//! Who waits for something unknown is taken to go on some day: nobody is accused without proof. And as
//! a look at many threads takes time, a deadlock is one that two looks have found with nobody having
//! moved in between.
//!
//! * `graph`: the waits, and the knots in them;
//! * `finder`: two looks;
//! * `report`: what is told;
//! * `watch`: a look every so often.

mod finder;
mod graph;
mod report;
mod watch;

pub use finder::DeadlockFinder;
pub use report::{Blocked, Deadlock, Link};
pub use watch::DeadlockWatch;
