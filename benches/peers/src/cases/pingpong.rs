//! A value to and fro between two threads over two channels of capacity 1, the threads pinned.

use std::error::Error;
use std::thread;
use std::time::Duration;

use core_affinity::CoreId;

use crate::harness::{Bar, Case, Row, Settings, ns_each};
use crate::ours::Ours;
use crate::wires::{Crossbeam, CrossbeamSelect, Flume, Kanal, Std, Wire};
use crate::{allocs, limits, versions};

/// Round trips before the measurement: threads are running, thread-local state is made.
const WARM_UP: u64 = 200;
/// And then so many in which both sides really park: what that needs for the first time is made.
const PARKED: u64 = 5;
/// From this number on the answer comes late.
const LATE: u64 = 1 << 63;
/// Long enough for the other side to park.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn two_cores(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    match cores() {
        Some((one, two)) => Ok(on("pingpong_two_cores", [one, two], settings)),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn one_core(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    match cores() {
        Some((one, _)) => Ok(on("pingpong_one_core", [one, one], settings)),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn allocs(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let Some((one, two)) = cores() else { return Ok(Vec::new()) };
    let n = settings.iterations(5_000);
    fn both<W: Wire>(one: CoreId, two: CoreId, n: u64) -> f64 {
        allocations::<W>([one, one], n).max(allocations::<W>([one, two], n))
    }
    Ok(Case::new("pingpong_allocs", "allocations/round trip", || both::<Ours>(one, two, n))
        .absolute(Bar::AtMost(0.0))
        .peer("flume", versions::FLUME, Bar::None, || both::<Flume>(one, two, n))
        .peer("crossbeam select!(rx, done)", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            both::<CrossbeamSelect>(one, two, n)
        })
        .measure(settings))
}

/// Two cores to run on.
fn cores() -> Option<(CoreId, CoreId)> {
    match core_affinity::get_core_ids().as_deref() {
        Some([one, two, ..]) => Some((*one, *two)),
        _ => {
            eprintln!("pingpong: NO TWO CORES TO PIN THREADS TO: ITS ROWS ARE MISSING.");
            None
        }
    }
}

fn on(name: &'static str, cores: [CoreId; 2], settings: &Settings) -> Vec<Row> {
    let n = settings.iterations(10_000);
    let wakes = settings.iterations(5_000);
    Case::new(name, "ns/round trip", || round_trip::<Ours>(cores, n))
        .peer("flume", versions::FLUME, Bar::AtMost(1.0), || round_trip::<Flume>(cores, n))
        .peer("crossbeam", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            round_trip::<Crossbeam>(cores, n)
        })
        .peer("crossbeam select!(rx, done)", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            round_trip::<CrossbeamSelect>(cores, n)
        })
        .peer("std sync_channel", versions::STD, Bar::None, || round_trip::<Std>(cores, n))
        .peer("kanal", versions::KANAL, Bar::None, || round_trip::<Kanal>(cores, n))
        .limit("park and unpark", || 1e3 * limits::wake(Some(cores), wakes))
        .measure(settings)
}

fn round_trip<W: Wire>(cores: [CoreId; 2], n: u64) -> f64 {
    with_echo::<W, _>(cores, |trip| ns_each(n, || (0..n).for_each(trip)))
}

fn allocations<W: Wire>(cores: [CoreId; 2], n: u64) -> f64 {
    with_echo::<W, _>(cores, |trip| allocs::during(|| (0..n).for_each(trip)) as f64 / n as f64)
}

/// Runs `measure` on a thread pinned to the first core, with a function that makes one round trip to
/// a thread on the second.
fn with_echo<W: Wire, R: Send>(
    cores: [CoreId; 2],
    measure: impl FnOnce(&mut dyn FnMut(u64)) -> R + Send,
) -> R {
    let [near, far] = cores;
    let (ping_tx, ping_rx) = W::open(1);
    let (pong_tx, pong_rx) = W::open(1);
    thread::scope(|s| {
        s.spawn(move || {
            assert!(core_affinity::set_for_current(far));
            while let Some(value) = W::recv(&ping_rx) {
                if value >= LATE {
                    thread::sleep(PAUSE);
                }
                W::send(&pong_tx, value + 1);
            }
        });
        let driver = s.spawn(move || {
            assert!(core_affinity::set_for_current(near));
            let mut trip = |value| {
                W::send(&ping_tx, value);
                assert_eq!(W::recv(&pong_rx), Some(value + 1));
            };
            (0..WARM_UP).for_each(&mut trip);
            (LATE..LATE + PARKED).for_each(|value| {
                thread::sleep(PAUSE);
                trip(value);
            });
            measure(&mut trip)
        });
        driver.join().expect("no panic")
    })
}
