//! Made-up messages: the same for every run.

/// A message as it comes in.
pub(crate) struct Raw {
    pub(crate) source: &'static str,
    pub(crate) number: u64,
}

/// A message that rules can look at.
pub(crate) struct Message {
    pub(crate) source: &'static str,
    pub(crate) severity: &'static str,
}

impl Message {
    /// Finds out how bad it is.
    pub(crate) fn classify(raw: Raw) -> Message {
        // A multiplicative hash of the number: one message of 16 is an error, three are warnings.
        let severity = match raw.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 {
            0 => "error",
            1..=3 => "warning",
            _ => "info",
        };
        Message { source: raw.source, severity }
    }
}
