//! What the calling thread is at work for, beyond what its stack of tasks says: sessions, owners.
//!
//! A turn of a session is too short to be listed. Its thread notes it here, where only the thread itself
//! looks, and shows it when it parks.

use std::cell::Cell;

/// The keys of what a thread is at work for, the innermost last; of more than these, the outer ones.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Serving {
    keys: [usize; MOST],
    depth: usize,
}

const MOST: usize = 3;

crate::sync::thread_local_in_build! {
    static MINE: Cell<Serving> = Cell::new(Serving::default());
}

impl Serving {
    /// What the calling thread is at work for.
    #[inline]
    pub(super) fn current() -> Serving {
        MINE.try_with(Cell::get).unwrap_or_default()
    }

    pub(crate) fn keys(&self) -> &[usize] {
        &self.keys[..self.depth.min(MOST)]
    }
}

/// The calling thread is at work for `key` until the guard is dropped, on the same thread.
#[inline]
pub(crate) fn serve(key: usize) -> Served {
    let _ = MINE.try_with(|mine| {
        let mut serving = mine.get();
        if let Some(place) = serving.keys.get_mut(serving.depth) {
            *place = key;
        }
        serving.depth += 1;
        mine.set(serving);
    });
    Served
}

/// Whether the calling thread is at work for `key`. Of more than some works it knows only the outer ones.
pub(crate) fn serves(key: usize) -> bool {
    Serving::current().keys().contains(&key)
}

/// Ends [`serve`].
#[must_use = "the work is over when this is dropped"]
pub(crate) struct Served;

impl Drop for Served {
    #[inline]
    fn drop(&mut self) {
        let _ = MINE.try_with(|mine| {
            let mut serving = mine.get();
            serving.depth = serving.depth.saturating_sub(1);
            mine.set(serving);
        });
    }
}
