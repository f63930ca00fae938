//! The ids of the last messages, to know one that comes again.

use std::collections::{HashSet, VecDeque};

/// The ids seen last.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    order: VecDeque<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
}

impl Window {
    /// Remembers `size` ids; 0 remembers nothing.
    pub(super) fn new(size: usize) -> Self {
        Window { size, order: VecDeque::new(), seen: HashSet::new() }
    }

    /// Notes an id; `false` if it was seen before.
    pub(super) fn is_new(&mut self, id: &[u8]) -> bool {
        if self.size == 0 {
            return true;
        }
        if !self.seen.insert(id.to_vec()) {
            return false;
        }
        self.order.push_back(id.to_vec());
        if self.order.len() > self.size
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut window = Window::new(2);
        assert!(window.is_new(b"a") && window.is_new(b"b") && !window.is_new(b"a"));
        assert!(window.is_new(b"c") && window.is_new(b"a") && !window.is_new(b"c"));
        let mut none = Window::new(0);
        assert!(none.is_new(b"a") && none.is_new(b"a"));
    }
}
