//! What does not belong into a scrape.

/// A value that was left out of a [`Scrape`](super::Scrape), and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// The name of a metric is not letters, digits and underscores, or begins with a digit. Colons are
    /// for the rules of the server.
    #[error("`{name}` is not the name of a metric")]
    BadName {
        /// The name.
        name: String,
    },
    /// The name says a unit that is not a base unit: seconds and bytes are.
    #[error("metric `{name}` is not in seconds or bytes: `{unit}`")]
    NotABaseUnit {
        /// The name.
        name: String,
        /// The unit in it.
        unit: String,
    },
    /// The name of a label is not letters, digits and underscores, begins with a digit or two
    /// underscores, or is `le` or `quantile`, which histograms and summaries use.
    #[error("`{label}` is not the name of a label, at metric `{name}`")]
    BadLabel {
        /// The name of the metric.
        name: String,
        /// The name of the label.
        label: String,
    },
    /// A label stands twice.
    #[error("label `{label}` stands twice at metric `{name}`")]
    LabelTwice {
        /// The name of the metric.
        name: String,
        /// The name of the label.
        label: String,
    },
    /// The same metric with the same labels has been added before.
    #[error("{series} is in the scrape already")]
    Twice {
        /// The metric with its labels.
        series: String,
    },
    /// The name is in use for something else: another type of metric, another help, or the series of a
    /// histogram.
    #[error("metric `{name}` has been added as something else")]
    Clash {
        /// The name.
        name: String,
    },
    /// A counter that is negative or not a number.
    #[error("counter `{name}` cannot be {value}")]
    BadCount {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
}
