//! The atomics of the real build: those of std.

use super::point;
use std::sync::atomic::Ordering;

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// The atomic of the same name in `std`, on the seam.
        #[derive(Debug, Default)]
        pub struct $name(std::sync::atomic::$name);

        impl $name {
            /// Makes an atomic holding `value`.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// assert_eq!(AtomicUsize::new(7).into_inner(), 7);
            /// ```
            #[inline]
            pub fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            /// Takes the value out.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// assert!(AtomicBool::new(true).into_inner());
            /// ```
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            /// Reads the value.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// assert_eq!(AtomicU64::new(7).load(Ordering::Acquire), 7);
            /// ```
            #[inline]
            pub fn load(&self, order: Ordering) -> $value {
                point();
                self.0.load(order)
            }

            /// Writes the value.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// let open = AtomicBool::new(true);
            /// open.store(false, Ordering::Release);
            /// assert!(!open.load(Ordering::Acquire));
            /// ```
            #[inline]
            pub fn store(&self, value: $value, order: Ordering) {
                point();
                self.0.store(value, order);
            }

            /// Writes the value and returns the old one.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// let is_told = AtomicBool::new(false);
            /// assert!(!is_told.swap(true, Ordering::AcqRel)); // the first
            /// ```
            #[inline]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.swap(value, order)
            }

            /// Writes `new` if the value is `current`; returns the old value either way.
            ///
            /// # Errors
            /// The value found, if it was another.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// let owner = AtomicUsize::new(0);
            /// let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            /// assert_eq!(owner.compare_exchange(0, 7, ok, err), Ok(0));
            /// assert_eq!(owner.compare_exchange(0, 8, ok, err), Err(7));
            /// ```
            #[inline]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                point();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}
atomic!(AtomicBool, bool);
atomic!(AtomicUsize, usize);
atomic!(AtomicU64, u64);

macro_rules! arithmetic {
    ($name:ident, $value:ty) => {
        impl $name {
            /// Adds, wrapping around, and returns the old value.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// assert_eq!(AtomicU64::new(7).fetch_add(1, Ordering::Relaxed), 7);
            /// ```
            #[inline]
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_add(value, order)
            }

            /// Subtracts, wrapping around, and returns the old value.
            ///
            /// ```
            /// # use ironsys::sync::*;
            /// assert_eq!(AtomicU64::new(7).fetch_sub(1, Ordering::Relaxed), 7);
            /// ```
            #[inline]
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_sub(value, order)
            }
        }
    };
}
arithmetic!(AtomicUsize, usize);
arithmetic!(AtomicU64, u64);
