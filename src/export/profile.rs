//! Where threads wait, by how long: a profile by sampling.
//!
//! A blocked thread has noted where it waits anyway; a look every so often adds the time since the last
//! look to every place where somebody waits. So waiting costs nothing more, whether a profile runs or
//! not, and what it says is as exact as it has looked often: a wait much shorter than the time between
//! two looks is seldom seen, and many of them are seen as often as is due.

use super::periodic::Periodic;
use crate::context::Context;
use crate::error::BuildError;
use crate::observe::{Registry, WaitKind};
use crate::sync::{self, Arc, LeakTrack, MODEL, Mutex};
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Adds up where threads wait. Cheap to clone; all clones are one profile.
///
/// ```
/// use ironsys::{Context, export::WaitProfile};
/// use std::time::Duration;
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let (ctx, _cancel) = Context::root();
/// let profile = WaitProfile::new();
/// let watch = profile.watch(&ctx, Duration::from_millis(10))?;
/// // ... some time later
/// println!("{}", profile.report());
/// # drop(watch);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WaitProfile(Arc<Inner>);

struct Inner {
    /// Guards what has been seen.
    seen: Mutex<Seen>,
    _leak: LeakTrack,
}

#[derive(Default)]
struct Seen {
    sites: HashMap<Place, Tally>,
    looks: u64,
    last: Option<Instant>,
    over: Duration,
    /// Thread time at places for which there was no room.
    elsewhere: Duration,
}

type Place = (&'static Location<'static>, WaitKind, Option<Arc<str>>);

#[derive(Default)]
struct Tally {
    total: Duration,
    seen: u64,
    most: usize,
}

/// As many places as are kept apart. A program has as many lines that block, and not more, unless it
/// names its channels by number.
const MOST_PLACES: usize = 4096;

/// Looks at a registry for a [`WaitProfile`] until it is dropped, which joins its thread. Made by
/// [`WaitProfile::watch`].
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct ProfileWatch {
    _periodic: Periodic,
}

/// Where threads wait. `Display` prints the ten places with the most thread time, but for those where
/// threads are idle.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WaitReport {
    /// The places, those with the most thread time first.
    pub sites: Vec<WaitSite>,
    /// How many looks this is made of.
    pub looks: u64,
    /// From the first look to the last; real time.
    pub over: Duration,
    /// Thread time at places beyond the 4096 that are kept apart.
    pub elsewhere: Duration,
}

/// A place where threads wait.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaitSite {
    /// For what.
    pub on: WaitKind,
    /// The name of the channel, semaphore or task, if it has one.
    pub name: Option<Arc<str>>,
    /// The call that blocks.
    pub at: &'static Location<'static>,
    /// For how long, all threads together: an estimate.
    pub total: Duration,
    /// How many waits the looks have met.
    pub seen: u64,
    /// How many threads waited here at once, at the most.
    pub most: usize,
}

impl WaitSite {
    /// Returns whether a thread that waits here just has nothing to do: it waits for work, for a time,
    /// or for the stop of its context.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.on, WaitKind::Work | WaitKind::Sleep | WaitKind::Stopped)
    }
}

impl WaitProfile {
    /// Makes an empty profile.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// assert!(WaitProfile::new().report().sites.is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        WaitProfile(Arc::new(Inner { seen: Mutex::default(), _leak: LeakTrack::new() }))
    }

    /// Looks at the registry of `ctx` every `every` on its clock, on a thread of its own, until the
    /// context stops or the watch is dropped. 10 ms are plenty for most questions.
    ///
    /// # Errors
    /// `every` is 0, or the system has no thread left.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # let (ctx, _cancel) = ironsys::Context::root();
    /// assert!(WaitProfile::new().watch(&ctx, std::time::Duration::ZERO).is_err());
    /// ```
    #[track_caller]
    pub fn watch(&self, ctx: &Context, every: Duration) -> Result<ProfileWatch, BuildError> {
        let registry = ctx.registry().cloned().unwrap_or_default();
        let profile = self.clone();
        let look = move || profile.look(&registry);
        let at = Location::caller();
        let _periodic = Periodic::start("wait-profile", ctx, every, at, look)?;
        Ok(ProfileWatch { _periodic })
    }

    /// Looks once. The first look only starts the time.
    ///
    /// # Cost
    /// As [`Registry::tasks`].
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Registry;
    /// let profile = WaitProfile::new();
    /// profile.look(&Registry::new());
    /// assert!(profile.report().sites.is_empty()); // nobody waits
    /// ```
    pub fn look(&self, registry: &Registry) {
        let tasks = registry.tasks();
        let now = if MODEL { None } else { Some(sync::time::now()) };
        let mut seen = self.0.seen.lock();
        let between = match (seen.last, now) {
            (Some(last), Some(now)) => now.saturating_duration_since(last),
            _ => Duration::ZERO,
        };
        seen.last = now;
        seen.looks += 1;
        seen.over += between;
        let mut here: HashMap<Place, usize> = HashMap::new();
        for waiting in tasks.as_slice().iter().filter_map(|task| task.waiting.as_ref()) {
            *here.entry((waiting.at, waiting.on, waiting.name.clone())).or_default() += 1;
        }
        for (place, threads) in here {
            let time = between * u32::try_from(threads).unwrap_or(u32::MAX);
            if seen.sites.len() >= MOST_PLACES && !seen.sites.contains_key(&place) {
                seen.elsewhere += time;
                continue;
            }
            let tally = seen.sites.entry(place).or_default();
            tally.total += time;
            tally.seen += threads as u64;
            tally.most = tally.most.max(threads);
        }
    }

    /// Returns what the looks have come to.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Registry;
    /// let profile = WaitProfile::new();
    /// profile.look(&Registry::new());
    /// assert_eq!(profile.report().looks, 1);
    /// ```
    #[must_use]
    pub fn report(&self) -> WaitReport {
        let seen = self.0.seen.lock();
        let site = |((at, on, name), tally): (&Place, &Tally)| WaitSite {
            on: *on,
            name: name.clone(),
            at,
            total: tally.total,
            seen: tally.seen,
            most: tally.most,
        };
        let mut sites: Vec<WaitSite> = seen.sites.iter().map(site).collect();
        sites.sort_by_key(|site| (std::cmp::Reverse(site.total), site.at));
        let Seen { looks, over, elsewhere, .. } = *seen;
        WaitReport { sites, looks, over, elsewhere }
    }
}

impl Default for WaitProfile {
    fn default() -> Self {
        WaitProfile::new()
    }
}

impl fmt::Debug for WaitProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitProfile")
    }
}

impl fmt::Display for WaitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = self.over.as_secs_f64();
        writeln!(f, "thread time spent waiting in {over:.1} s, by {} looks:", self.looks)?;
        for site in self.sites.iter().filter(|site| !site.is_idle()).take(10) {
            let name = site.name.as_deref().map_or(String::new(), |name| format!(" `{name}`"));
            let (total, most) = (site.total.as_secs_f64(), site.most);
            writeln!(f, "{total:>10.3} s  {}{name} at {}, up to {most} at once", site.on, site.at)?;
        }
        Ok(())
    }
}
