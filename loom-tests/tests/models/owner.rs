//! Owners: a call is run by the thread or given up by its caller, never both, never neither.

use crate::{Count, SOON, join, model, spawn, timed};
use ironsys::Context;
use ironsys::owner::{CallError, IntoInnerError, OnPanic, Owner};
use ironsys::sync::InjectedPanic;
use ironsys::testing::Model;

fn owner(queue: usize) -> Owner<Count> {
    Owner::builder("o").queue(queue).start(|_| Count::default()).expect("there are threads")
}

/// A tell, a call behind it, and the value at the end.
#[test]
fn call_vs_end() {
    model("owner::call_vs_end", || {
        let (ctx, _cancel) = Context::root();
        let owner = owner(1);
        owner.tell(&ctx, |n| n.add(1)).expect("open");
        assert_eq!(owner.call(&ctx, |n| n.get()).expect("open"), 1);
        let caller = owner.caller();
        assert_eq!(owner.into_inner(&ctx).expect("nothing panics").get(), 1);
        let ledger = caller.stats().ledger;
        assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
    });
}

/// A call is cancelled as its turn comes.
#[test]
fn call_vs_cancel() {
    Model::new("owner::call_vs_cancel").check(|| {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let owner = owner(1);
        let canceller = spawn(move || cancel.cancel());
        let out = owner.call(&child, |n| n.add(1));
        join(canceller);
        let ran = owner.into_inner(&ctx).expect("nothing panics").get();
        match out {
            Ok(()) | Err(CallError::Abandoned(_)) => assert_eq!(ran, 1),
            Err(e) => assert_eq!((ran, e.into_call().is_some()), (0, true)),
        }
    });
}

/// The same with a deadline.
#[test]
fn call_vs_deadline() {
    timed("owner::call_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let owner = owner(1);
        let out = owner.call(&ctx.with_timeout(SOON), |n| n.add(1));
        let ran = owner.into_inner(&ctx).expect("nothing panics").get();
        match out {
            Ok(()) | Err(CallError::Abandoned(_)) => assert_eq!(ran, 1),
            Err(e) => assert!(ran == 0 && e.has_not_happened()),
        }
    });
}

/// Somebody calls while the owner is dropped: he has his answer, or his closure.
#[test]
fn call_vs_drop() {
    Model::new("owner::call_vs_drop").check(|| {
        let (ctx, _cancel) = Context::root();
        let (owner, ran) = (owner(1), Count::default());
        let user = spawn({
            let (caller, ran) = (owner.caller(), ran.clone());
            move || match caller.call(&ctx, move |_| ran.add(1)) {
                Ok(()) => 1,
                Err(e) => {
                    assert!(e.is_closed());
                    0
                }
            }
        });
        let caller = owner.caller();
        drop(owner);
        assert_eq!(join(user), ran.get());
        let ledger = caller.stats().ledger;
        assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
    });
}

/// A call panics and closes the owner while another waits for its turn.
#[test]
fn panic_vs_call() {
    Model::new("owner::panic_vs_call").check(|| {
        let (ctx, _cancel) = Context::root();
        let owner = Owner::builder("o").queue(1).on_panic(OnPanic::Close).start(|_| ());
        let owner = owner.expect("there are threads");
        let user = spawn({
            let (ctx, caller) = (ctx.clone(), owner.caller());
            move || caller.call(&ctx, |()| ()).is_ok()
        });
        let boom = |_: &mut ()| std::panic::resume_unwind(Box::new(InjectedPanic));
        let e = owner.call(&ctx, boom).expect_err("it panics");
        assert!(e.panicked().is_some());
        let ran = join(user);
        let caller = owner.caller();
        assert!(matches!(owner.into_inner(&ctx), Err(IntoInnerError::Gone(_))));
        let ledger = caller.stats().ledger;
        assert!(ledger.is_balanced() && ledger.done == u64::from(ran), "{ledger}");
    });
}

/// The value is asked for, out of time.
#[test]
fn into_inner_vs_deadline() {
    timed("owner::into_inner_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let owner = owner(1);
        owner.tell(&ctx, |n| n.add(1)).expect("open");
        match owner.into_inner(&ctx.with_timeout(SOON)) {
            Ok(n) => assert_eq!(n.get(), 1),
            Err(e) => assert!(matches!(e, IntoInnerError::Stopped(_))),
        }
    });
}

/// Closing is waited for by two, one of whom gives up.
#[test]
fn close_vs_cancel() {
    model("owner::close_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let owner = owner(1);
        let canceller = spawn(move || cancel.cancel());
        let _ = owner.close(&child);
        owner.close(&ctx).expect("nobody cancels");
        join(canceller);
        assert!(owner.is_closed());
    });
}
