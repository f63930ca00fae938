//! Typed values of a context: a list that grows towards the leaves.

use crate::sync::Arc;
use std::any::{Any, TypeId};

pub(super) enum Values {
    /// One value, in front of those of the ancestors.
    One { of: TypeId, value: Box<dyn Any + Send + Sync>, rest: Option<Arc<Values>> },
    /// Two lists after a merge; the first wins.
    Both(Arc<Values>, Arc<Values>),
}

impl Values {
    pub(super) fn push<T: Send + Sync + 'static>(
        rest: Option<Arc<Values>>,
        value: T,
    ) -> Option<Arc<Values>> {
        Some(Arc::new(Values::One { of: TypeId::of::<T>(), value: Box::new(value), rest }))
    }

    pub(super) fn join(
        front: Option<&Arc<Values>>,
        back: Option<&Arc<Values>>,
    ) -> Option<Arc<Values>> {
        match (front, back) {
            (Some(front), Some(back)) => Some(Arc::new(Values::Both(front.clone(), back.clone()))),
            (front, back) => front.or(back).cloned(),
        }
    }

    pub(super) fn find<T: 'static>(list: Option<&Arc<Values>>) -> Option<&T> {
        let mut list = list;
        while let Some(values) = list {
            match &**values {
                Values::One { of, value, .. } if *of == TypeId::of::<T>() => {
                    return value.downcast_ref();
                }
                Values::One { rest, .. } => list = rest.as_ref(),
                Values::Both(front, back) => {
                    return Values::find(Some(front)).or_else(|| Values::find(Some(back)));
                }
            }
        }
        None
    }
}
