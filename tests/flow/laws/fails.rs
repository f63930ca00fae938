//! An error and a panic in what stands before an operator: they come through it with the name of the
//! stage and the number of the item, and everybody else is stopped.

use super::{table, watched};
use crate::{root, throw};
use ironsys::channel;
use ironsys::flow::{Count, Flow, Monitor, Par, Window, on_error};

/// The item that is bad.
const BAD: u32 = 70;

macro_rules! error_before {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: an error before ", stringify!($name)), || {
                let (ctx, _cancel) = root();
                let bad = |n| if n == BAD { Err("bad") } else { Ok(n) };
                let $flow = Flow::of(0u32..).try_map(bad).named("source");
                let error = $op.count(&ctx).unwrap_err();
                assert_eq!(error.error(), Some(&"bad"), "{error:?}");
                assert_eq!((error.stage(), error.item()), ("source", Some(BAD.into())));
                assert_eq!(ctx.linked(), (0, 0));
                assert!(ctx.check().is_ok(), "a run stops itself, not its caller");
            });
        }
    )* }
}

macro_rules! panic_before {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a panic before ", stringify!($name)), || {
                let (ctx, _cancel) = root();
                let bad = |n| if n == BAD { throw("bad") } else { Ok::<u32, &'static str>(n) };
                let $flow = Flow::of(0u32..).try_map(bad).named("source");
                let error = $op.count(&ctx).unwrap_err();
                assert!(error.panicked().is_some(), "{error:?}");
                assert_eq!((error.stage(), error.item()), ("source", Some(BAD.into())));
                assert_eq!(ctx.linked(), (0, 0));
            });
        }
    )* }
}

macro_rules! panic_after {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a panic after ", stringify!($name)), || {
                let (ctx, _cancel) = root();
                let (silent, _unheard) = std::sync::mpsc::channel();
                let inside = crate::laws::Inside::default();
                let $flow = crate::laws::feed(&inside, &silent);
                let error = $op.for_each(&ctx, |_| throw("sink")).unwrap_err();
                assert!(error.panicked().is_some(), "{error:?}");
                assert_eq!((error.stage(), error.item()), ("for_each", Some(0)));
                assert_eq!((inside.now(), ctx.linked()), (0, (0, 0)));
            });
        }
    )* }
}

mod error {
    use super::*;
    table::operators!(error_before);
    table::boundaries!(error_before);
}

mod panic {
    use super::*;
    table::operators!(panic_before);
    table::boundaries!(panic_before);
}

/// The sink panics while the source waits to be stopped.
mod sink_panics {
    use super::*;
    table::operators!(panic_after);
    table::boundaries!(panic_after);
}
