//! A cancel while what stands before an operator waits, and while what stands after it does.

use super::{cancelled_while_it_waits, feed, table, watched};
use ironsys::channel;
use ironsys::flow::{Count, Flow, Monitor, Par, Window, on_error};

macro_rules! upstream {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a cancel before ", stringify!($name)), || {
                cancelled_while_it_waits(|ctx, inside, waits| {
                    let $flow = feed(inside, waits);
                    $op.for_each(ctx, |_| { let _here = inside.enter(); })
                });
            });
        }
    )* }
}

macro_rules! downstream {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a cancel after ", stringify!($name)), || {
                cancelled_while_it_waits(|ctx, inside, waits| {
                    let (silent, _unheard) = std::sync::mpsc::channel();
                    let $flow = feed(inside, &silent);
                    $op.for_each(ctx, |_| {
                        let _here = inside.enter();
                        let _ = waits.send(());
                        ctx.wait_stopped();
                    })
                });
            });
        }
    )* }
}

/// The same behind a boundary, so that the sink's thread waits for a link and not in user code.
macro_rules! between {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a cancel around ", stringify!($name)), || {
                cancelled_while_it_waits(|ctx, inside, waits| {
                    let $flow = feed(inside, waits).buffer(1);
                    $op.buffer(1).for_each(ctx, |_| { let _here = inside.enter(); })
                });
            });
        }
    )* }
}

/// What stands before waits to be stopped.
mod before {
    use super::*;
    table::operators!(upstream);
    mod boundary {
        use super::*;
        table::boundaries!(upstream);
    }
}

/// What stands after waits to be stopped, and nothing more is taken.
mod after {
    use super::*;
    table::operators!(downstream);
    mod boundary {
        use super::*;
        table::boundaries!(downstream);
    }
}

mod around {
    use super::*;
    table::operators!(between);
    mod boundary {
        use super::*;
        table::boundaries!(between);
    }
}
