//! A queue that is mostly empty: one place of its own, and memory only for the second message.

use std::collections::VecDeque;

pub(super) struct Fifo<M> {
    /// The oldest. Empty only if `rest` is.
    first: Option<M>,
    rest: VecDeque<M>,
}

/// More room than this is given back when the queue is empty.
const KEPT: usize = 16;

impl<M> Fifo<M> {
    pub(super) fn new() -> Self {
        Fifo { first: None, rest: VecDeque::new() }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(super) fn push_back(&mut self, msg: M) {
        if self.first.is_none() {
            self.first = Some(msg);
        } else {
            self.rest.push_back(msg);
        }
    }

    pub(super) fn push_front(&mut self, msg: M) {
        if let Some(second) = self.first.replace(msg) {
            self.rest.push_front(second);
        }
    }

    /// Takes out the message at `i`.
    pub(super) fn remove(&mut self, i: usize) -> Option<M> {
        if i > 0 {
            return self.rest.remove(i - 1);
        }
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }

    /// Moves the first `n` messages, or all, to the end of `into`.
    #[inline]
    pub(super) fn take(&mut self, n: usize, into: &mut VecDeque<M>) {
        if n == 0 {
            return;
        }
        into.extend(self.first.take());
        let more = self.rest.len().min(n - 1);
        into.extend(self.rest.drain(..more));
        self.first = self.rest.pop_front();
        if self.rest.is_empty() && self.rest.capacity() > KEPT {
            self.rest = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_first_in_first_out_over_every_seam() {
        let (mut fifo, mut model) = (Fifo::new(), VecDeque::new());
        let mut out = VecDeque::new();
        for n in 0..200_u32 {
            match n % 7 {
                3 => {
                    out.clear();
                    fifo.take(n as usize % 4, &mut out);
                    let m = model.len().min(n as usize % 4);
                    assert!(out.iter().eq(model.drain(..m).collect::<Vec<_>>().iter()));
                }
                5 => {
                    fifo.push_front(n);
                    model.push_front(n);
                }
                6 => {
                    let i = n as usize % 3;
                    assert_eq!(fifo.remove(i), model.remove(i));
                }
                _ => {
                    fifo.push_back(n);
                    model.push_back(n);
                }
            }
            assert_eq!((fifo.len(), fifo.is_empty()), (model.len(), model.is_empty()));
        }
        out.clear();
        fifo.take(usize::MAX, &mut out);
        assert_eq!(out, model);
    }
}
