//! Single owners.

use crate::{root, throw, until};
use ironsys::owner::{CallError, IntoInnerError, OnPanic, Owner, TellError};
use ironsys::{Context, Stop};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

/// An owner in the middle of a call, and what lets it go on.
fn stuck(owner: &Owner<Vec<u32>>, ctx: &Context) -> mpsc::Sender<()> {
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    owner
        .tell(ctx, move |list| {
            list.push(0);
            begun.send(()).unwrap();
            let _ = gate.recv();
        })
        .unwrap();
    has_begun.recv().unwrap();
    open
}

fn list(queue: usize) -> Owner<Vec<u32>> {
    Owner::builder("list").queue(queue).start(|_| Vec::new()).unwrap()
}

#[test]
fn the_value_is_made_used_and_dropped_on_one_thread() {
    struct Local(Rc<Cell<u32>>, Arc<Mutex<Vec<ThreadId>>>);
    impl Drop for Local {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(std::thread::current().id());
        }
    }
    let (ctx, _cancel) = root();
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = ids.clone();
    let owner = Owner::start("local", move |_| {
        seen.lock().unwrap().push(std::thread::current().id());
        Local(Rc::new(Cell::new(1)), seen)
    })
    .unwrap();
    let id = owner.call(&ctx, |local| {
        local.0.set(local.0.get() + 1);
        (local.0.get(), std::thread::current().id())
    });
    let (n, id) = id.unwrap();
    owner.close(&ctx).unwrap();
    assert_eq!((n, ids.lock().unwrap().clone()), (2, vec![id, id]));
    assert_ne!(id, std::thread::current().id());
}

#[test]
fn calls_of_each_caller_come_in_order_and_all_of_them() {
    let (ctx, _cancel) = root();
    let owner = list(3);
    std::thread::scope(|s| {
        for me in 0..4_u32 {
            let (caller, ctx) = (owner.caller(), &ctx);
            s.spawn(move || {
                for i in 0..200 {
                    if i % 2 == 0 {
                        caller.tell(ctx, move |list| list.push(me * 1000 + i)).unwrap();
                    } else {
                        caller.call(ctx, move |list| list.push(me * 1000 + i)).unwrap();
                    }
                }
            });
        }
    });
    let caller = owner.caller();
    let all = owner.into_inner(&ctx).unwrap();
    for me in 0..4 {
        assert!(all.iter().filter(|n| **n / 1000 == me).map(|n| n % 1000).eq(0..200));
    }
    let ledger = caller.stats().ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
    assert!(caller.is_closed() && caller.call(&ctx, |_| ()).unwrap_err().is_closed());
}

#[test]
fn a_call_that_is_cut_short_before_its_turn_does_not_happen() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let open = stuck(&owner, &ctx);
    let (child, cancel) = ctx.with_cancel();
    std::thread::scope(|s| {
        let caller = s.spawn(|| owner.call(&child, |list| list.push(1)).unwrap_err());
        until(|| owner.stats().queue.depth == 1);
        cancel.cancel();
        let e = caller.join().unwrap();
        assert!(e.has_not_happened() && e.stop().is_some());
        let again = e.into_call().unwrap();
        owner.tell(&ctx, again).unwrap();
    });
    drop(open);
    let caller = owner.caller();
    assert_eq!(owner.into_inner(&ctx).unwrap(), [0, 1]);
    assert_eq!((caller.stats().ledger.cancelled, caller.stats().ledger.is_balanced()), (1, true));
}

#[test]
fn a_call_that_is_cut_short_while_it_runs_is_abandoned_and_ends() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let (child, cancel) = ctx.with_cancel();
    std::thread::scope(|s| {
        let caller = s.spawn(|| {
            owner.call(&child, move |list| {
                begun.send(()).unwrap();
                let _ = gate.recv();
                list.push(7);
            })
        });
        has_begun.recv().unwrap();
        cancel.cancel();
        let e = caller.join().unwrap().unwrap_err();
        assert!(matches!(e, CallError::Abandoned(Stop::Cancelled(_))) && !e.has_not_happened());
    });
    drop(open);
    assert_eq!(owner.into_inner(&ctx).unwrap(), [7]);
}

#[test]
fn the_queue_is_bounded_and_what_is_refused_comes_back() {
    let (ctx, _cancel) = root();
    let owner = list(1);
    let open = stuck(&owner, &ctx);
    owner.tell(&ctx, |list| list.push(1)).unwrap();
    let e = owner.try_tell(|list| list.push(2)).unwrap_err();
    assert!(e.is_full());
    let short = ctx.with_timeout(Duration::ZERO);
    let e = owner.tell(&short, e.into_call()).unwrap_err();
    assert!(matches!(e, TellError::Stopped { .. }));
    drop(open);
    owner.tell(&ctx, e.into_call()).unwrap();
    assert_eq!(owner.into_inner(&ctx).unwrap(), [0, 1, 2]);
}

#[test]
fn a_panic_is_told_to_the_caller_and_closes_the_owner() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let e = owner.call(&ctx, |_| throw("bad call")).unwrap_err();
    assert_eq!(e.panicked().map(|p| (p.message(), p.task())), Some(("bad call", "list")));
    until(|| owner.is_closed());
    assert!(owner.call(&ctx, |list| list.push(1)).unwrap_err().is_closed());
    assert_eq!(owner.stats().ledger.failed, 1);
    assert!(matches!(owner.into_inner(&ctx).unwrap_err(), IntoInnerError::Gone(_)));
}

