//! Numbered places with reuse: adding and removing cost the same however many there are.

/// A vector with holes that are filled again.
pub(super) struct Slots<T> {
    items: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Slots { items: Vec::new(), free: Vec::new() }
    }

    pub(super) fn add(&mut self, item: T) -> usize {
        match self.free.pop() {
            Some(i) => {
                self.items[i] = Some(item);
                i
            }
            None => {
                self.items.push(Some(item));
                self.items.len() - 1
            }
        }
    }

    /// The place that the next `add` will use.
    pub(super) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.items.len())
    }

    /// Replaces the item in a place that is in use.
    pub(super) fn put(&mut self, i: usize, item: T) {
        if let Some(place) = self.items.get_mut(i) {
            *place = Some(item);
        }
    }

    /// Takes an item out; `None` if all were taken before.
    pub(super) fn remove(&mut self, i: usize) -> Option<T> {
        let item = self.items.get_mut(i)?.take()?;
        self.free.push(i);
        Some(item)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Takes everything, in the order of the numbers. Later removals find nothing.
    pub(super) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.free = Vec::new();
        std::mem::take(&mut self.items).into_iter().flatten()
    }
}
