//! Flows that end before their sources do.

use crate::root;
use ironsys::flow::{Flow, FlowError, Monitor, Never};

type Plain = Result<(), FlowError<Never>>;

#[test]
fn an_early_end_stops_the_stages_before() -> Plain {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    for capacity in [0, 1, 64] {
        let flow = Flow::range(0..u64::MAX).buffer(capacity).map(|n| n).buffer(capacity);
        assert_eq!(flow.monitor(&monitor).find_first(&ctx, |n| *n == 500)?, Some(500));
        let report = monitor.report();
        assert!(report.is_balanced(), "{report}");
        assert!(report.links.iter().all(|link| link.ledger.in_flight == 0), "{report}");
        let taken: Vec<u64> =
            Flow::of(0..).buffer(capacity).take(3).buffer(capacity).collect(&ctx)?;
        assert_eq!(taken, [0, 1, 2]);
    }
    assert_eq!(ctx.linked(), (0, 0));
    Ok(())
}

#[test]
fn take_takes_no_more_than_it_passes_on() -> Plain {
    let (ctx, _cancel) = root();
    let mut source = 0..100;
    assert_eq!(Flow::of(source.by_ref()).take(4).count(&ctx)?, 4);
    assert_eq!(source.next(), Some(4));
    assert_eq!(Flow::of(source.by_ref()).take(0).count(&ctx)?, 0);
    assert_eq!(source.next(), Some(5));
    Ok(())
}
