//! Prometheus text, version 0.0.4: collected when it is asked for, kept nowhere.
//!
//! A [`Scrape`] is made for each request, filled, and rendered. There is no registry to register with
//! and none to forget something in: what is not measured does not show.
//!
//! * `scrape`: what collects;
//! * `names`: the rules for names and labels;
//! * `number`: values;
//! * `render`: the text;
//! * `errors`: what was left out, and why.
//!
//! ```
//! use ironsys::{channel, export::{Histogram, Scrape}};
//! use std::time::Duration;
//!
//! let (tx, rx) = channel::bounded::<u32>(8);
//! tx.try_send(1).unwrap();
//! let latency = Histogram::new();
//! latency.record(Duration::from_millis(3));
//!
//! let mut scrape = Scrape::new();
//! scrape
//!     .counter("http_requests", "Requests answered.", &[("code", "200")], 17)
//!     .histogram("http_latency", "Time to answer.", &[], &latency.snapshot())
//!     .part(&[("channel", "jobs")], &rx.stats());
//! let text = scrape.render().unwrap();
//! assert!(text.contains("http_requests_total{code=\"200\"} 17\n"));
//! assert!(text.contains("http_latency_seconds_count 1\n"));
//! assert!(text.contains("ironsys_channel_depth{channel=\"jobs\"} 1\n"));
//! ```

mod errors;
mod names;
mod number;
mod render;
mod scrape;

pub use errors::ScrapeError;
pub use number::Number;
pub use scrape::{Labels, Measured, Scrape};

#[cfg(feature = "metrics")]
pub(super) use scrape::{Family, Kind, Value};

/// The value for the header `Content-Type` of an HTTP answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
