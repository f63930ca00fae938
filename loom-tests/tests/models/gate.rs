//! Borrowed work lent to threads that may come late: the crate's one unsafe file.

use crate::{join, join_all, model, spawn};
use ironsys::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering};
use ironsys::testing::inner::Gate;

/// A thread that comes when the gate is shut touches nothing.
#[test]
fn gate_late_runner() {
    model("gate::gate_late_runner", || {
        let gone = Arc::new(AtomicBool::new(false));
        let runs = AtomicUsize::new(0);
        let work = || {
            assert!(!gone.load(Ordering::Relaxed), "the work ran after its frame had gone");
            runs.fetch_add(1, Ordering::Relaxed);
        };
        let late = Gate::open(&work, |gate| {
            let gate = gate.clone();
            spawn(move || gate.enter())
        });
        gone.store(true, Ordering::Relaxed);
        let before = runs.load(Ordering::Relaxed);
        join(late);
        assert_eq!(runs.load(Ordering::Relaxed), before);
    });
}

/// The gate opens to two; its owner goes on when the last of them is out.
#[test]
fn gate_waits_for_runner() {
    model("gate::gate_waits_for_runner", || {
        let inside = Mutex::new((0, 0));
        let work = || {
            inside.lock().0 += 1;
            inside.lock().1 += 1;
        };
        let runners = Gate::open(&work, |gate| {
            let runners = [gate.clone(), gate.clone()].map(|gate| spawn(move || gate.enter()));
            gate.enter();
            runners
        });
        let (came, left) = *inside.lock();
        assert_eq!(came, left, "somebody was still inside");
        assert!(came >= 1);
        join_all(runners);
    });
}
