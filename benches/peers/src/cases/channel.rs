//! Bounded channels: a pair on one thread, and streams between threads.

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::harness::{Bar, Case, Row, Settings, ns_each};
use crate::ours::Ours;
use crate::wires::{Crossbeam, CrossbeamSelect, CrossbeamSelectBoth, Flume, Kanal, Std, Wire};
use crate::{limits, versions};

const CAPACITY: usize = 256;

pub(crate) fn pair(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(1_000_000);
    Ok(Case::new("channel_pair", "ns/pair", || pair_of::<Ours>(n))
        .peer("flume", versions::FLUME, Bar::AtMost(1.15), || pair_of::<Flume>(n))
        .peer("crossbeam select!(rx, done)", versions::CROSSBEAM_CHANNEL, Bar::AtMost(0.5), || {
            pair_of::<CrossbeamSelect>(n)
        })
        .peer("crossbeam select! at both ends", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            pair_of::<CrossbeamSelectBoth>(n)
        })
        .peer("crossbeam", versions::CROSSBEAM_CHANNEL, Bar::None, || pair_of::<Crossbeam>(n))
        .peer("std sync_channel", versions::STD, Bar::None, || pair_of::<Std>(n))
        .peer("kanal", versions::KANAL, Bar::None, || pair_of::<Kanal>(n))
        .limit("two locks", || 2.0 * limits::lock(n))
        .measure(settings))
}

pub(crate) fn stream_1to1(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(500_000);
    Ok(Case::new("stream_cap256_1to1", "ns/message", || one_to_one::<Ours>(n))
        .peer("flume", versions::FLUME, Bar::AtMost(1.0), || one_to_one::<Flume>(n))
        .peer("crossbeam", versions::CROSSBEAM_CHANNEL, Bar::None, || one_to_one::<Crossbeam>(n))
        .peer("crossbeam select!(rx, done)", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            one_to_one::<CrossbeamSelect>(n)
        })
        .peer("crossbeam select! at both ends", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            one_to_one::<CrossbeamSelectBoth>(n)
        })
        .peer("std sync_channel", versions::STD, Bar::None, || one_to_one::<Std>(n))
        .peer("kanal", versions::KANAL, Bar::None, || one_to_one::<Kanal>(n))
        .measure(settings))
}

pub(crate) fn stream_4to4(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(500_000);
    Ok(Case::new("stream_cap256_4to4", "ns/message", || four_to_four::<Ours>(n))
        .peer("flume", versions::FLUME, Bar::AtMost(1.0), || four_to_four::<Flume>(n))
        .peer("crossbeam", versions::CROSSBEAM_CHANNEL, Bar::None, || four_to_four::<Crossbeam>(n))
        .peer("crossbeam select!(rx, done)", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            four_to_four::<CrossbeamSelect>(n)
        })
        .peer("crossbeam select! at both ends", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            four_to_four::<CrossbeamSelectBoth>(n)
        })
        .peer("kanal", versions::KANAL, Bar::None, || four_to_four::<Kanal>(n))
        .measure(settings))
}

fn pair_of<W: Wire>(n: u64) -> f64 {
    let (tx, rx) = W::open(CAPACITY);
    let mut sum = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            W::send(&tx, i);
            sum += W::recv(&rx).expect("just sent");
        }
    });
    assert_eq!(sum, n * (n - 1) / 2);
    each
}

fn one_to_one<W: Wire>(n: u64) -> f64 {
    let (tx, rx) = W::open(CAPACITY);
    stream::<W>(vec![tx], vec![rx], n)
}

fn four_to_four<W: Wire<Tx: Clone, Rx: Clone>>(n: u64) -> f64 {
    let (tx, rx) = W::open(CAPACITY);
    stream::<W>(vec![tx; 4], vec![rx; 4], n)
}

/// Nanoseconds a message for `n` messages from all senders to all receivers, which end when the
/// senders are gone.
fn stream<W: Wire>(senders: Vec<W::Tx>, receivers: Vec<W::Rx>, n: u64) -> f64 {
    let share = n / senders.len() as u64;
    let all = share * senders.len() as u64;
    let ready = &Barrier::new(senders.len() + receivers.len());
    // The time runs from when the first sender starts, told by itself: this thread may be late.
    let (sum, took) = thread::scope(|s| {
        let senders: Vec<_> = (0..)
            .zip(senders)
            .map(|(at, tx)| {
                s.spawn(move || {
                    ready.wait();
                    let start = Instant::now();
                    for value in at * share..(at + 1) * share {
                        W::send(&tx, value);
                    }
                    start
                })
            })
            .collect();
        let receivers: Vec<_> = receivers
            .into_iter()
            .map(|rx| {
                s.spawn(move || {
                    ready.wait();
                    let mut sum = 0;
                    while let Some(value) = W::recv(&rx) {
                        sum += value;
                    }
                    (sum, Instant::now())
                })
            })
            .collect();
        let starts = senders.into_iter().map(|sender| sender.join().expect("no panic"));
        let start = starts.min().expect("a sender");
        let ends = receivers.into_iter().map(|receiver| receiver.join().expect("no panic"));
        let (sum, end) = ends
            .reduce(|(sum, end), (more, later)| (sum + more, end.max(later)))
            .expect("a receiver");
        (sum, end - start)
    });
    assert_eq!(sum, all * (all - 1) / 2, "each message arrives once");
    took.as_nanos() as f64 / all as f64
}
