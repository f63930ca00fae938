//! What collects the numbers of one request.

use super::errors::ScrapeError;
use super::names::{check_labels, check_metric, with_suffix};
use super::number::Number;
use super::render::{self, series};
use crate::observe::HistogramSnapshot;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Names and values that tell the series of one metric apart.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Collects numbers for one answer to Prometheus; see the [module](super).
///
/// Families stand in the order in which they were first added. What breaks a rule is left out, never
/// written: [`render`](Self::render) then fails, [`text`](Self::text) gives the rest, and
/// [`errors`](Self::errors) says what is missing.
///
/// # Cost
/// A few allocations for each series. Nothing is shared, so nothing is locked.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    families: Vec<Family>,
    /// Where the family of a name is.
    places: HashMap<String, usize>,
    /// The names of all series, and those whose it is: a histogram has several.
    names: HashMap<String, usize>,
    /// Every series with its labels in order.
    seen: HashSet<String>,
    common: Vec<(String, String)>,
    errors: Vec<ScrapeError>,
}

/// All series of one name.
#[derive(Debug, Clone)]
pub(in crate::export) struct Family {
    pub(in crate::export) name: String,
    pub(in crate::export) help: String,
    pub(in crate::export) kind: Kind,
    pub(in crate::export) series: Vec<(Vec<(String, String)>, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Clone)]
pub(in crate::export) enum Value {
    Number(Number),
    Histogram(Box<HistogramSnapshot>),
}

/// Something that has numbers to show. The stats of this crate's parts have; implement it for your own.
///
/// ```
/// use ironsys::export::{Measured, Scrape, prometheus::Labels};
///
/// struct Cache { hits: u64, bytes: u64 }
///
/// impl Measured for Cache {
///     fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
///         into.counter("cache_hits", "Look-ups that found something.", labels, self.hits)
///             .bytes("cache_size", "What it takes up.", labels, self.bytes);
///     }
/// }
///
/// let mut scrape = Scrape::new();
/// scrape.part(&[("cache", "users")], &Cache { hits: 3, bytes: 4096 });
/// assert!(scrape.render().unwrap().contains("cache_size_bytes{cache=\"users\"} 4096\n"));
/// ```
pub trait Measured {
    /// Adds what there is to show, with these labels.
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape);
}

