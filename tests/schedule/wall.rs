//! The wall clock of a virtual clock: it goes with the clock, and steps when it is set.

use ironsys::time::{Clock, VirtualClock};
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_wall_clock_goes_with_the_clock_and_steps_when_set() {
    let time = VirtualClock::new();
    let clock = time.clock();
    let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    assert_eq!(clock.wall(), midnight);
    time.advance(HOUR);
    assert_eq!(clock.wall(), midnight + HOUR);
    let now = time.now();
    time.set_wall(midnight - 30 * HOUR);
    assert_eq!((clock.wall(), time.now()), (midnight - 30 * HOUR, now));
    time.advance(HOUR);
    assert_eq!(clock.wall(), midnight - 29 * HOUR);
    time.set_wall(midnight + 1000 * HOUR);
    time.advance(Duration::MAX); // 584 years
    assert!(clock.wall() > midnight + 5_000_000 * HOUR);
}

#[test]
fn the_system_clock_shows_the_date() {
    let before = SystemTime::now();
    assert!(Clock::system().wall() + HOUR > before);
}