#[test]
fn a_panic_refuses_what_is_queued_behind_it() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let open = stuck(&owner, &ctx);
    owner.tell(&ctx, |_| throw("bad tell")).unwrap();
    std::thread::scope(|s| {
        let late = s.spawn(|| owner.call(&ctx, |list| list.push(9)).unwrap_err());
        until(|| owner.stats().queue.depth == 2);
        drop(open);
        assert!(late.join().unwrap().is_closed());
    });
    owner.close(&ctx).unwrap();
    let ledger = owner.stats().ledger;
    assert!(ledger.is_balanced(), "{ledger}");
    assert_eq!((ledger.done, ledger.failed, ledger.dropped), (1, 1, 1));
}

#[test]
fn an_owner_that_is_to_keep_its_value_does() {
    let (ctx, _cancel) = root();
    let owner = Owner::builder("kept").on_panic(OnPanic::Keep).start(|_| 1).unwrap();
    assert!(owner.call(&ctx, |_| throw("never mind")).unwrap_err().panicked().is_some());
    assert_eq!(owner.call(&ctx, |n| *n).unwrap(), 1);
}

#[test]
fn an_init_that_panics_refuses_every_call_and_says_why() {
    let (ctx, _cancel) = root();
    let owner = Owner::start("broken", |_| -> u32 { throw("no such port") }).unwrap();
    assert!(owner.call(&ctx, |n| *n).unwrap_err().is_closed());
    let IntoInnerError::Gone(why) = owner.into_inner(&ctx).unwrap_err() else { panic!() };
    assert!(why.contains("no such port"), "{why}");
}

#[test]
fn its_own_calls_do_not_wait_for_themselves() {
    let (ctx, _cancel) = root();
    let owner = list(1);
    let (caller, inner) = (owner.caller(), ctx.clone());
    let out = owner.call(&ctx, move |_| {
        let call = caller.call(&inner, |list| list.push(1)).unwrap_err();
        let told = caller.tell(&inner, |list| list.push(2)).is_ok();
        let full = caller.tell(&inner, |list| list.push(3)).unwrap_err();
        (
            matches!(call, CallError::WouldDeadlock(_)),
            told,
            matches!(full, TellError::WouldDeadlock(_)),
        )
    });
    assert_eq!(out.unwrap(), (true, true, true));
    assert_eq!(owner.into_inner(&ctx).unwrap(), [2]);
}

#[test]
fn dropping_finishes_the_call_under_way_and_refuses_the_rest() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let open = stuck(&owner, &ctx);
    let caller = owner.caller();
    std::thread::scope(|s| {
        let late = s.spawn(|| caller.call(&ctx, |list| list.push(1)));
        until(|| caller.stats().queue.depth == 1);
        let dropper = s.spawn(|| drop(owner));
        until(|| caller.is_closed());
        drop(open);
        dropper.join().unwrap();
        // Refused, unless the thread was faster than the cancel.
        if let Err(e) = late.join().unwrap() {
            assert!(e.is_closed());
        }
    });
    let ledger = caller.stats().ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
}

#[test]
fn into_inner_out_of_time_drops_the_value() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let open = stuck(&owner, &ctx);
    drop(open);
    let e = owner.into_inner(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
    assert!(matches!(e, IntoInnerError::Stopped(Stop::DeadlineExceeded)));
}

#[test]
fn a_close_that_is_cut_short_can_be_made_again() {
    let (ctx, _cancel) = root();
    let owner = list(4);
    let open = stuck(&owner, &ctx);
    owner.tell(&ctx, |list| list.push(1)).unwrap();
    assert!(owner.close(&ctx.with_timeout(Duration::ZERO)).is_err());
    assert!(owner.tell(&ctx, |_| ()).unwrap_err().is_closed());
    drop(open);
    owner.close(&ctx).unwrap();
    owner.close(&ctx).unwrap();
    assert_eq!(owner.stats().ledger.done, 2);
}

#[test]
fn a_value_whose_drop_panics_harms_nobody() {
    struct Bomb(#[expect(dead_code, reason = "so that it is not Send")] RefCell<Rc<()>>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            throw("drop");
        }
    }
    let (ctx, _cancel) = root();
    let owner = Owner::start("bomb", |_| Bomb(RefCell::default())).unwrap();
    owner.close(&ctx).unwrap();
    assert_eq!(Owner::builder("a\0b").start(|_| ()).unwrap_err().field(), "name");
}

/// Its drop panics, without a word.
struct Spiteful;

impl Drop for Spiteful {
    fn drop(&mut self) {
        throw("spite");
    }
}

#[test]
fn a_panic_with_a_payload_whose_drop_panics_is_one_failure() {
    let (ctx, _cancel) = root();
    let owner = Owner::builder("o").on_panic(OnPanic::Keep).start(|_| 5).unwrap();
    owner.tell(&ctx, |_| std::panic::resume_unwind(Box::new(Spiteful))).unwrap();
    assert_eq!(owner.call(&ctx, |n| *n).unwrap(), 5);
    let ledger = owner.stats().ledger;
    assert_eq!((ledger.failed, ledger.accepted), (1, 2));
}

#[test]
fn an_owner_ended_by_its_own_call_does_not_wait_for_itself() {
    let (ctx, _cancel) = root();
    let owner = Arc::new(Owner::start("o", |_| 5).unwrap());
    let (mine, under) = (owner.clone(), ctx.clone());
    assert_eq!(owner.call(&ctx, move |_| mine.close(&under)).unwrap(), Ok(()));
    owner.close(&ctx).unwrap();

    let owner = Owner::start("o", |_| 5).unwrap();
    let (caller, under) = (owner.caller(), ctx.clone());
    let out = caller.call(&ctx, move |_| owner.into_inner(&under)).unwrap();
    assert!(matches!(out, Err(IntoInnerError::Gone(_))), "{out:?}");
}
