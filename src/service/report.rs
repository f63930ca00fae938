//! How a service has ended.

use super::part::Ended;
use crate::panics::Panicked;
use crate::sync::Arc;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

/// How a service has ended: each part, in the order in which they were drained.
///
/// `Display` prints a table.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// The service's name.
    pub name: Arc<str>,
    /// Why it was to end.
    pub why: String,
    /// The parts, those that were started last in front.
    pub parts: Vec<PartReport>,
}

/// How one part has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct PartReport {
    /// The part's name.
    pub name: Arc<str>,
    /// What is left, and what went wrong.
    pub ended: Ended,
    /// How long the drain took, on the service's clock.
    pub took: Duration,
    /// Whether the time had not run out when it ended.
    pub in_time: bool,
    /// The drain panicked. The parts after it were drained all the same.
    pub panicked: Option<Panicked>,
}

impl PartReport {
    /// Returns whether nothing is left of the part, and nothing went wrong.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.spawn("worker", |ctx| Err::<(), _>(ctx.wait_stopped()))?;
    /// assert!(service.drain(&ctx).parts[0].is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.ended.is_clean() && self.panicked.is_none()
    }
}

impl Report {
    /// Returns whether nothing is left of any part, and nothing went wrong.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// assert!(service.drain(&ctx).is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.parts.iter().all(PartReport::is_clean)
    }

    /// Returns how many things are left, whatever they are.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// assert_eq!(service.drain(&ctx).left(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn left(&self) -> u64 {
        self.parts.iter().flat_map(|part| &part.ended.left).map(|left| left.count).sum()
    }

    /// Returns the exit code that says whether anything is left: success if it [is
    /// clean](Self::is_clean), failure otherwise.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// assert_eq!(service.drain(&ctx).exit_code(), std::process::ExitCode::SUCCESS);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.why)?;
        let wide = self.parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0);
        for part in &self.parts {
            write!(f, "  {:wide$}  {:>7.3} s  ", part.name, part.took.as_secs_f64())?;
            let mut said: Vec<String> = part.ended.left.iter().map(ToString::to_string).collect();
            said.extend(part.ended.error.clone());
            said.extend(part.panicked.as_ref().map(ToString::to_string));
            if !part.in_time {
                said.push("out of time".into());
            }
            let said = if said.is_empty() { "nothing left".into() } else { said.join(", ") };
            writeln!(f, "{said}")?;
        }
        Ok(())
    }
}
