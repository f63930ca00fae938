//! Joiners: when a group of tasks is done, and what is left of the rest.

use crate::{Counted, Error, both, reason, throw, thrown};
use ironsys::scope::{self, Joiner, NotEnough, Outcome};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel};
use std::time::Duration;

type Task = Box<dyn FnOnce(&Context) -> Result<usize, Error> + Send>;

fn ok(value: usize) -> Task {
    Box::new(move |_| Ok(value))
}

fn err(value: usize) -> Task {
    Box::new(move |_| Err(Error::Own(value)))
}

fn waits() -> Task {
    Box::new(|ctx| Err(ctx.wait_stopped().into()))
}

fn panics(value: usize) -> Task {
    Box::new(move |_| throw(value))
}

/// Ends with `then` once the group is stopped.
fn last(then: fn() -> Result<usize, Error>) -> Task {
    Box::new(move |ctx| {
        ctx.wait_stopped();
        then()
    })
}

fn none() -> [Task; 0] {
    []
}

/// How each task ended, in a letter.
fn letters(outcomes: &[Outcome<usize, Error>]) -> String {
    let letter = |o: &Outcome<usize, Error>| match o {
        Outcome::Ok(_) => 'o',
        Outcome::Err(Error::Own(_)) => 'e',
        Outcome::Err(Error::Stopped(_)) => 's',
        Outcome::Panicked(_) => 'p',
        Outcome::Skipped(_) => '-',
        _ => '?',
    };
    outcomes.iter().map(letter).collect()
}

fn lost<T>(result: Result<T, NotEnough<usize, Error>>) -> NotEnough<usize, Error> {
    result.err().expect("enough succeeded")
}

#[test]
fn all_returns_the_values_in_the_order_of_the_tasks() {
    both(|ctx| {
        assert_eq!(scope::all(ctx, (0..50).map(ok)), Ok((0..50).collect()));
        assert_eq!(scope::all(ctx, none()), Ok(vec![]));
    });
}

/// 004-42, 004-45: who calls chooses the rule, by its name.
#[test]
fn all_fails_with_the_first_error_and_stops_the_rest() {
    both(|ctx| {
        for i in 0..50 {
            assert_eq!(scope::all(ctx, [waits(), err(i), waits()]), Err(Error::Own(i)));
        }
    });
}

#[test]
fn all_resumes_a_panic_before_it_returns_an_error() {
    both(|ctx| {
        let (begun, has_begun) = channel::bounded(1);
        let late: Task = Box::new(move |ctx| {
            let _ = begun.try_send(());
            ctx.wait_stopped();
            throw(2_usize)
        });
        let early: Task = Box::new(move |ctx| {
            let _ = has_begun.recv(ctx);
            Err(Error::Own(1))
        });
        let payload: usize = thrown(|| scope::all(ctx, [early, late, waits()]));
        assert_eq!(payload, 2);
        let payload: usize = thrown(|| scope::all(ctx, [waits(), panics(3)]));
        assert_eq!(payload, 3);
    });
}

#[test]
fn collect_lets_every_task_end_however_it_ends() {
    both(|ctx| {
        let outcomes = scope::collect(ctx, [ok(0), err(1), panics(2), ok(3)]);
        assert_eq!(letters(&outcomes), "oepo");
        let Outcome::Panicked(panicked) = &outcomes[2] else { unreachable!() };
        assert_eq!((panicked.task(), panicked.message()), ("task 2", "(the payload is no text)"));
        assert!(panicked.spawned_at().file().ends_with("joiners.rs"));
        assert!(scope::collect(ctx, none()).is_empty());
    });
}

#[test]
fn first_ok_passes_over_failures_and_stops_the_rest() {
    both(|ctx| {
        assert_eq!(scope::first_ok(ctx, [waits(), err(1), ok(7), panics(2)]).unwrap(), (2, 7));
    });
}

#[test]
fn first_ok_without_a_success_has_every_reason() {
    both(|ctx| {
        let few = lost(scope::first_ok(ctx, [err(1), panics(2)]));
        assert_eq!(few.to_string(), "0 of 2 tasks succeeded, 1 were needed");
        assert_eq!(letters(&few.joined.outcomes), "ep");
        assert_eq!(few.into_first_error(), Some(Error::Own(1)));
        assert_eq!(
            lost(scope::first_ok(ctx, none())).to_string(),
            "0 of 0 tasks succeeded, 1 were needed"
        );
    });
}

#[test]
fn a_race_is_decided_by_the_first_to_end() {
    both(|ctx| {
        assert_eq!(scope::race(ctx, [waits(), ok(7), waits()]).unwrap(), (1, 7));
        // A success that comes later does not count.
        let few = lost(scope::race(ctx, [err(1), last(|| Ok(2))]));
        assert_eq!(few.joined.order.first(), Some(&0));
        assert_eq!(few.into_first_error(), Some(Error::Own(1)));
        let few = lost(scope::race(ctx, [panics(1), waits()]));
        assert_eq!(letters(&few.joined.outcomes[..1]), "p");
        assert_eq!(few.into_first_error().filter(|e| *e == Error::Own(1)), None);
        assert!(lost(scope::race(ctx, none())).joined.outcomes.is_empty());
    });
}

