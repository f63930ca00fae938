//! Typed values of a context: a list that grows towards the leaves.

use crate::sync::Arc;
use std::any::{Any, TypeId};

/// One value, in front of those of the ancestors; or two lists after a merge, the first of which wins.
pub(super) struct Values {
    value: Option<(TypeId, Box<dyn Any + Send + Sync>)>,
    rest: Option<Arc<Values>>,
    other: Option<Arc<Values>>,
}

impl Values {
    pub(super) fn push<T: Send + Sync + 'static>(
        rest: Option<Arc<Values>>,
        value: T,
    ) -> Option<Arc<Values>> {
        let value: Box<dyn Any + Send + Sync> = Box::new(value);
        Some(Arc::new(Values { value: Some((TypeId::of::<T>(), value)), rest, other: None }))
    }

    pub(super) fn join(
        front: Option<&Arc<Values>>,
        back: Option<&Arc<Values>>,
    ) -> Option<Arc<Values>> {
        match (front, back) {
            // Twice the same list would double the look-up with every merge.
            (Some(front), Some(back)) if !Arc::ptr_eq(front, back) => Some(Arc::new(Values {
                value: None,
                rest: Some(front.clone()),
                other: Some(back.clone()),
            })),
            (front, back) => front.or(back).cloned(),
        }
    }

    pub(super) fn find<T: 'static>(list: Option<&Arc<Values>>) -> Option<&T> {
        let mut next = list;
        let mut others = Vec::new();
        while let Some(values) = next.or_else(|| others.pop()) {
            match &values.value {
                Some((of, value)) if *of == TypeId::of::<T>() => return value.downcast_ref(),
                _ => {}
            }
            next = values.rest.as_ref();
            others.extend(values.other.as_ref());
        }
        None
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // A long list of which we hold the last handle is taken down here, not by recursion.
        let mut next = self.rest.take();
        let mut others: Vec<Arc<Values>> = self.other.take().into_iter().collect();
        while let Some(values) = next.take().or_else(|| others.pop()) {
            if let Some(mut values) = Arc::into_inner(values) {
                next = values.rest.take();
                others.extend(values.other.take());
            }
        }
    }
}
