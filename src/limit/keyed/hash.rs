//! A fast hash with a seed.
//!
//! Folded multiplication, as in wyhash and foldhash: the two halves of a 128-bit product, combined. The
//! seed differs from table to table, so that collisions cannot be computed beforehand. Against somebody
//! who can measure our answers to a nanosecond, take std's `RandomState`.

use crate::sync::random_u64;
use std::hash::{BuildHasher, Hasher};

/// The default hash of a [`Keyed`](super::Keyed): fast, and with a random seed.
#[derive(Debug, Clone, Copy)]
pub struct SeededState {
    seed: u64,
    by: u64,
}

impl SeededState {
    /// Makes one with a new seed.
    ///
    /// ```
    /// # use ironsys::limit::SeededState;
    /// # use std::hash::BuildHasher;
    /// let state = SeededState::new();
    /// assert_eq!(state.hash_one("key"), state.hash_one("key"));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        SeededState { seed: random_u64(), by: random_u64() | 1 }
    }
}

impl Default for SeededState {
    fn default() -> Self {
        SeededState::new()
    }
}

impl BuildHasher for SeededState {
    type Hasher = Folding;

    #[inline]
    fn build_hasher(&self) -> Folding {
        Folding { state: self.seed, by: self.by }
    }
}

/// A hash under way. Made by [`SeededState`].
#[derive(Debug, Clone)]
pub struct Folding {
    state: u64,
    by: u64,
}

impl Folding {
    #[inline]
    fn fold(&mut self, word: u64) {
        self.state = folded(self.state ^ word, self.by ^ FIRST);
    }
}

#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Hasher for Folding {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length tells apart what ends in zeros.
        self.fold(u64::from_le_bytes(last) ^ (bytes.len() as u64).rotate_left(56));
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.fold(n.into());
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.fold(n.into());
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.fold(n.into());
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.fold(n);
    }

    #[inline]
    fn write_u128(&mut self, n: u128) {
        self.fold(n as u64);
        self.fold((n >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.fold(n as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        folded(self.state ^ self.by, SECOND)
    }
}

/// Digits of pi, odd.
const FIRST: u64 = 0x243f_6a88_85a3_08d2;
const SECOND: u64 = 0x1319_8a2e_0370_7345;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of many keys that are alike, no shard and no bucket of a table gets much more than its share.
    #[test]
    fn keys_that_are_alike_are_spread() {
        let state = SeededState::new();
        for stride in [1_u64, 8, 1 << 16, 1 << 32, 1 << 40] {
            for shift in [0, 25, 48, 57] {
                let mut counts = [0_u32; 64];
                for i in 0..64 * 256 {
                    counts[(state.hash_one(i * stride) >> shift) as usize % 64] += 1;
                }
                let most = counts.iter().max().copied().unwrap();
                assert!(most < 256 * 2, "{most} of 256: stride {stride}, shift {shift}");
            }
        }
        let names = ["", "\0", "\0\0", "a", "a\0", "abcdefgh", "abcdefgh\0"];
        let hashes: std::collections::HashSet<u64> =
            names.iter().map(|name| state.hash_one(name.as_bytes())).collect();
        assert_eq!(hashes.len(), names.len());
    }
}
