//! Cron: time zones, the days on which the clock is changed, leap days, and a clock that is set.

use crate::{World, secs};
use ironsys::Context;
use ironsys::channel::{self, Receiver};
use ironsys::schedule::{Builder, Cron, CronError, Misfire, Plan, Refused, Scheduler};
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::time::{Duration, SystemTime};

const BERLIN: &str = "Europe/Berlin";
const HOUR: u64 = 3600;

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

/// A date in Berlin, such as `2026-03-29T01:30`.
fn berlin(text: &str) -> SystemTime {
    let date: jiff::civil::DateTime = text.parse().unwrap();
    date.in_tz(BERLIN).unwrap().timestamp().into()
}

/// The times after a date, as they are read in Berlin, with the offset from UTC.
fn times(cron: &Cron, after: SystemTime, n: usize) -> Vec<String> {
    std::iter::successors(cron.next_after(after), |time| cron.next_after(*time))
        .take(n)
        .map(read)
        .collect()
}

fn read(time: SystemTime) -> String {
    let zoned = Zoned::new(time.try_into().unwrap(), TimeZone::get(BERLIN).unwrap());
    zoned.strftime("%m-%d %H:%M %:z").to_string()
}

/// A world that begins on a date in Berlin, with a job that reports the dates of its runs.
struct Dates {
    w: World,
    s: Scheduler,
    rx: Receiver<SystemTime>,
}

impl Dates {
    fn new(begin: &str, plan: Plan, build: impl Fn(Builder) -> Builder) -> Dates {
        let w = World::new();
        w.time.set_wall(berlin(begin));
        let s = build(w.builder()).build().unwrap();
        let (tx, rx) = channel::bounded(100);
        s.add("job", plan, move |ctx: &Context| tx.try_send(ctx.clock().wall()).unwrap()).unwrap();
        Dates { w, s, rx }
    }

    fn next(&self, n: usize) -> Vec<String> {
        (0..n).map(|_| read(self.rx.recv(&self.w.ctx).unwrap())).collect()
    }

    fn live(&self, seconds: u64) -> Vec<String> {
        self.w.ctx.sleep(secs(seconds)).unwrap();
        std::iter::from_fn(|| self.rx.try_recv().ok()).map(read).collect()
    }
}

fn every(text: &str) -> Plan {
    Plan::cron(cron(text).zone(BERLIN).unwrap())
}

#[test]
fn a_day_that_no_month_has_is_found_out_by_the_months() {
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    for text in ["0 0 30 2 *", "0 0 30,31 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 SEP ?"] {
        // Looking at each month takes a thousand times as long for so many.
        assert!((0..1000).all(|_| cron(text).next_after(epoch).is_none()), "{text}");
    }
    for text in ["0 0 29 2 *", "0 0 31 2,3 *", "0 0 30 2 MON", "0 0 L 2 *", "0 0 30,L 2 *"] {
        assert!(cron(text).next_after(epoch).is_some(), "{text}");
    }
}

#[test]
fn what_is_no_expression_or_no_zone_is_refused() {
    for text in
        ["", "* * * *", "61 * * * *", "* * * * * * *", "@sometimes", "a b c d e", "*/0 * * * *"]
    {
        let e = text.parse::<Cron>().unwrap_err();
        assert!(matches!(&e, CronError::Pattern { pattern, .. } if pattern == text), "{e}");
    }
    for text in
        [",, * * * *", "1,,2 * * * *", "* * , * *", "* 5, * * *", "* * * * +", "* * * * +,1"]
    {
        assert!(text.parse::<Cron>().unwrap_err().to_string().contains("empty"), "{text}");
    }
    let e = cron("@daily").zone("Atlantis/Capital").unwrap_err();
    assert!(e.to_string().contains("Atlantis/Capital"), "{e}");
    assert_eq!(cron(" 0 3 * * * ").to_string(), "0 3 * * *");
    let w = World::new();
    let never = w.scheduler().add("never", Plan::cron(cron("0 0 30 2 *")), |_| ());
    assert_eq!(never.unwrap_err().why, Refused::NeverDue);
}

#[test]
fn nicknames_are_what_they_stand_for() {
    let after = SystemTime::UNIX_EPOCH;
    for (name, text) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        assert_eq!(times(&cron(name), after, 3), times(&cron(text), after, 3), "{name}");
    }
}

#[test]
fn a_zone_is_a_name_or_a_posix_rule() {
    let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
    let (name, rule) = (every("30 2 * * *"), Plan::cron(cron("30 2 * * *").zone(rule).unwrap()));
    drop((name, rule));
    let after = berlin("2026-03-01T00:00");
    let by = |zone: &str| times(&cron("30 2 * * *").zone(zone).unwrap(), after, 300);
    assert_eq!(by(BERLIN), by("CET-1CEST,M3.5.0,M10.5.0/3"));
    assert_ne!(by(BERLIN), by("America/New_York"));
    let _ = cron("@daily").local();
}

