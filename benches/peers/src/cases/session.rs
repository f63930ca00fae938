//! Sessions: two senders and a thousand actors, a question and its answer, starts, idle memory.
//!
//! Every actor counts what it is told in its own state; at the end each adds its count to a tally, and
//! the round is over when that is complete. The peers' senders are tasks on their own runtime, which is
//! where they are fastest; mailboxes hold 64 messages where the peer has bounded ones.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::go::Go;
use crate::harness::{Bar, Case, Row, Settings};
use crate::{actors, limits, ours, versions, zipf};

/// Ours must take at most this share of a peer's time: half as fast again.
const TELL: Bar = Bar::AtMost(0.667);

pub(crate) const ACTORS: u64 = 1000;

/// What the actors of a round have counted.
pub(crate) static TALLY: AtomicU64 = AtomicU64::new(0);

/// Waits until all of `n` messages have been counted.
pub(crate) fn await_tally(n: u64) {
    let give_up = Instant::now() + Duration::from_secs(120);
    while TALLY.load(Ordering::Acquire) < n {
        assert!(Instant::now() < give_up, "{} of {n} counted", TALLY.load(Ordering::Acquire));
        std::thread::yield_now();
    }
    assert_eq!(TALLY.swap(0, Ordering::AcqRel), n);
}

pub(crate) fn tell(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    let mut go = Go::start("session_tell")?;
    let mut case = Case::new("session_tell", "ns/message", || ours::session_tell(n, ACTORS, false))
        .peer("actix", versions::ACTIX, TELL, || actors::actix::tell(n))
        .peer("ractor", versions::RACTOR, TELL, || actors::ractor::tell(n))
        .peer("kameo", versions::KAMEO, TELL, || actors::kameo::tell(n))
        .peer("xtra", versions::XTRA, TELL, || actors::xtra::tell(n));
    if let Some(go) = &mut go {
        let version = go.version.clone();
        case = case.peer("goroutine and channel", version, Bar::AtMost(1.0), move || {
            go.ns_each("session_tell", n)
        });
    }
    Ok(case.limit("box and channel pair", || limits::box_and_pass(n)).measure(settings))
}

/// Our senders have ids, and look each up in a map that sessions come to and go from; the peers' have
/// references all the same.
pub(crate) fn tell_by_id(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    Ok(Case::new("session_tell_by_id", "ns/message", || ours::session_tell(n, ACTORS, true))
        .peer("kameo", versions::KAMEO, TELL, || actors::kameo::tell(n))
        .peer("the same by address", "-", Bar::None, || ours::session_tell(n, ACTORS, false))
        .measure(settings))
}

pub(crate) fn ask(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    asks("session_ask", settings, false)
}

pub(crate) fn ask_inline(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    asks("session_ask_caller_runs", settings, true)
}

fn asks(name: &'static str, settings: &Settings, inline: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(100_000);
    let bar = Bar::AtMost(1.0);
    Ok(Case::new(name, "ns/ask", move || ours::session_ask(n, inline))
        .peer("actix, in its runtime", versions::ACTIX, bar, || actors::actix::ask(n))
        .peer("ractor, in its runtime", versions::RACTOR, bar, || actors::ractor::ask(n))
        .peer("kameo, in its runtime", versions::KAMEO, bar, || actors::kameo::ask(n))
        .peer("xtra, in its runtime", versions::XTRA, bar, || actors::xtra::ask(n))
        .peer("kameo blocking_send", versions::KAMEO, bar, || actors::kameo::ask_blocking(n))
        .measure(settings))
}

pub(crate) fn start(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(1_000_000);
    Ok(Case::new("session_start", "ns/session", || ours::session_start(n))
        .absolute(Bar::AtMost(1000.0))
        .peer("kameo", versions::KAMEO, Bar::None, || actors::kameo::start(n / 10))
        .measure(settings))
}

/// Unscrambled Zipf over a million, beside the same draws folded onto a thousand.
pub(crate) fn zipf_1m(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    zipfs("session_zipf_1m", settings, None)
}

pub(crate) fn zipf_in_batches(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    zipfs("session_zipf_1m_in_batches", settings, Some(64))
}

fn zipfs(
    name: &'static str,
    settings: &Settings,
    batch: Option<usize>,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    let million = if settings.quick { 50_000 } else { 1_000_000 };
    let (many, few) = (zipf::Crowd::new(million), zipf::Crowd::new(1000));
    let (wide, narrow) = (zipf::Draws::new(n, million), zipf::Draws::new(n, 1000));
    let (far, near) = (zipf::Places::new(million), zipf::Places::new(1000));
    // A batch has to make up for the million, not to be slow with a thousand, too.
    Ok(Case::new(name, "ns/message", || many.tell(&wide, batch))
        .peer("1,000 sessions, one by one", "-", Bar::AtMost(1.25), || few.tell(&narrow, None))
        .peer("1,000 sessions, in batches", "-", Bar::None, || few.tell(&narrow, Some(64)))
        .limit("two places in memory, of a million", || far.touch(&wide))
        .limit("two places in memory, of 1,000", || near.touch(&narrow))
        .measure(settings))
}

/// Once to warm up and once measured: a round takes half a minute.
pub(crate) fn passivate(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(10_000_000);
    Ok(Case::new("session_passivate_10m", "GiB", || zipf::passivate(n))
        .absolute(Bar::AtMost(24.0))
        .measure(&Settings { rounds: 1, ..*settings }))
}

pub(crate) fn idle(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(1_000_000);
    Ok(Case::new("session_idle_bytes", "bytes/session over 64", || ours::session_idle(n))
        .absolute(Bar::AtMost(256.0))
        .measure(settings))
}

/// One handler sleeps; the 99th percentile of what others wait for an answer.
pub(crate) fn stuck(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let sleep = if settings.quick { Duration::from_millis(200) } else { Duration::from_secs(1) };
    Ok(Case::new("session_ask_p99_beside_a_sleeper", "us", || ours::session_stuck(sleep))
        .absolute(Bar::AtMost(5000.0))
        .measure(settings))
}
