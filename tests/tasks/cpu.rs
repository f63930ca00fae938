//! Computing on all cores: order, stops at the edges of chunks, panics as values.

use crate::{Bomb, Counted, ends, reason, root, throw};
use ironsys::Context;
use ironsys::cpu::{self, Cpu, CpuError};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

fn on_both(test: impl Fn(&Cpu, &Context)) {
    let ctx = root().0;
    test(&Cpu::global(), &ctx);
    test(&Cpu::with_threads("own", 2).unwrap(), &ctx);
}

#[test]
fn results_come_in_the_order_of_the_items() {
    on_both(|cpu, ctx| {
        for n in [1, 2, 15, 16, 17, 1000] {
            let doubled = cpu.map(ctx, 0..n, |i| 2 * i).unwrap();
            assert_eq!(doubled, (0..n).map(|i| 2 * i).collect::<Vec<_>>());
        }
    });
}

#[test]
fn nothing_to_do_is_no_failure() {
    on_both(|cpu, ctx| {
        assert!(cpu.map(ctx, 0..0, |i| i).unwrap().is_empty());
        cpu.for_each(ctx, [], |()| ()).unwrap();
    });
}

#[test]
fn items_and_results_may_borrow() {
    on_both(|cpu, ctx| {
        let words = ["a".to_owned(), "bc".to_owned()];
        let lengths = cpu.map(ctx, &words, |w| (w.as_str(), w.len())).unwrap();
        assert_eq!(lengths, [("a", 1), ("bc", 2)]);
        let sum = AtomicUsize::new(0);
        cpu.for_each(ctx, &words, |w| drop(sum.fetch_add(w.len(), SeqCst).to_string())).unwrap();
        assert_eq!(sum.into_inner(), 3);
    });
}

#[test]
fn a_stop_is_noticed_at_the_edge_of_a_chunk() {
    on_both(|cpu, ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        let done = AtomicUsize::new(0);
        let n = 100 * cpu.threads() * 8; // A hundred a chunk.
        let result = cpu.for_each(&ctx, 0..n, |_| {
            if done.fetch_add(1, SeqCst) == 10 {
                cancel.cancel_with("enough");
            }
        });
        let Err(CpuError::Stopped(stop)) = result else { panic!("{result:?}") };
        assert_eq!(reason(&stop), "enough");
        // What each thread had begun, it has finished; no more.
        let done = done.into_inner();
        assert!(done.is_multiple_of(100) && done <= 100 * (cpu.threads() + 1), "{done}");
    });
}

#[test]
fn under_a_stopped_context_nothing_begins() {
    on_both(|cpu, ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        cancel.cancel();
        assert!(cpu.for_each(&ctx, 0..9, |_| unreachable!("it begins")).is_err());
        assert!(cpu.run(&ctx, || unreachable!("it begins")).is_err());
    });
}

#[test]
fn a_panic_is_a_value() {
    on_both(|cpu, ctx| {
        let result = cpu.map(ctx, 0..1000, |i| if i == 500 { throw(i) } else { i });
        let Err(CpuError::Panicked(panicked)) = result else { panic!("no panic") };
        assert!(panicked.task().starts_with("chunk "));
        assert!(panicked.spawned_at().file().ends_with("cpu.rs"));
        assert_eq!(panicked.into_payload().downcast_ref(), Some(&500));
        let Err(CpuError::Panicked(panicked)) = cpu.run(ctx, || throw("run")) else {
            panic!("no panic")
        };
        assert_eq!(panicked.message(), "run");
        assert_eq!(cpu.run(ctx, || 1).unwrap(), 1); // It goes on.
    });
}

#[test]
fn payloads_that_nobody_gets_may_panic_when_dropped() {
    ends(|| {
        on_both(|cpu, ctx| {
            let result = cpu.for_each(ctx, 0..64, |_| throw(Bomb("payload")));
            let Err(CpuError::Panicked(panicked)) = result else { panic!("no panic") };
            std::mem::forget(panicked.into_payload());
        });
    });
}

#[test]
fn a_pool_of_one_s_own_has_its_own_threads() {
    let cpu = Cpu::with_threads("mine", 2).unwrap();
    assert_eq!(cpu.threads(), 2);
    let ctx = root().0;
    let name = cpu.run(&ctx, || thread::current().name().map(str::to_owned)).unwrap();
    assert!(name.unwrap().starts_with("mine-"));
    let name = cpu::run(&ctx, || thread::current().name().map(str::to_owned)).unwrap();
    assert!(!name.is_some_and(|name| name.starts_with("mine-")));
    assert!(cpu::available() >= 1);
}

#[test]
fn computations_nest() {
    on_both(|cpu, ctx| {
        let sums = cpu.map(ctx, 0..20_usize, |n| {
            cpu.map(ctx, 0..n, |i| i).unwrap().into_iter().sum::<usize>()
        });
        assert_eq!(sums.unwrap()[19], 171);
    });
}

#[test]
fn items_and_results_are_dropped_once() {
    on_both(|cpu, ctx| {
        let things = Counted::new();
        for fails in [false, true] {
            let items: Vec<_> = (0..100).map(|i| (i, things.make())).collect();
            let result =
                cpu.map(
                    ctx,
                    items,
                    |(i, _thing)| {
                        if fails && i == 50 { throw(1_u8) } else { things.make() }
                    },
                );
            assert_eq!(result.is_err(), fails);
            drop(result);
            things.all_gone();
        }
    });
}

#[test]
fn misuse_names_the_field() {
    assert_eq!(Cpu::with_threads("own", 0).unwrap_err().field(), "threads");
    assert_eq!(Cpu::with_threads("own", usize::MAX).unwrap_err().field(), "threads");
    assert_eq!(Cpu::with_threads("a\0b", 1).unwrap_err().field(), "name");
}
