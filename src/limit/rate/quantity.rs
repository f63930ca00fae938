//! So many in a time.

use std::fmt;
use std::time::Duration;

/// How many in how long: exact, whatever the two numbers.
///
/// A count of 0 is the rate of [`ZERO`](Self::ZERO): nothing comes, ever. A positive count in no time
/// at all is [`UNLIMITED`](Self::UNLIMITED). Everything in between is kept as the fraction that it is,
/// so 3 a second are 3 a second, also after a year.
///
/// ```
/// use ironsys::limit::Rate;
/// use std::time::Duration;
/// let rate = Rate::new(7, Duration::from_secs(2));
/// assert_eq!((rate.count(), rate.per()), (7, Duration::from_secs(2)));
/// assert_eq!(Rate::every(Duration::from_millis(10)), Rate::new(1, Duration::from_millis(10)));
/// assert!(Rate::every(Duration::ZERO).is_unlimited() && Rate::per_second(0).is_zero());
/// assert_eq!(Rate::per_minute(90).to_string(), "90 per 60s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    per: Duration,
}

impl Rate {
    /// Nothing, ever.
    pub const ZERO: Rate = Rate::new(0, Duration::from_secs(1));

    /// No limit.
    pub const UNLIMITED: Rate = Rate::new(1, Duration::ZERO);

    /// `count` in each `per`.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// # use std::time::Duration;
    /// assert_eq!(Rate::new(90, Duration::from_secs(60)), Rate::per_minute(90));
    /// ```
    #[must_use]
    pub const fn new(count: u32, per: Duration) -> Rate {
        Rate { count, per }
    }

    /// `count` a second.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// assert_eq!(Rate::per_second(5).to_string(), "5 per 1s");
    /// ```
    #[must_use]
    pub const fn per_second(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(1))
    }

    /// `count` a minute.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// assert_eq!(Rate::per_minute(5).to_string(), "5 per 60s");
    /// ```
    #[must_use]
    pub const fn per_minute(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(60))
    }

    /// `count` an hour.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// assert_eq!(Rate::per_hour(5).to_string(), "5 per 3600s");
    /// ```
    #[must_use]
    pub const fn per_hour(count: u32) -> Rate {
        Rate::new(count, Duration::from_secs(3600))
    }

    /// One in each `interval`; an interval of zero is no limit.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// # use std::time::Duration;
    /// assert_eq!(Rate::every(Duration::from_secs(3600)), Rate::per_hour(1));
    /// ```
    #[must_use]
    pub const fn every(interval: Duration) -> Rate {
        Rate::new(1, interval)
    }

    /// Returns how many.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// assert_eq!(Rate::per_minute(90).count(), 90);
    /// ```
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Returns in how long.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// # use std::time::Duration;
    /// assert_eq!(Rate::per_minute(90).per(), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// Returns whether nothing comes, ever.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// assert!(Rate::per_second(0).is_zero());
    /// ```
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.count == 0
    }

    /// Returns whether there is no limit.
    ///
    /// ```
    /// # use ironsys::limit::Rate;
    /// assert!(Rate::UNLIMITED.is_unlimited() && !Rate::per_second(1).is_unlimited());
    /// ```
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.count != 0 && self.per.is_zero()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() {
            f.write_str("unlimited")
        } else {
            write!(f, "{} per {:?}", self.count, self.per)
        }
    }
}
