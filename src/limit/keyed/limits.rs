//! What a key's place holds.

use super::super::rate::{Counts, Kind, Meter, Queue, RateLimit};
use super::super::semaphore::Semaphore;
use crate::sync::Arc;
use crate::time::Clock;

/// A limit of which there can be one for each key. Those of the crate are all there are.
pub trait Limit: sealed::Sealed + Sized + 'static {
    /// What all keys have in common.
    #[doc(hidden)]
    type Common: Clone + Send;
    /// What there is for each.
    #[doc(hidden)]
    type Place: Send;

    /// The place of a key that has used nothing.
    #[doc(hidden)]
    fn fresh(common: &Self::Common, t: u64) -> Self::Place;

    /// From when on time alone makes a place as good as a fresh one; `None`: it is not known.
    #[doc(hidden)]
    fn idle_at(common: &Self::Common, place: &Self::Place) -> Option<u64>;

    /// What they have in common if they are all like this one; and its clock and name.
    #[doc(hidden)]
    fn template(&self) -> (Self::Common, Clock, Option<Arc<str>>);
}

mod sealed {
    use super::{Kind, RateLimit, Semaphore};
    pub trait Sealed {}
    impl<K: Kind> Sealed for RateLimit<K> {}
    impl Sealed for Semaphore {}
}

/// The rule for all keys of a shard, and what has become of those who waited.
#[derive(Debug, Clone)]
pub struct Rule<M> {
    pub(super) meter: M,
    pub(super) counts: Counts,
}

/// What a key has used, and who waits for it, if anybody does.
pub struct Place<M: Meter> {
    pub(super) cell: M::Cell,
    pub(super) queue: Option<Box<Queue<M>>>,
}

impl<M: Meter> std::fmt::Debug for Place<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("is_waited_for", &self.queue.is_some())
            .finish_non_exhaustive()
    }
}

impl<K: Kind> Limit for RateLimit<K> {
    type Common = Rule<K::Meter>;
    type Place = Place<K::Meter>;

    fn fresh(common: &Self::Common, t: u64) -> Self::Place {
        Place { cell: common.meter.fresh(t), queue: None }
    }

    fn idle_at(common: &Self::Common, place: &Self::Place) -> Option<u64> {
        // Who waits is there until he has gone, and that is told.
        let busy = place.queue.is_some();
        let at = if busy { None } else { common.meter.idle_at(&place.cell) };
        Some(at.unwrap_or(u64::MAX))
    }

    fn template(&self) -> (Self::Common, Clock, Option<Arc<str>>) {
        let (meter, clock, name) = self.template();
        (Rule { meter, counts: Counts::default() }, clock, name)
    }
}

impl Limit for Semaphore {
    /// How many permits a new one has, and its name.
    type Common = (usize, Option<Arc<str>>);
    type Place = Semaphore;

    fn fresh((permits, name): &Self::Common, _: u64) -> Semaphore {
        Semaphore::make(name.clone(), *permits)
    }

    fn idle_at(_: &Self::Common, place: &Semaphore) -> Option<u64> {
        // Permits hold a handle, and so does everybody who waits or is about to.
        place.is_only_handle().then_some(0)
    }

    fn template(&self) -> (Self::Common, Clock, Option<Arc<str>>) {
        ((self.capacity(), self.name()), Clock::system(), self.name())
    }
}
