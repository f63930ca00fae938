//! The models of the memo. `RUSTFLAGS="--cfg loom" cargo test -p downstream --profile loom` proves
//! them, `cargo test -p downstream` runs them on real threads.

use downstream::Memo;
use ironsys::sync::thread::{self, JoinHandle};
use ironsys::sync::{Arc, AtomicUsize, Ordering};
use ironsys::testing::{Model, model};
use ironsys::{Context, Stop};
use std::time::Duration;

#[derive(Debug, PartialEq)]
enum Failed {
    Unlucky,
    Stopped(Stop),
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Self {
        Failed::Stopped(stop)
    }
}

fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn("caller", f).expect("the system has a thread left")
}

/// Two callers of one key at once: one computes, both get the value.
#[test]
fn two_callers_compute_once() {
    Model::new("two_callers_compute_once").bound(3).check(|| {
        let (ctx, _cancel) = Context::root();
        let (memo, computed) = (Arc::new(Memo::new()), Arc::new(AtomicUsize::new(0)));
        let get = {
            let (memo, computed) = (memo.clone(), computed.clone());
            move |ctx: &Context| {
                memo.get_or_compute(ctx, &"key", |_| {
                    computed.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Failed>(7)
                })
            }
        };
        let other = spawn({
            let (ctx, get) = (ctx.clone(), get.clone());
            move || get(&ctx)
        });
        assert_eq!(get(&ctx), Ok(7));
        assert_eq!(other.join().unwrap(), Ok(7));
        assert_eq!(computed.load(Ordering::Relaxed), 1);
    });
}

/// The first computation fails: the other caller, if it waited, computes itself.
#[test]
fn a_failure_is_not_shared() {
    model("a_failure_is_not_shared", || {
        let (ctx, _cancel) = Context::root();
        let memo = Arc::new(Memo::new());
        let unlucky = spawn({
            let (ctx, memo) = (ctx.clone(), memo.clone());
            move || memo.get_or_compute(&ctx, &1, |_| Err(Failed::Unlucky))
        });
        assert_eq!(memo.get_or_compute(&ctx, &1, |_| Ok::<_, Failed>(7)), Ok(7));
        let other = unlucky.join().unwrap();
        assert!(matches!(other, Ok(7) | Err(Failed::Unlucky)), "{other:?}");
    });
}

/// A caller that waits and is cancelled gives up; the one that computes is not disturbed.
#[test]
fn a_waiting_caller_can_be_cancelled() {
    model("a_waiting_caller_can_be_cancelled", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let memo = Arc::new(Memo::new());
        let canceller = spawn(move || cancel.cancel());
        let computing = spawn({
            let (ctx, memo) = (ctx.clone(), memo.clone());
            move || memo.get_or_compute(&ctx, &1, |_| Ok::<_, Failed>(7))
        });
        let mine = memo.get_or_compute(&child, &1, |_| Ok::<_, Failed>(7));
        assert!(matches!(mine, Ok(7) | Err(Failed::Stopped(_))), "{mine:?}");
        assert_eq!(computing.join().unwrap(), Ok(7));
        canceller.join().unwrap();
    });
}

/// The same with a deadline, early and late.
#[test]
fn a_waiting_caller_has_a_deadline() {
    Model::new("a_waiting_caller_has_a_deadline").choices(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(Duration::from_millis(1));
        let memo = Arc::new(Memo::new());
        let computing = spawn({
            let memo = memo.clone();
            move || memo.get_or_compute(&ctx, &1, |_| Ok::<_, Failed>(7))
        });
        let mine = memo.get_or_compute(&short, &1, |_| Ok::<_, Failed>(7));
        assert!(matches!(mine, Ok(7) | Err(Failed::Stopped(Stop::DeadlineExceeded))), "{mine:?}");
        assert_eq!(computing.join().unwrap(), Ok(7));
    });
}