#[test]
fn fractions_of_a_second_do_not_run_a_time_twice_or_skip_one() {
    let each = cron("* * * * * *");
    let start = SystemTime::UNIX_EPOCH + secs(1000);
    let half = Duration::from_millis(500);
    assert_eq!(each.next_after(start), Some(start + secs(1)));
    assert_eq!(each.next_after(start + half), Some(start + secs(1)));
    assert_eq!(each.next_after(start - half), Some(start));
    let before_1970 = SystemTime::UNIX_EPOCH - half;
    assert_eq!(each.next_after(before_1970), Some(SystemTime::UNIX_EPOCH));
}

/// On 29 March 2026 there is no time between 02:00 and 03:00.
#[test]
fn a_time_in_the_gap_runs_at_its_end_and_a_wild_card_has_none_there() {
    let d = Dates::new("2026-03-28T12:00", every("30 2 * * *"), |b| b);
    assert_eq!(d.next(2), ["03-29 03:00 +02:00", "03-30 02:30 +02:00"]);
    let d = Dates::new("2026-03-29T01:00", every("*/30 * * * *"), |b| b);
    assert_eq!(d.next(3), ["03-29 01:30 +01:00", "03-29 03:00 +02:00", "03-29 03:30 +02:00"]);
    let d = Dates::new("2026-03-28T12:00", every("@daily"), |b| b);
    assert_eq!(d.next(3), ["03-29 00:00 +01:00", "03-30 00:00 +02:00", "03-31 00:00 +02:00"]);
}

