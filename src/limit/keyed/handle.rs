//! A handle for each key: semaphores.

use super::super::semaphore::Semaphore;
use super::front::Keyed;
use std::hash::{BuildHasher, Hash};

/// The key is new, and all keys that there is room for are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many keys are in use")]
pub struct TooManyKeys;

impl<Q: Hash + Eq + Clone, S: BuildHasher + Clone> Keyed<Q, Semaphore, S> {
    /// Returns the semaphore of `key`. The key stays for as long as the handle, or a permit, does.
    ///
    /// # Errors
    /// If the key is new and there is no room for it.
    ///
    /// ```
    /// use ironsys::{Context, limit::{Keyed, Semaphore}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let tenants = Keyed::builder(&Semaphore::new(2)).max_keys(100).build()?;
    /// let permit = tenants.get(&"a")?.acquire(&ctx, 2)?;
    /// assert!(tenants.get(&"a")?.try_acquire(1).is_err());
    /// assert!(tenants.get(&"b")?.try_acquire(1).is_ok());
    /// # drop(permit);
    /// # Ok(()) }
    /// ```
    pub fn get(&self, key: &Q) -> Result<Semaphore, TooManyKeys> {
        self.shared.shards.with(key, 0, |_, place| place.clone()).ok_or(TooManyKeys)
    }
}
