//! Windows by the time that items carry, against a sequential model.

use crate::root;
use ironsys::flow::{Flow, Monitor, Pane, Window};
use proptest::prelude::*;
use std::time::Duration;

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

type Panes = Vec<(u64, u64, Vec<u64>)>;

fn run(times: &[u64], window: Window) -> (Panes, u64) {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    let panes = Flow::slice(times)
        .map(|at| *at)
        .window_by(window, |at| s(*at), Vec::new)
        .map(|Pane { start, end, value, .. }| (start.as_secs(), end.as_secs(), value))
        .monitor(&monitor)
        .collect(&ctx)
        .unwrap();
    let skipped = monitor.report().segments.iter().map(|segment| segment.skipped).sum();
    (panes, skipped)
}

/// Every window by itself: which items it takes before it is complete, and when that is.
fn fixed(times: &[u64], size: u64, every: u64, lateness: u64) -> (Panes, u64) {
    let end_of_time = times.len();
    let watermark =
        |i: usize| times[..i].iter().max().map_or(0, |max| max.saturating_sub(lateness));
    let mut panes: Vec<(usize, u64, u64, Vec<u64>)> = Vec::new();
    for start in (0..100).map(|k| k * every) {
        let end = start + size;
        let complete = (0..=times.len()).find(|i| watermark(*i) >= end).unwrap_or(end_of_time + 1);
        let items: Vec<u64> = (0..times.len().min(complete))
            .map(|i| times[i])
            .filter(|at| (start..end).contains(at))
            .collect();
        if !items.is_empty() {
            panes.push((complete, end, start, items));
        }
    }
    panes.sort();
    let late = (0..times.len())
        .filter(|i| {
            let at = times[*i];
            (0..100)
                .map(|k| k * every)
                .any(|start| (start..start + size).contains(&at) && watermark(*i) >= start + size)
        })
        .count();
    (panes.into_iter().map(|(_, end, start, items)| (start, end, items)).collect(), late as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn fixed_windows_are_as_the_model(
        times in prop::collection::vec(0..60u64, 0..30),
        size in 1..20u64,
        every in 1..20u64,
        lateness in 0..30u64,
    ) {
        let window = Window::sliding(s(size), s(every)).unwrap().lateness(s(lateness));
        prop_assert_eq!(run(&times, window), fixed(&times, size, every, lateness));
    }

    /// With room for everything late, sessions are the runs of the sorted times.
    #[test]
    fn sessions_are_as_the_model(times in prop::collection::vec(0..99u64, 0..30), gap in 1..12u64) {
        let window = Window::session(s(gap)).unwrap().lateness(s(1000));
        let (panes, late) = run(&times, window);
        let mut sorted = times.clone();
        sorted.sort();
        let mut expected: Panes = Vec::new();
        for at in sorted {
            match expected.last_mut().filter(|last| at <= last.1) {
                Some(last) => {
                    last.1 = at + gap;
                    last.2.push(at);
                }
                None => expected.push((at, at + gap, vec![at])),
            }
        }
        let panes: Panes = panes
            .into_iter()
            .map(|(start, end, mut items)| {
                items.sort();
                (start, end, items)
            })
            .collect();
        prop_assert_eq!((panes, late), (expected, 0));
    }
}

#[test]
fn a_session_ends_when_nothing_has_come_for_the_gap() {
    let window = Window::session(s(10)).unwrap();
    let (panes, late) = run(&[0, 5, 14, 30, 31, 20], window);
    // 20 comes when everything up to 31 has come, and its session would have ended at 30.
    assert_eq!(panes, [(0, 24, vec![0, 5, 14]), (30, 41, vec![30, 31])]);
    assert_eq!(late, 1);
}

/// An item between two others of an open session is not late, however long the session has been.
#[test]
fn an_open_session_takes_in_what_belongs_to_its_middle() {
    let window = Window::session(s(5)).unwrap();
    let (panes, late) = run(&[5, 10, 15, 8, 4, 30, 16], window);
    // 4 stands before the beginning, by more than may be waited for; 16 comes after the end.
    assert_eq!(panes, [(5, 20, vec![5, 10, 15, 8]), (30, 35, vec![30])]);
    assert_eq!(late, 2);
}

#[test]
fn windows_that_make_no_sense_are_refused() {
    for (window, field) in [
        (Window::tumbling(Duration::ZERO), "size"),
        (Window::sliding(s(1), Duration::ZERO), "every"),
        (Window::sliding(s(2000), s(1)), "every"),
        (Window::session(Duration::ZERO), "gap"),
    ] {
        assert_eq!(window.unwrap_err().field(), field);
    }
}

#[test]
fn the_end_of_time_is_a_time() {
    let (ctx, _cancel) = root();
    for window in [
        Window::tumbling(s(7)).unwrap(),
        Window::sliding(Duration::MAX, Duration::MAX / 1000).unwrap(),
        Window::session(Duration::MAX).unwrap(),
    ] {
        let flow = Flow::of([Duration::ZERO, Duration::MAX]);
        assert!(flow.window_by(window, |at| *at, Vec::new).count(&ctx).unwrap() >= 1);
    }
}