#[test]
fn a_race_returns_the_first_success_and_not_the_first_in_the_list() {
    both(|ctx| {
        for _ in 0..50 {
            assert_eq!(scope::race(ctx, [last(|| Ok(1)), ok(2)]).unwrap(), (1, 2));
        }
    });
}

/// 004-30, 004-44.
#[test]
fn a_quorum_stops_the_rest_when_it_is_reached() {
    both(|ctx| {
        let joined = scope::quorum(ctx, 2, [ok(1), waits(), err(2), ok(3), waits()]).unwrap();
        let (values, rest) = joined.split();
        assert_eq!(values, [(0, 1), (3, 3)]);
        assert_eq!(rest.len(), 3);
    });
}

#[test]
fn a_quorum_gives_up_when_it_cannot_be_reached() {
    both(|ctx| {
        let few = lost(scope::quorum(ctx, 3, [ok(1), err(2), panics(3), waits()]));
        assert!(few.to_string().ends_with("3 were needed"), "{few}");
        assert!(letters(&few.joined.outcomes).ends_with(['s', '-']));
    });
}

#[test]
fn a_quorum_of_more_than_there_are_is_an_error() {
    both(|ctx| {
        let few = lost(scope::quorum(ctx, 3, [ok(1), ok(2)]));
        assert_eq!((few.needed, few.joined.outcomes.len()), (3, 2));
        let few = lost(scope::quorum(ctx, usize::MAX, [ok(1)]));
        assert_eq!(few.needed, usize::MAX);
        assert_eq!(lost(scope::quorum(ctx, 1, none())).needed, 1);
    });
}

#[test]
fn a_quorum_of_nothing_needs_nothing() {
    both(|ctx| {
        assert!(scope::quorum(ctx, 0, none()).unwrap().outcomes.is_empty());
        assert!(scope::quorum(ctx, 0, [err(1)]).is_ok());
    });
}

/// 004-43.
#[test]
fn best_effort_lets_every_task_end() {
    both(|ctx| {
        let joined = scope::best_effort(ctx, 2, [ok(1), err(2), panics(3), ok(4)]).unwrap();
        assert_eq!(letters(&joined.outcomes), "oepo");
        assert_eq!(joined.into_values().collect::<Vec<_>>(), [(0, 1), (3, 4)]);
        let few = lost(scope::best_effort(ctx, 3, [ok(1), err(2), ok(3)]));
        assert_eq!(few.joined.into_values().count(), 2);
        assert!(scope::best_effort(ctx, 0, none()).is_ok());
        assert!(scope::best_effort(ctx, 0, [err(1), panics(1)]).is_ok());
    });
}

#[test]
fn at_a_deadline_best_effort_keeps_what_it_has() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let soon = || ctx.with_timeout(Duration::from_secs(1));
    let joined = scope::best_effort(&soon(), 1, [ok(1), waits()]).unwrap();
    assert_eq!(letters(&joined.outcomes), "os");
    let few = lost(scope::best_effort(&soon(), 2, [ok(1), waits()]));
    assert_eq!(few.stop, Some(Stop::DeadlineExceeded));
    assert_eq!(few.to_string(), "1 of 2 tasks succeeded, 2 were needed (deadline exceeded)");
}

#[test]
fn under_a_stopped_context_every_task_is_skipped() {
    both(|ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        cancel.cancel_with("shut");
        assert_eq!(letters(&scope::collect(&ctx, [ok(1), ok(2)])), "--");
        let few = lost(scope::quorum(&ctx, 1, [ok(1)]));
        assert_eq!(few.stop.as_ref().map(reason), Some("shut"));
        let Err(Error::Stopped(stop)) = scope::all(&ctx, [ok(1)]) else { panic!("it ran") };
        assert_eq!(reason(&stop), "shut");
        assert!(scope::first_ok(&ctx, [ok(1)]).is_err());
        assert!(scope::race(&ctx, [ok(1)]).is_err());
    });
}

#[test]
fn a_joiner_is_a_value() {
    both(|ctx| {
        for (joiner, enough) in [
            (Joiner::All, false),
            (Joiner::Collect, true),
            (Joiner::FirstOk, true),
            (Joiner::Quorum(1), true),
            (Joiner::Quorum(2), false),
            (Joiner::BestEffort(1), true),
        ] {
            assert_eq!(joiner.run(ctx, [ok(1), err(2)]).is_ok(), enough, "{joiner:?}");
        }
    });
}

#[test]
fn every_outcome_is_dropped_once() {
    both(|ctx| {
        let things = Counted::new();
        for joiner in [Joiner::All, Joiner::Race, Joiner::Quorum(3), Joiner::Collect] {
            let tasks = (0..10).map(|i| {
                let (captured, made) = (things.make(), things.clone());
                move |_: &Context| {
                    let _captured = captured;
                    if i % 4 == 3 { Err(made.make()) } else { Ok(made.make()) }
                }
            });
            drop(joiner.run(ctx, tasks));
            things.all_gone();
        }
    });
}
