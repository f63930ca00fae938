//! What can be gathered from many items, in pieces if need be.

/// A value that is gathered from items: by windows, by key, by several threads.
///
/// `merge` puts two parts together, of which `self` saw the earlier items. It has to be associative:
/// gathering all items must give the same as gathering some, gathering the others, and merging.
///
/// ```
/// use ironsys::flow::Aggregate;
///
/// #[derive(Default)]
/// struct Longest(String);
/// impl Aggregate<&str> for Longest {
///     fn add(&mut self, word: &&str) {
///         if word.len() > self.0.len() { self.0 = word.to_string(); }
///     }
///     fn merge(&mut self, later: Self) {
///         self.add(&later.0.as_str());
///     }
/// }
/// let mut longest = Longest::default();
/// longest.add(&"pea");
/// longest.add(&"bean");
/// assert_eq!(longest.0, "bean");
/// ```
pub trait Aggregate<T>: Send {
    /// Takes an item into account.
    fn add(&mut self, item: &T);

    /// Takes into account what `later` has gathered.
    fn merge(&mut self, later: Self);
}

/// How many there were.
///
/// ```
/// use ironsys::flow::{Aggregate, Count};
/// let mut count = Count::default();
/// count.add(&"anything");
/// assert_eq!(count.0, 1);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(pub u64);

impl<T> Aggregate<T> for Count {
    fn add(&mut self, _: &T) {
        self.0 += 1;
    }

    fn merge(&mut self, later: Self) {
        self.0 += later.0;
    }
}

/// The sum of numbers, in a type that holds it. Overflow is the type's: it panics or wraps.
///
/// ```
/// use ironsys::flow::{Aggregate, Sum};
/// let mut bytes = Sum::<u64>::default();
/// bytes.add(&7u32);
/// bytes.add(&5u32);
/// assert_eq!(bytes.0, 12);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sum<N>(pub N);

impl<T, N> Aggregate<T> for Sum<N>
where
    T: Copy + Into<N>,
    N: std::ops::AddAssign + Send,
{
    fn add(&mut self, item: &T) {
        self.0 += (*item).into();
    }

    fn merge(&mut self, later: Self) {
        self.0 += later.0;
    }
}

/// The items themselves, in order.
impl<T: Clone + Send> Aggregate<T> for Vec<T> {
    fn add(&mut self, item: &T) {
        self.push(item.clone());
    }

    fn merge(&mut self, mut later: Self) {
        self.append(&mut later);
    }
}
