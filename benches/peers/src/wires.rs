//! The bounded channels that are compared, under one trait so that all do the very same work.

use std::sync::{Arc, mpsc};

use crossbeam_channel::select;

/// A bounded channel of numbers. A lost end or a stop is a failure of the benchmark, so it panics.
pub(crate) trait Wire {
    type Tx: Send;
    type Rx: Send;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx);

    fn send(tx: &Self::Tx, value: u64);

    /// The next value, or `None` if all senders are gone and the channel is empty.
    fn recv(rx: &Self::Rx) -> Option<u64>;
}

pub(crate) struct Flume;

impl Wire for Flume {
    type Tx = flume::Sender<u64>;
    type Rx = flume::Receiver<u64>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        flume::bounded(capacity)
    }

    fn send(tx: &Self::Tx, value: u64) {
        tx.send(value).expect("receivers live");
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        rx.recv().ok()
    }
}

pub(crate) struct Crossbeam;

impl Wire for Crossbeam {
    type Tx = crossbeam_channel::Sender<u64>;
    type Rx = crossbeam_channel::Receiver<u64>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        crossbeam_channel::bounded(capacity)
    }

    fn send(tx: &Self::Tx, value: u64) {
        tx.send(value).expect("receivers live");
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        rx.recv().ok()
    }
}

/// What one does with crossbeam for a receive that can be cancelled: a second channel, closed to
/// cancel.
pub(crate) struct CrossbeamSelect;

/// The same for both ends: a send can be cancelled, too, as ours can.
pub(crate) struct CrossbeamSelectBoth;

/// One end of a channel, and the channel that is closed to cancel.
#[derive(Clone)]
pub(crate) struct Cancellable<T> {
    end: T,
    done: crossbeam_channel::Receiver<()>,
    _not_done: Arc<crossbeam_channel::Sender<()>>,
}

impl Wire for CrossbeamSelect {
    type Tx = crossbeam_channel::Sender<u64>;
    type Rx = Cancellable<crossbeam_channel::Receiver<u64>>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = CrossbeamSelectBoth::open(capacity);
        (tx.end, rx)
    }

    fn send(tx: &Self::Tx, value: u64) {
        tx.send(value).expect("receivers live");
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        CrossbeamSelectBoth::recv(rx)
    }
}

impl Wire for CrossbeamSelectBoth {
    type Tx = Cancellable<crossbeam_channel::Sender<u64>>;
    type Rx = Cancellable<crossbeam_channel::Receiver<u64>>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = crossbeam_channel::bounded(capacity);
        let (not_done, done) = crossbeam_channel::bounded(0);
        let not_done = Arc::new(not_done);
        let tx = Cancellable { end: tx, done: done.clone(), _not_done: not_done.clone() };
        (tx, Cancellable { end: rx, done, _not_done: not_done })
    }

    fn send(tx: &Self::Tx, value: u64) {
        select! {
            send(tx.end, value) -> sent => sent.expect("receivers live"),
            recv(tx.done) -> _ => panic!("cancelled"),
        }
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        select! {
            recv(rx.end) -> value => value.ok(),
            recv(rx.done) -> _ => panic!("cancelled"),
        }
    }
}

pub(crate) struct Std;

impl Wire for Std {
    type Tx = mpsc::SyncSender<u64>;
    type Rx = mpsc::Receiver<u64>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        mpsc::sync_channel(capacity)
    }

    fn send(tx: &Self::Tx, value: u64) {
        tx.send(value).expect("receivers live");
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        rx.recv().ok()
    }
}

pub(crate) struct Kanal;

impl Wire for Kanal {
    type Tx = kanal::Sender<u64>;
    type Rx = kanal::Receiver<u64>;

    fn open(capacity: usize) -> (Self::Tx, Self::Rx) {
        kanal::bounded(capacity)
    }

    fn send(tx: &Self::Tx, value: u64) {
        tx.send(value).expect("receivers live");
    }

    fn recv(rx: &Self::Rx) -> Option<u64> {
        rx.recv().ok()
    }
}
