//! The rules for names and labels.

use super::errors::ScrapeError;

/// Letters, digits and underscores, not a digit first.
fn is_word(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// Whether a metric may be called so.
pub(super) fn check_metric(name: &str) -> Result<(), ScrapeError> {
    if !is_word(name) {
        return Err(ScrapeError::BadName { name: name.to_owned() });
    }
    let unit = name.split('_').find(|word| NOT_BASE.contains(word));
    unit.map_or(Ok(()), |unit| {
        Err(ScrapeError::NotABaseUnit { name: name.to_owned(), unit: unit.to_owned() })
    })
}

/// Whether these may be the labels of a metric.
pub(super) fn check_labels(name: &str, labels: &[(String, String)]) -> Result<(), ScrapeError> {
    for (i, (label, _)) in labels.iter().enumerate() {
        let (name, own) = (name.to_owned(), label.to_owned());
        if !is_word(label) || label.starts_with("__") || ["le", "quantile"].contains(&&**label) {
            return Err(ScrapeError::BadLabel { name, label: own });
        }
        if labels[..i].iter().any(|(other, _)| other == label) {
            return Err(ScrapeError::LabelTwice { name, label: own });
        }
    }
    Ok(())
}

/// Appends `suffix` unless the name ends in it.
pub(super) fn with_suffix(name: &str, suffix: &str) -> String {
    if name.ends_with(suffix) { name.to_owned() } else { format!("{name}{suffix}") }
}

const NOT_BASE: &[&str] = &[
    "ns",
    "nanos",
    "nanoseconds",
    "us",
    "micros",
    "microseconds",
    "ms",
    "millis",
    "milliseconds",
    "minutes",
    "hours",
    "days",
    "kb",
    "kib",
    "kilobytes",
    "mb",
    "mib",
    "megabytes",
    "gb",
    "gib",
    "gigabytes",
    "percent",
];
