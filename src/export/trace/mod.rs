//! A file for a trace viewer: what ran when, on which thread, and where it waited.
//!
//! The file is in Chrome's trace event format, which <https://ui.perfetto.dev> opens. Three kinds of
//! bars, one track for each thread:
//!
//! * spans: what you mark with [`Spans::span`], exact, only under a context that carries a [`Tracer`];
//! * tasks: scopes, tasks, jobs and workers, from looks at the registry ([`Tracer::look`],
//!   [`Tracer::watch`]): their beginning is exact, their end is when a look finds them gone. Tasks and jobs that are run
//!   without a name and a handle are listed without their beginning, and have no bar;
//! * waits: the same. What begins and ends between two looks is not seen.
//!
//! Memory is bounded: of finished bars the last are kept, and those that were dropped are counted.
//!
//! * `tracer`: what keeps the bars;
//! * `span`: bars of your own;
//! * `looks`: bars of tasks and waits;
//! * `write`: the file.
//!
//! ```
//! use ironsys::{Context, export::trace::{Spans, Tracer}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracer = Tracer::new(10_000);
//! let (ctx, _cancel) = Context::builder().value(tracer.clone()).build();
//! {
//!     let _whole = ctx.span("request");
//!     let _part = ctx.span("parse");
//! }
//! let mut file = Vec::new(); // or a std::fs::File
//! let written = tracer.write(&mut file)?;
//! assert_eq!((written.bars, written.dropped), (2, 0));
//! # Ok(()) }
//! ```

mod looks;
mod span;
mod tracer;
mod write;

pub use span::{Span, Spans};
pub use tracer::{TraceWatch, Tracer, Written};
