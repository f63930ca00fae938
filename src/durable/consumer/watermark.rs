//! Done in any order, committed in order.

use std::collections::VecDeque;

/// The positions that were received and are not committed, in order.
///
/// Each holds something, its place in flight, until it may be committed: so one that takes long holds
/// up what is received, and not the memory.
#[derive(Debug)]
pub(super) struct Watermark<T> {
    open: VecDeque<Open<T>>,
}

#[derive(Debug)]
struct Open<T> {
    position: u64,
    done: bool,
    _holds: T,
}

impl<T> Default for Watermark<T> {
    fn default() -> Self {
        Watermark { open: VecDeque::new() }
    }
}

impl<T> Watermark<T> {
    /// A position was received; larger than those before.
    pub(super) fn begin(&mut self, position: u64, holds: T) {
        self.open.push_back(Open { position, done: false, _holds: holds });
    }

    /// A position is done with. Returns how far that allows to commit, if it is further than before.
    pub(super) fn done(&mut self, position: u64) -> Option<u64> {
        if let Ok(i) = self.open.binary_search_by_key(&position, |open| open.position) {
            self.open[i].done = true;
        }
        let mut last = None;
        while self.open.front().is_some_and(|open| open.done) {
            last = self.open.pop_front().map(|open| open.position);
        }
        last
    }

    /// Those that are not done with.
    pub(super) fn undone(&self) -> Vec<u64> {
        self.open.iter().filter(|open| !open.done).map(|open| open.position).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Watermark;

    #[test]
    fn a_commit_waits_for_those_before_it() {
        let mut marks = Watermark::default();
        [3, 4, 8].into_iter().for_each(|position| marks.begin(position, ()));
        assert_eq!(marks.done(8), None);
        assert_eq!((marks.done(3), marks.undone()), (Some(3), vec![4]));
        assert_eq!(marks.done(5), None); // never received
        assert_eq!((marks.done(4), marks.undone()), (Some(8), vec![]));
    }
}
