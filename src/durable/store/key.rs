//! How an id becomes a key.

use crate::sync::Arc;

/// An id that can be a key of a [`DiskStore`](super::DiskStore).
///
/// Numbers become big-endian bytes, so that their order is kept; text and bytes are taken as they are.
///
/// ```
/// use ironsys::durable::StoreKey;
/// #[derive(Clone, PartialEq, Eq, Hash, Debug)]
/// struct Board(u32);
/// impl StoreKey for Board {
///     fn store_key(&self) -> Vec<u8> { self.0.store_key() }
/// }
/// assert_eq!(Board(258).store_key(), [0, 0, 1, 2]);
/// assert_eq!("board".to_owned().store_key(), b"board");
/// ```
pub trait StoreKey {
    /// Returns the key. Two ids that differ must have keys that differ, for ever: it is on disk.
    fn store_key(&self) -> Vec<u8>;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl StoreKey for $number {
            fn store_key(&self) -> Vec<u8> {
                self.to_be_bytes().to_vec()
            }
        }
    )*};
}
numbers!(u8 u16 u32 u64 u128);

macro_rules! bytes {
    ($($text:ty)*) => {$(
        impl StoreKey for $text {
            fn store_key(&self) -> Vec<u8> {
                Vec::from(&**self)
            }
        }
    )*};
}
bytes!(String &'static str Arc<str> Vec<u8> Arc<[u8]>);
