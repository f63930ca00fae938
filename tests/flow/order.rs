//! What comes out, and in which order.

use crate::root;
use ironsys::flow::{Flow, FlowError, Never, Stage};
use std::sync::atomic::{AtomicU64, Ordering};

type Plain = Result<(), FlowError<Never>>;

#[test]
fn a_chain_of_links_keeps_the_order() -> Plain {
    let (ctx, _cancel) = root();
    for capacity in [0, 1, 2, 7, 64, 1000, usize::MAX] {
        let out: Vec<u64> = Flow::range(0..1000)
            .map(|n| n + 1)
            .buffer(capacity)
            .filter(|n| n % 2 == 0)
            .buffer(capacity)
            .map(|n| n * 10)
            .collect(&ctx)?;
        let expected: Vec<u64> = (1..=1000).filter(|n| n % 2 == 0).map(|n| n * 10).collect();
        assert_eq!(out, expected, "capacity {capacity}");
    }
    Ok(())
}

#[test]
fn an_opaque_source_keeps_the_order() -> Plain {
    let (ctx, _cancel) = root();
    let out: Vec<u64> = Flow::of(0..5000).buffer(16).collect(&ctx)?;
    assert_eq!(out, (0..5000).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn nothing_runs_before_the_sink() -> Plain {
    let (ctx, _cancel) = root();
    let ran = AtomicU64::new(0);
    let source = std::iter::from_fn(|| {
        ran.fetch_add(1, Ordering::SeqCst);
        None::<u64>
    });
    let flow = Flow::of(source).inspect(|_| ()).buffer(4);
    let plan = flow.explain().to_string();
    assert!(plan.contains("buffer(4)"), "{plan}");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert_eq!(flow.count(&ctx)?, 0);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    Ok(())
}

fn evens(to: u64) -> Flow<impl Stage<Item = u64, Fault = Never>> {
    Flow::range(0..to).filter(|n| n % 2 == 0)
}

#[test]
fn a_function_returns_a_flow() -> Plain {
    let (ctx, _cancel) = root();
    assert_eq!(evens(10).buffer(2).count(&ctx)?, 5);
    Ok(())
}

#[test]
fn closures_and_items_borrow_from_the_stack() -> Plain {
    let (ctx, _cancel) = root();
    let words = vec!["a".to_string(), "bb".to_string(), "ccc".to_string()];
    let mut seen = Vec::new();
    let offset = 10;
    let longest = Flow::slice(&words)
        .inspect(|word| seen.push(word.as_str()))
        .buffer(1)
        .map(|word| (word.len() + offset, word))
        .buffer(1)
        .max(&ctx)?;
    assert_eq!(longest, Some((13, &words[2])));
    assert_eq!(seen, ["a", "bb", "ccc"]);
    Ok(())
}

#[test]
fn a_merge_has_everything_and_each_side_in_order() -> Plain {
    let (ctx, _cancel) = root();
    let odd = Flow::range(0..1000u64).map(|n| n * 2 + 1);
    let even = Flow::range(0..1000u64).map(|n| n * 2);
    let all: Vec<u64> = odd.merge(even).collect(&ctx)?;
    assert_eq!(all.len(), 2000);
    for rest in 0..2 {
        let side: Vec<u64> = all.iter().copied().filter(|n| n % 2 == rest).collect();
        assert!(side.is_sorted() && side.len() == 1000);
    }
    Ok(())
}
