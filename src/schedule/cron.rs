//! Cron expressions, by the crate croner; the calendar and the time zones are jiff's.

use crate::sync::Arc;
use croner::parser::{CronParser, Year};
use jiff::tz::{TimeZone, TimeZoneTransition};
use jiff::{Timestamp, Zoned};
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// A cron expression in a time zone.
///
/// Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or
/// `@hourly`, `@daily` or `@midnight`, `@weekly`, `@monthly`, `@yearly` or `@annually`. Fields take `*`,
/// lists, ranges, steps, names, and `L`, `W` and `#` for days. If both days are given one of them is
/// enough, as in Vixie cron; `+` before the day of week asks for both.
///
/// # Daylight saving time
/// When the clock is set forward, an expression with a fixed time of day inside the gap runs at the
/// end of the gap; one with a wild card, a list or a range simply has no such times. When it is set
/// back, a fixed time of day runs once, in the first of the two hours, and the others run in both. Where a
/// zone leaves out more than two hours, as Samoa's did with the whole of 2011-12-30, times before the
/// last two of them have no run.
///
/// ```
/// use ironsys::schedule::Cron;
/// use std::time::{Duration, SystemTime};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nightly: Cron = "30 3 * * *".parse()?;
/// let half_hours = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n * 1800);
/// assert_eq!(nightly.next_after(half_hours(0)), Some(half_hours(7)));
/// assert_eq!(nightly.zone("CET-1")?.next_after(half_hours(0)), Some(half_hours(5)));
/// # Ok(()) }
/// ```
///
/// # Cost
/// A clone is one reference count.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    pattern: Arc<(croner::Cron, String)>,
    zone: TimeZone,
}

/// Why a text is no cron expression, or a name no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The expression is not understood.
    #[error("`{pattern}` is not a cron expression: {problem}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such time zone.
    #[error("there is no time zone `{name}`: {problem}")]
    Zone {
        /// The name.
        name: String,
        /// What the search for it came to.
        problem: String,
    },
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let text = text.trim();
        // croner passes over them, and looks for a minute of none of the hours until the year 5000.
        let is_empty = |part: &str| part.is_empty() || part == "+";
        if text.split_whitespace().any(|field| field.split(',').any(is_empty)) {
            let problem = "a part of a list is empty".into();
            return Err(CronError::Pattern { pattern: text.into(), problem });
        }
        let midnight = text.eq_ignore_ascii_case("@midnight");
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let pattern = parser
            .parse(if midnight { "@daily" } else { text })
            .map_err(|e| CronError::Pattern { pattern: text.into(), problem: e.to_string() })?;
        Ok(Cron { pattern: Arc::new((pattern, text.into())), zone: TimeZone::UTC })
    }
}

impl Cron {
    /// Takes the expression as of a time zone: by its IANA name, looked up in the system's time zone
    /// database, or as a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`. The default is UTC.
    ///
    /// # Errors
    /// There is no such zone.
    ///
    /// ```
    /// # use ironsys::schedule::Cron;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let nightly: Cron = "30 3 * * *".parse()?;
    /// assert!(nightly.clone().zone("CET-1").is_ok());
    /// assert!(nightly.zone("Nowhere/Nothing").is_err());
    /// # Ok(()) }
    /// ```
    pub fn zone(mut self, name: &str) -> Result<Cron, CronError> {
        self.zone = TimeZone::get(name)
            .or_else(|e| TimeZone::posix(name).map_err(|_| e))
            .map_err(|e| CronError::Zone { name: name.into(), problem: e.to_string() })?;
        Ok(self)
    }

    /// Takes the expression as of the system's own time zone. If that cannot be found out, it is UTC.
    ///
    /// ```
    /// # use ironsys::schedule::Cron;
    /// # use std::time::SystemTime;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let nightly = "30 3 * * *".parse::<Cron>()?.local();
    /// assert!(nightly.next_after(SystemTime::UNIX_EPOCH).is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn local(mut self) -> Cron {
        self.zone = TimeZone::system();
        self
    }

    /// Returns the first time after `time`. `None`: there is no such time before the year 5000, the
    /// 30th of February for one.
    ///
    /// ```
    /// # use ironsys::schedule::Cron;
    /// # use std::time::{Duration, SystemTime};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (hourly, epoch) = ("@hourly".parse::<Cron>()?, SystemTime::UNIX_EPOCH);
    /// assert_eq!(hourly.next_after(epoch), Some(epoch + Duration::from_secs(3600)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        if self.is_never() {
            return None;
        }
        let (mut from, mut itself) = (self.zoned(time)?, false);
        loop {
            if let Ok(next) = self.pattern.0.find_next_occurrence(&from, itself) {
                return Some(instant(next));
            }
            (from, itself) = (self.after_long_gap(&from)?, true);
        }
    }

    /// The end of the next gap that is too long for croner: it gives up in front of one.
    fn after_long_gap(&self, from: &Zoned) -> Option<Zoned> {
        let mut before = from.offset();
        let is_end = |change: &TimeZoneTransition<'_>| {
            let gap = change.offset().seconds()
                - std::mem::replace(&mut before, change.offset()).seconds();
            gap > LONGEST_GAP
        };
        let end = self.zone.following(from.timestamp()).find(is_end)?;
        Some(end.timestamp().to_zoned(self.zone.clone()))
    }

    /// Whether none of its months is as long as its days ask for. It is told by the sets: croner looks
    /// at each month until the year 5000.
    fn is_never(&self) -> bool {
        let pattern = &self.pattern.0.pattern;
        // A day of the week may be enough, and `L` and `W` are other days each month.
        if !pattern.is_dow_wildcard() || pattern.days.has_modifiers() {
            return false;
        }
        let Some(first) = pattern.days.values().into_iter().min() else { return false };
        let is_too_short = |month: u16| LONGEST[usize::from(month) - 1] < first;
        pattern.months.values().into_iter().all(is_too_short)
    }

    /// The last time up to `time`, itself included.
    fn last_until(&self, time: SystemTime) -> Option<SystemTime> {
        self.pattern.0.find_previous_occurrence(&self.zoned(time)?, true).ok().map(instant)
    }

    /// How many times lie in `due ..= now`, the last of them, and the first one after. Beyond
    /// [`COUNTED`] they are not counted.
    pub(super) fn passed(
        &self,
        due: SystemTime,
        now: SystemTime,
    ) -> (u64, SystemTime, Option<SystemTime>) {
        let (mut count, mut last) = (1, due);
        loop {
            match self.next_after(last) {
                Some(next) if next <= now && count < COUNTED => (count, last) = (count + 1, next),
                Some(next) if next <= now => {
                    let last = self.last_until(now).unwrap_or(last);
                    return (count, last, self.next_after(now.max(last)));
                }
                next => return (count, last, next),
            }
        }
    }

    /// Cut down to the second, as croner counts.
    fn zoned(&self, time: SystemTime) -> Option<Zoned> {
        let seconds = Timestamp::try_from(time).ok()?.as_nanosecond().div_euclid(1_000_000_000);
        let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}

fn instant(time: Zoned) -> SystemTime {
    time.timestamp().into()
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern.1)
    }
}

/// How many missed times are counted one by one: a bound on what a job a year late can cost.
const COUNTED: u64 = 1000;

/// The longest time, in seconds, that croner looks on for the end of a gap.
const LONGEST_GAP: i32 = 2 * 3600;

/// The days of each month, at most.
const LONGEST: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