impl Scrape {
    /// Makes an empty scrape.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// assert_eq!(Scrape::new().render()?, "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Scrape::default()
    }

    /// Gives everything that is added from now on these labels, before its own: the instance, the
    /// version.
    ///
    /// ```
    /// use ironsys::export::Scrape;
    /// let mut scrape = Scrape::new();
    /// scrape.common(&[("node", "a")]).gauge("up", "Whether it runs.", &[], true);
    /// assert!(scrape.text().ends_with("up{node=\"a\"} 1\n"));
    /// ```
    pub fn common(&mut self, labels: Labels<'_>) -> &mut Self {
        self.common = owned(labels);
        self
    }

    /// Adds a count of something that happened, which only grows. The name gets `_total` if it does
    /// not end so.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.counter("hits", "Look-ups.", &[("cache", "a")], 3);
    /// assert!(scrape.render()?.ends_with("hits_total{cache=\"a\"} 3\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        value: impl Into<Number>,
    ) -> &mut Self {
        let value = value.into();
        let name = with_suffix(name, "_total");
        if !value.as_f64().is_finite() || value.as_f64() < 0.0 {
            self.errors.push(ScrapeError::BadCount { name, value: value.to_string() });
            return self;
        }
        self.add(name, help, Kind::Counter, labels, Value::Number(value))
    }

    /// Adds time that was spent, which only grows. The name gets `_seconds_total`.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use std::time::Duration;
    /// let mut scrape = Scrape::new();
    /// scrape.counter_seconds("work", "Time at work.", &[], Duration::from_millis(1500));
    /// assert!(scrape.render()?.ends_with("work_seconds_total 1.5\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counter_seconds(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        value: Duration,
    ) -> &mut Self {
        self.counter(&in_unit(name, "_seconds"), help, labels, value)
    }

    /// Adds a count of bytes, which only grows. The name gets `_bytes_total`.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.counter_bytes("sent", "What was sent.", &[], 4096);
    /// assert!(scrape.render()?.ends_with("sent_bytes_total 4096\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counter_bytes(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        value: u64,
    ) -> &mut Self {
        self.counter(&in_unit(name, "_bytes"), help, labels, value)
    }

    /// Adds a value as it is now: a depth, a state. A `bool` is 0 or 1.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.gauge("up", "Whether it runs.", &[], true);
    /// assert!(scrape.render()?.ends_with("up 1\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        value: impl Into<Number>,
    ) -> &mut Self {
        let value = Value::Number(value.into());
        self.add(name.to_owned(), help, Kind::Gauge, labels, value)
    }

    /// Adds a duration as it is now. The name gets `_seconds`.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.seconds("age", "Of the oldest.", &[], std::time::Duration::from_millis(500));
    /// assert!(scrape.render()?.ends_with("age_seconds 0.5\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seconds(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        value: Duration,
    ) -> &mut Self {
        self.gauge(&with_suffix(name, "_seconds"), help, labels, value)
    }

    /// Adds a size as it is now. The name gets `_bytes`.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.bytes("size", "What it takes up.", &[], 4096);
    /// assert!(scrape.render()?.ends_with("size_bytes 4096\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes(&mut self, name: &str, help: &str, labels: Labels<'_>, value: u64) -> &mut Self {
        self.gauge(&with_suffix(name, "_bytes"), help, labels, value)
    }

    /// Adds durations: buckets for the powers of two of nanoseconds from a microsecond to 69 seconds,
    /// the sum and the count. The name gets `_seconds`.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Histogram;
    /// let (mut scrape, latency) = (Scrape::new(), Histogram::new());
    /// latency.record(std::time::Duration::from_millis(5));
    /// scrape.histogram("latency", "Of a call.", &[], &latency.snapshot());
    /// assert!(scrape.render()?.contains("latency_seconds_count 1\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: Labels<'_>,
        value: &HistogramSnapshot,
    ) -> &mut Self {
        let value = Value::Histogram(Box::new(value.clone()));
        self.add(with_suffix(name, "_seconds"), help, Kind::Histogram, labels, value)
    }

    /// Adds what a part has to show.
    ///
    /// ```
    /// # use ironsys::{export::*, pool::Pool};
    /// let pool = Pool::builder("jobs").workers(2).build()?;
    /// let mut scrape = Scrape::new();
    /// scrape.part(&[("pool", "jobs")], &pool.stats());
    /// assert!(scrape.text().contains("pool=\"jobs\""));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn part(&mut self, labels: Labels<'_>, part: &impl Measured) -> &mut Self {
        part.measure(labels, self);
        self
    }

    /// Returns the text.
    ///
    /// # Errors
    /// The first value that broke a rule.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.gauge("not a name", "A mistake.", &[], 1);
    /// assert!(scrape.render().is_err());
    /// ```
    pub fn render(&self) -> Result<String, ScrapeError> {
        self.errors.first().map_or_else(|| Ok(self.text()), |error| Err(error.clone()))
    }

    /// Returns the text of everything that broke no rule: for a server that rather shows the rest, and
    /// logs [`errors`](Self::errors).
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.gauge("not a name", "A mistake.", &[], 1).gauge("up", "Whether it runs.", &[], 1);
    /// assert!(scrape.text().ends_with("up 1\n"));
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        render::text(&self.families)
    }

    /// Returns what was left out, and why.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// let mut scrape = Scrape::new();
    /// scrape.gauge("not a name", "A mistake.", &[], 1);
    /// assert_eq!(scrape.errors().len(), 1);
    /// ```
    #[must_use]
    pub fn errors(&self) -> &[ScrapeError] {
        &self.errors
    }

    #[cfg(feature = "metrics")]
    pub(in crate::export) fn families(&self) -> &[Family] {
        &self.families
    }

    fn add(
        &mut self,
        name: String,
        help: &str,
        kind: Kind,
        labels: Labels<'_>,
        value: Value,
    ) -> &mut Self {
        let mut all = self.common.clone();
        all.extend(owned(labels));
        if let Err(error) = self.try_add(name, help, kind, all, value) {
            self.errors.push(error);
        }
        self
    }

    fn try_add(
        &mut self,
        name: String,
        help: &str,
        kind: Kind,
        labels: Vec<(String, String)>,
        value: Value,
    ) -> Result<(), ScrapeError> {
        check_metric(&name)?;
        check_labels(&name, &labels)?;
        let place = match self.places.get(&name) {
            Some(&place) => place,
            None => self.families.len(),
        };
        let same = |family: &Family| family.kind == kind && family.help == help;
        let clash = self.families.get(place).is_some_and(|family| !same(family));
        let names = names_of(&name, kind);
        if clash || names.iter().any(|name| self.names.get(name).is_some_and(|of| *of != place)) {
            return Err(ScrapeError::Clash { name });
        }
        let mut sorted = labels.clone();
        sorted.sort();
        let key = series(&name, &sorted);
        if !self.seen.insert(key) {
            return Err(ScrapeError::Twice { series: series(&name, &labels) });
        }
        if place == self.families.len() {
            self.places.insert(name.clone(), place);
            self.names.extend(names.into_iter().map(|name| (name, place)));
            self.families.push(Family { name, help: help.to_owned(), kind, series: Vec::new() });
        }
        self.families[place].series.push((labels, value));
        Ok(())
    }
}

fn owned(labels: Labels<'_>) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The name with the unit, before `_total` if it has that.
fn in_unit(name: &str, unit: &str) -> String {
    with_suffix(name.strip_suffix("_total").unwrap_or(name), unit)
}

/// The names that the series of a family have.
fn names_of(name: &str, kind: Kind) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if kind == Kind::Histogram {
        names.extend(["bucket", "sum", "count"].map(|series| format!("{name}_{series}")));
    }
    names
}
