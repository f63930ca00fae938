//! The error that every builder shares.

/// A builder was given something it cannot build from: which field, what is wrong with it, and what
/// would do.
///
/// ```
/// let e = ironsys::pool::Pool::builder("jobs").workers(0).build().unwrap_err();
/// assert_eq!(e.field(), "workers");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {field} {problem}")]
pub struct BuildError {
    what: &'static str,
    field: &'static str,
    problem: String,
}

impl BuildError {
    pub(crate) fn new(
        what: &'static str,
        field: &'static str,
        problem: impl Into<String>,
    ) -> BuildError {
        BuildError { what, field, problem: problem.into() }
    }

    /// Returns the name of the builder method that was given the wrong value.
    ///
    /// ```
    /// let error = ironsys::cpu::Cpu::with_threads("hash", 0).unwrap_err();
    /// assert_eq!(error.field(), "threads");
    /// ```
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}
