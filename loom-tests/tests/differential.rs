//! Does a channel that nobody blocks on do what flume does? The same random operations on both.
//!
//! Only `try_send` and `try_recv`, clones and drops: what flume is exact in.
#![cfg(not(any(loom, ironsys_loom, shuttle)))]

use ironsys::channel::{self, Receiver, Sender, TryRecvError, TrySendError};

const ROUNDS: u64 = 20_000;
const OPERATIONS: u64 = 30;

/// xorshift: the same operations in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % n
    }
}

/// The same handles of both.
struct Pair {
    senders: Vec<(Sender<u64>, flume::Sender<u64>)>,
    receivers: Vec<(Receiver<u64>, flume::Receiver<u64>)>,
}

impl Pair {
    fn new(capacity: usize) -> Self {
        let (tx, rx) = channel::bounded(capacity);
        let (their_tx, their_rx) = flume::bounded(capacity);
        Pair { senders: vec![(tx, their_tx)], receivers: vec![(rx, their_rx)] }
    }

    fn send(&self, i: usize, value: u64) {
        let (ours, theirs) = &self.senders[i];
        let mine = match ours.try_send(value) {
            Ok(()) => "sent".to_owned(),
            Err(TrySendError::Full(value)) => format!("full {value}"),
            Err(TrySendError::Closed(value)) => format!("closed {value}"),
        };
        let other = match theirs.try_send(value) {
            Ok(()) => "sent".to_owned(),
            Err(flume::TrySendError::Full(value)) => format!("full {value}"),
            Err(flume::TrySendError::Disconnected(value)) => format!("closed {value}"),
        };
        assert_eq!(mine, other);
        assert_eq!(ours.is_closed(), theirs.is_disconnected());
        if !ours.is_closed() {
            assert_eq!(ours.len(), theirs.len());
        }
    }

    fn receive(&self, i: usize) {
        let (ours, theirs) = &self.receivers[i];
        let other = theirs.try_recv().map_err(|e| match e {
            flume::TryRecvError::Empty => TryRecvError::Empty,
            flume::TryRecvError::Disconnected => TryRecvError::Closed,
        });
        assert_eq!(ours.try_recv(), other);
        assert_eq!(ours.len(), theirs.len());
    }
}

#[test]
fn the_same_as_flume() {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let mut operations = 0;
    for _ in 0..ROUNDS {
        let mut pair = Pair::new(1 + random.below(4));
        for value in 0..OPERATIONS {
            operations += 1;
            let (senders, receivers) = (pair.senders.len(), pair.receivers.len());
            match random.below(12) {
                0..=3 if senders > 0 => pair.send(random.below(senders), value),
                4..=7 if receivers > 0 => pair.receive(random.below(receivers)),
                8 if (1..3).contains(&senders) => pair.senders.push(pair.senders[0].clone()),
                9 if (1..3).contains(&receivers) => pair.receivers.push(pair.receivers[0].clone()),
                10 if senders > 0 => drop(pair.senders.swap_remove(random.below(senders))),
                11 if receivers > 0 => drop(pair.receivers.swap_remove(random.below(receivers))),
                _ => {}
            }
        }
    }
    assert_eq!(operations, ROUNDS * OPERATIONS);
}
