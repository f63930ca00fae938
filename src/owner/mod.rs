//! One thread owns a value; everybody else sends it calls.
//!
//! For what may be used by one thread only (a value that is not `Send`, a library with thread-local
//! state), or by one at a time and in order: a log, a serial line, a connection that multiplexes. The
//! value is made on its thread and needs no lock.
//!
//! A channel of calls, and one thread. The rooms: `handle` and `builder` are what users hold; `call` is
//! a call on its way; `thread` runs them; `errors` says what became of one. `README.md` in this folder
//! has the protocol of a call.

mod builder;
mod call;
mod errors;
mod handle;
mod thread;

pub use builder::{Builder, OnPanic};
pub use errors::{CallError, IntoInnerError, TellError, TryTellError};
pub use handle::{Caller, Owner, Stats};
