//! Computing in chunks. A model runs them on one thread; what races is the stop.

use crate::{join, model, spawn};
use ironsys::Context;
use ironsys::cpu::{self, CpuError};
use ironsys::sync::InjectedPanic;

/// Stopped between two chunks, or all done: nothing in between comes out.
#[test]
fn map_vs_cancel() {
    model("cpu::map_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        match cpu::map(&ctx, [1, 2], |n| n * 10) {
            Ok(all) => assert_eq!(all, [10, 20]),
            Err(e) => assert!(matches!(e, CpuError::Stopped(_)), "{e}"),
        }
        join(canceller);
    });
}

/// A single piece of work, run or not.
#[test]
fn run_vs_cancel() {
    model("cpu::run_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        match cpu::run(&ctx, || 7) {
            Ok(n) => assert_eq!(n, 7),
            Err(e) => assert!(matches!(e, CpuError::Stopped(_)), "{e}"),
        }
        join(canceller);
    });
}

/// A panic comes back as a value, unless the stop came first.
#[test]
fn panic_vs_cancel() {
    model("cpu::panic_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        let out = cpu::map(&ctx, [1, 2], |n| {
            if n == 1 {
                std::panic::resume_unwind(Box::new(InjectedPanic));
            }
            n
        });
        assert!(out.is_err());
        join(canceller);
    });
}
