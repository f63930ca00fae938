//! Several tasks and the moment when enough have answered.

use crate::{Oops, SOON, model, timed};
use ironsys::scope::{self, NotEnough};
use ironsys::{Context, Stop};

type Task = fn(&Context) -> Result<u32, Oops>;

fn quick(_: &Context) -> Result<u32, Oops> {
    Ok(1)
}

fn patient(ctx: &Context) -> Result<u32, Oops> {
    Err(ctx.wait_stopped().into())
}

fn boom(_: &Context) -> Result<u32, Oops> {
    Err(Oops::Boom)
}

/// The first answer stops the one that would wait for ever.
#[test]
fn race() {
    model("joiner::race", || {
        let (ctx, _cancel) = Context::root();
        let won = scope::race(&ctx, [patient as Task, quick]);
        assert_eq!(won.map_err(|_| ()), Ok((1, 1)));
    });
}

/// A failure does not win; the success does.
#[test]
fn first_ok() {
    model("joiner::first_ok", || {
        let (ctx, _cancel) = Context::root();
        let won = scope::first_ok(&ctx, [boom as Task, quick]);
        assert_eq!(won.map_err(|_| ()), Ok((1, 1)));
    });
}

/// One failure decides that two cannot be had: the other is stopped, not awaited.
#[test]
fn quorum_out_of_reach() {
    model("joiner::quorum_out_of_reach", || {
        let (ctx, _cancel) = Context::root();
        let few = scope::quorum(&ctx, 2, [boom as Task, patient]);
        let few: NotEnough<u32, Oops> = few.expect_err("two of two are needed");
        assert_eq!(few.into_first_error(), Some(Oops::Boom));
    });
}

/// The first error is the one that comes out, not the stop it caused.
#[test]
fn all() {
    model("joiner::all", || {
        let (ctx, _cancel) = Context::root();
        assert_eq!(scope::all(&ctx, [patient as Task, boom]), Err(Oops::Boom));
    });
}

/// What has answered by the deadline.
#[test]
fn best_effort_by_deadline() {
    timed("joiner::best_effort_by_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        match scope::best_effort(&short, 1, [quick as Task, patient]) {
            Ok(joined) => assert!(joined.outcomes[0].is_ok() && !joined.outcomes[1].is_ok()),
            Err(few) => assert_eq!(few.stop, Some(Stop::DeadlineExceeded)),
        }
    });
}
