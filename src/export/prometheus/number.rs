//! Values: whole numbers stay whole.

use std::fmt;
use std::time::Duration;

/// The value of a metric. Prometheus reads all of them as 64-bit floating point.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Number {
    /// A count.
    Unsigned(u64),
    /// A whole number that may be negative.
    Signed(i64),
    /// Anything else; NaN and the infinities are allowed for gauges.
    Real(f64),
}

impl Number {
    /// Returns the value as Prometheus reads it.
    ///
    /// ```
    /// # use ironsys::export::prometheus::Number;
    /// assert_eq!(Number::from(true).as_f64(), 1.0);
    /// ```
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Unsigned(n) => n as f64,
            Number::Signed(n) => n as f64,
            Number::Real(n) => n,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Number::Unsigned(n) => write!(f, "{n}"),
            Number::Signed(n) => write!(f, "{n}"),
            Number::Real(n) if n.is_nan() => f.write_str("NaN"),
            Number::Real(f64::INFINITY) => f.write_str("+Inf"),
            Number::Real(f64::NEG_INFINITY) => f.write_str("-Inf"),
            Number::Real(n) => write!(f, "{n}"),
        }
    }
}

impl From<u64> for Number {
    fn from(n: u64) -> Self {
        Number::Unsigned(n)
    }
}

impl From<u32> for Number {
    fn from(n: u32) -> Self {
        Number::Unsigned(n.into())
    }
}

impl From<usize> for Number {
    fn from(n: usize) -> Self {
        Number::Unsigned(n as u64)
    }
}

impl From<i64> for Number {
    fn from(n: i64) -> Self {
        Number::Signed(n)
    }
}

/// For literals.
impl From<i32> for Number {
    fn from(n: i32) -> Self {
        Number::Signed(n.into())
    }
}

impl From<f64> for Number {
    fn from(n: f64) -> Self {
        Number::Real(n)
    }
}

/// `true` is 1.
impl From<bool> for Number {
    fn from(is: bool) -> Self {
        Number::Unsigned(is.into())
    }
}

/// In seconds.
impl From<Duration> for Number {
    fn from(time: Duration) -> Self {
        Number::Real(time.as_secs_f64())
    }
}
