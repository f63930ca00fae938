//! Building several pools on common threads.

use super::Subpools;
use super::share::Shares;
use super::turn::Shared;
use crate::error::BuildError;
use crate::pool::builder::Builder;
use crate::pool::intake::Intake;
use crate::pool::order::Order;
use crate::pool::submit::Submitter;
use crate::sync::{Arc, LeakTrack, next_number};
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// What a subpool may use of the common threads.
///
/// ```
/// use ironsys::pool::Share;
/// let mail = Share::new(1..=4).queue(100); // one thread always, four at the most
/// assert_eq!((mail.least(), mail.most()), (1, 4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a share means nothing until a subpool is built with it"]
pub struct Share {
    least: usize,
    most: usize,
    pub(super) queue: usize,
}

impl Share {
    /// Makes a share: how many jobs can always run at a time, whatever the others do, and how many may
    /// run at a time at the most. At least 0 means that it lives of what the others leave over.
    ///
    /// ```
    /// # use ironsys::pool::Share;
    /// let share = Share::new(0..=2);
    /// assert_eq!((share.least(), share.most()), (0, 2));
    /// ```
    pub fn new(threads: RangeInclusive<usize>) -> Self {
        Share { least: *threads.start(), most: *threads.end(), queue: 256 }
    }

    /// Sets how many jobs may wait. The default is 256; 0 is refused.
    ///
    /// ```
    /// # use ironsys::pool::{Pool, Share, Subpools};
    /// let pools = Subpools::over(Pool::builder("jobs").workers(1));
    /// assert!(pools.pool("api", Share::new(0..=1).queue(0)).build().is_err());
    /// ```
    pub fn queue(mut self, jobs: usize) -> Self {
        self.queue = jobs;
        self
    }

    /// Returns how many jobs can always run at a time.
    ///
    /// ```
    /// # use ironsys::pool::Share;
    /// assert_eq!(Share::new(1..=4).least(), 1);
    /// ```
    #[must_use]
    pub fn least(&self) -> usize {
        self.least
    }

    /// Returns how many jobs may run at a time.
    ///
    /// ```
    /// # use ironsys::pool::Share;
    /// assert_eq!(Share::new(1..=4).most(), 4);
    /// ```
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }
}

/// Builds [`Subpools`]. Made by [`Subpools::over`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SubpoolsBuilder {
    pub(super) threads: Builder,
    pub(super) shares: Vec<(String, Share)>,
}

impl SubpoolsBuilder {
    /// Adds a subpool.
    ///
    /// ```
    /// # use ironsys::pool::{Pool, Share, Subpools};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pools = Subpools::over(Pool::builder("jobs").workers(1));
    /// let pools = pools.pool("api", Share::new(0..=1)).build()?;
    /// assert!(pools.get("api").is_some() && pools.get("mail").is_none());
    /// # Ok(()) }
    /// ```
    pub fn pool(mut self, name: impl Into<String>, share: Share) -> Self {
        self.shares.push((name.into(), share));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// `pool`: there is none, two have one name, a share is empty, lets nothing run, or its queue is
    /// 0, together they reserve more threads than there are, or one reserves none and none is left
    /// over. `order`: the threads have an order of their own. And what [`Builder::build`] refuses.
    ///
    /// ```
    /// # use ironsys::pool::{Pool, Subpools};
    /// assert!(Subpools::over(Pool::builder("jobs").workers(1)).build().is_err()); // no subpool
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<Subpools, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("subpools", field, problem));
        if self.shares.is_empty() {
            return wrong("pool", "is missing".into());
        }
        let mut names = HashMap::new();
        for (i, (name, share)) in self.shares.iter().enumerate() {
            if names.insert(Arc::<str>::from(&**name), i).is_some() {
                return wrong("pool", format!("`{name}` is there twice"));
            }
            if share.most == 0 || share.least > share.most {
                return wrong("pool", format!("`{name}` has no share"));
            }
            if share.queue == 0 {
                return wrong("pool", format!("`{name}` has a queue of 0"));
            }
        }
        let threads = self.threads.most();
        let least = self.shares.iter().try_fold(0_usize, |sum, (_, s)| sum.checked_add(s.least));
        let Some(left) = least.and_then(|least| threads.checked_sub(least)) else {
            return wrong("pool", format!("reserves more than the {threads} threads in all"));
        };
        if let Some((name, _)) = self.shares.iter().find(|(_, s)| s.least == 0 && left == 0) {
            return wrong("pool", format!("`{name}` would never run: nothing is left over"));
        }
        if !self.threads.has_order(Order::Fifo) {
            return wrong("order", "must be first come, first served: subpools take turns".into());
        }
        let pool = self.threads.queue(threads).build()?;
        let shared = Arc::new(Shared {
            shares: Shares::new(self.shares.iter().map(|(_, share)| *share), threads),
            ids: self.shares.iter().map(|_| next_number()).collect(),
            names: self.shares.into_iter().map(|(name, _)| name.into()).collect(),
            threads: pool.submitter(),
            _leak: LeakTrack::new(),
        });
        let crew = pool.crew();
        let submitter = |i| {
            let intake = Intake::Lane(shared.clone(), i);
            Submitter { crew: crew.clone(), intake }
        };
        let pools = (0..names.len()).map(submitter).collect();
        let stopped = shared.clone();
        let _on_stop = crew.ctx.on_stop(move |stop| stopped.shares.stopped(&stop));
        Ok(Subpools { shared: shared.clone(), names, pools, threads: Some(pool), _on_stop })
    }
}