/// On 25 October 2026 the time between 02:00 and 03:00 comes twice.
#[test]
fn a_time_in_the_overlap_runs_once_and_a_wild_card_twice() {
    let d = Dates::new("2026-10-24T12:00", every("30 2 * * *"), |b| b);
    assert_eq!(d.next(2), ["10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
    let d = Dates::new("2026-10-25T01:45", every("*/30 * * * *"), |b| b);
    assert_eq!(
        d.next(5),
        [
            "10-25 02:00 +02:00",
            "10-25 02:30 +02:00",
            "10-25 02:00 +01:00",
            "10-25 02:30 +01:00",
            "10-25 03:00 +01:00"
        ]
    );
}

#[test]
fn leap_days_come_every_four_years_but_for_2100() {
    let leap = "0 12 29 2 *";
    let d = Dates::new("2026-11-25T00:00", every(leap), |b| b.wall_check(Duration::MAX));
    let years: Vec<_> = (0..3).map(|_| d.rx.recv(&d.w.ctx).unwrap()).collect();
    let expected = ["2028-02-29T12:00", "2032-02-29T12:00", "2036-02-29T12:00"].map(berlin);
    assert_eq!(years, expected);
    let cron = cron(leap).zone(BERLIN).unwrap();
    assert_eq!(cron.next_after(berlin("2097-01-01T00:00")), Some(berlin("2104-02-29T12:00")));
}

#[test]
fn a_clock_set_forward_runs_once_for_what_it_jumped_over() {
    let d = Dates::new("2026-06-10T02:00", every("0 3 * * *"), |b| b);
    d.w.live(60);
    d.w.time.set_wall(berlin("2026-06-13T05:00"));
    // Nobody tells: it is found at the next look at the wall clock.
    assert_eq!(d.live(600), ["06-13 05:09 +02:00"]);
    assert_eq!(d.s.job("job").unwrap().missed, 3);
    assert_eq!(d.live(22 * HOUR), ["06-14 03:00 +02:00"]);
}

#[test]
fn a_clock_set_forward_skips_what_it_jumped_over_if_asked_to() {
    let plan = every("0 3 * * *").misfire(Misfire::Skip);
    let d = Dates::new("2026-06-10T02:00", plan, |b| b);
    d.w.live(60);
    d.w.time.set_wall(berlin("2026-06-10T05:00"));
    assert_eq!(d.live(HOUR), [""; 0]);
    assert_eq!(d.s.job("job").unwrap().missed, 1);
    assert_eq!(d.live(22 * HOUR), ["06-11 03:00 +02:00"]);
}

#[test]
fn a_clock_set_back_a_little_does_not_run_a_time_again() {
    let d = Dates::new("2026-06-10T02:00", every("0 3 * * *"), |b| b);
    assert_eq!(d.live(HOUR + 60), ["06-10 03:00 +02:00"]);
    d.w.time.set_wall(berlin("2026-06-10T02:30"));
    assert_eq!(d.live(12 * HOUR), [""; 0]);
    assert_eq!(d.live(24 * HOUR), ["06-11 03:00 +02:00"]);
}

#[test]
fn a_clock_set_back_before_a_time_waits_for_it() {
    let d = Dates::new("2026-06-10T02:00", every("0 3 * * *"), |b| b);
    d.w.live(1800);
    d.w.time.set_wall(berlin("2026-06-10T01:00"));
    assert_eq!(d.live(3 * HOUR), ["06-10 03:00 +02:00"]);
}

#[test]
fn a_clock_that_was_wrong_by_years_counts_anew() {
    let d = Dates::new("2030-06-10T02:00", every("0 3 * * *"), |b| b);
    d.w.live(60);
    d.w.time.set_wall(berlin("2026-06-10T02:00"));
    assert_eq!(d.live(2 * HOUR), ["06-10 03:00 +02:00"]);
}

#[test]
fn without_looks_at_the_wall_clock_a_step_is_found_when_the_job_was_due() {
    let d = Dates::new("2026-06-10T02:00", every("0 3 * * *"), |b| b.wall_check(Duration::MAX));
    d.w.live(60);
    let looks = d.s.stats().looks;
    d.w.time.set_wall(berlin("2026-06-10T02:50"));
    assert_eq!(d.live(58 * 60), [""; 0]);
    assert_eq!(d.s.stats().looks, looks);
    assert_eq!(d.live(61), ["06-10 03:49 +02:00"]);
}

#[test]
fn intervals_do_not_care_about_the_wall_clock() {
    let w = World::new();
    let s = w.scheduler();
    s.add("every", Plan::every(secs(100)), w.says("every")).unwrap();
    s.after("after", secs(250), w.says("after")).unwrap();
    w.expect(&[("every", 100)]);
    w.time.set_wall(berlin("2040-01-01T00:00"));
    w.expect(&[("every", 200)]);
    w.time.set_wall(berlin("1980-01-01T00:00"));
    w.expect(&[("after", 250), ("every", 300)]);
}

#[test]
fn a_job_at_a_date_follows_the_wall_clock() {
    let w = World::new();
    let s = w.scheduler();
    w.time.set_wall(berlin("2026-06-10T00:00"));
    s.at("date", berlin("2026-06-10T10:00"), w.says("date")).unwrap();
    w.live(HOUR);
    w.time.set_wall(berlin("2026-06-10T00:00"));
    assert_eq!(w.next(), ("date", 11 * HOUR));
    w.live(1);
    s.at("date", berlin("2026-06-12T00:00"), w.says("date")).unwrap();
    w.live(5);
    w.time.set_wall(berlin("2026-07-01T00:00"));
    let (_, at) = w.next();
    assert!(at - 11 * HOUR <= 6 + 600, "{at}");
}

#[test]
fn a_job_a_year_late_is_bounded_work() {
    let plan = every("* * * * * *");
    let d = Dates::new("2026-06-10T00:00", plan, |b| b);
    assert_eq!(d.next(1), ["06-10 00:00 +02:00"]);
    d.w.time.set_wall(berlin("2027-06-10T00:00"));
    d.next(1);
    let missed = d.s.job("job").unwrap().missed;
    assert!((900..1100).contains(&missed), "{missed}"); // counted up to a thousand
}

#[test]
fn a_day_that_a_zone_leaves_out_ends_nothing() {
    let zone = TimeZone::get("Pacific/Apia").unwrap();
    let hour = |time: SystemTime| {
        Zoned::new(time.try_into().unwrap(), zone.clone()).strftime("%F %H").to_string()
    };
    let date: jiff::civil::DateTime = "2011-12-28T23:59:30".parse().unwrap();
    let from: SystemTime = date.to_zoned(zone.clone()).unwrap().timestamp().into();
    let three = |text| {
        let daily = cron(text).zone("Pacific/Apia").unwrap();
        let next = |time: &SystemTime| daily.next_after(*time);
        std::iter::successors(next(&from), next).take(3).map(hour).collect::<Vec<_>>()
    };
    assert_eq!(three("0 12 * * *"), ["2011-12-29 12", "2011-12-31 12", "2012-01-01 12"]);
    assert_eq!(three("0 0 * * *"), ["2011-12-29 00", "2011-12-31 00", "2012-01-01 00"]);
    // In the last two hours of the gap, and so at its end.
    assert_eq!(three("59 23 * * *"), ["2011-12-29 23", "2011-12-31 00", "2011-12-31 23"]);
    let that_day = cron("0 12 30 12 *").zone("Pacific/Apia").unwrap();
    assert_eq!(that_day.next_after(from).map(hour).as_deref(), Some("2012-12-30 12"));
}
