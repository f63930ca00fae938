//! Bits that flip and files that are cut: what was acknowledged is delivered or reported, never
//! skipped, and nothing is invented.

use crate::{Dice, root, small};
use ironsys::durable::{Memory, OnDamage, OpenError, Outbox, Storage, StorageError};
use std::collections::BTreeSet;

const EVENTS: u64 = 60;

fn body(id: u64) -> Vec<u8> {
    format!("{id:0150}").into_bytes()
}

/// A log of some segments with groups of one and of several events.
fn written() -> Memory {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    let mut id = 0;
    while id < EVENTS {
        let group = if id % 7 == 0 { 3 } else { 1 };
        for _ in 0..group {
            id += 1;
            drop(outbox.submit(&ctx, &body(id)).unwrap());
        }
        outbox.flush(&ctx).unwrap();
    }
    assert!(outbox.stats().segments >= 3);
    memory
}

fn copy(memory: &Memory) -> Memory {
    memory.after_power_cut(0) // Everything is synced but the hint.
}

/// Reads everything, stepping over damage: what was delivered, and what was reported lost.
fn read_all(outbox: &Outbox) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut reader = outbox.reader("r").unwrap();
    let (mut delivered, mut lost) = (BTreeSet::new(), BTreeSet::new());
    loop {
        match reader.try_next() {
            Ok(None) => return (delivered, lost),
            Ok(Some(event)) => {
                assert_eq!(event.body, body(event.id), "invented");
                assert!(delivered.insert(event.id));
            }
            Err(StorageError::Damaged { .. } | StorageError::Foreign { .. }) => {
                let range = reader.skip_damage().unwrap();
                assert!(!range.is_empty() || reader.position() <= EVENTS + 3, "no progress");
                lost.extend(range);
            }
            Err(e) => panic!("{e}"),
        }
    }
}

fn check(memory: &Memory, what: &str) -> bool {
    let opened = small(&copy(memory)).on_damage(OnDamage::Open).open_with_report();
    let (outbox, _report) = match opened {
        Ok(opened) => opened,
        // The header of the segment that is written to.
        Err(OpenError::Storage(StorageError::Foreign { .. })) => return true,
        Err(e) => panic!("{what}: {e}"),
    };
    let (delivered, lost) = read_all(&outbox);
    let all: BTreeSet<u64> = delivered.union(&lost).copied().collect();
    let whole: BTreeSet<u64> = (1..=*all.iter().next_back().unwrap()).collect();
    assert_eq!(all, whole, "{what}: neither delivered nor reported");
    assert!(delivered.is_disjoint(&lost), "{what}");
    // The last group can be taken for a torn one if the hint is gone, too.
    let last = *whole.iter().next_back().unwrap();
    assert!(last >= EVENTS - 2, "{what}: ends with {last}");
    // It goes on.
    let (ctx, _cancel) = root();
    let id = outbox.append(&ctx, b"more").unwrap();
    assert!(id > last, "{what}");
    !lost.is_empty()
}

#[test]
fn a_bit_that_flips_anywhere_is_reported_and_the_rest_is_delivered() {
    let memory = written();
    let mut dice = Dice(3);
    let mut losses = 0;
    let segments: Vec<String> =
        memory.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    for name in &segments {
        let size = memory.open(name).unwrap().size().unwrap();
        for byte in 0..size {
            if dice.below(4) != 0 {
                continue;
            }
            let damaged = copy(&memory);
            damaged.flip(name, byte, dice.below(8) as u8).unwrap();
            losses += usize::from(check(&damaged, &format!("{name} byte {byte}")));
        }
    }
    assert!(losses > 1000, "the bits were flipped elsewhere: {losses}");
}

#[test]
fn by_default_a_damaged_log_is_not_opened() {
    let memory = written();
    let last = memory.list().unwrap().into_iter().filter(|n| n.ends_with(".seg")).max().unwrap();
    let damaged = copy(&memory);
    damaged.flip(&last, 40, 0).unwrap();
    let OpenError::Storage(e) = small(&damaged).open().unwrap_err() else { panic!("not that") };
    assert!(e.is_damaged() && e.offset() == Some(32) && e.path().ends_with(&last), "{e}");
}

#[test]
fn damage_in_the_last_group_is_told_from_a_torn_tail_by_the_hint() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    outbox.append(&ctx, b"only one").unwrap();
    let name = "00000000000000000001.seg";
    memory.flip(name, 53, 1).unwrap();
    std::mem::forget(outbox); // As a process that is killed.
    let cut = memory.clone();
    let fresh = Memory::new();
    for file in ["tail", name] {
        let (from, to) = (cut.open(file).unwrap(), fresh.create(file).unwrap());
        let mut bytes = vec![0; from.size().unwrap() as usize];
        from.read_at(&mut bytes, 0).unwrap();
        to.write_at(&bytes, 0).unwrap();
    }
    assert!(small(&fresh).open().unwrap_err().storage().unwrap().is_damaged());
}

/// Any bytes at all in place of a segment, a cursor and the hint: no panic, no great memory.
#[test]
fn any_bytes_can_be_opened() {
    let memory = written();
    let names = memory.list().unwrap();
    let mut dice = Dice(11);
    for round in 0..3000 {
        let damaged = copy(&memory);
        for _ in 0..=dice.below(3) {
            let name = &names[dice.below(names.len() as u64) as usize];
            let file = damaged.open(name).unwrap();
            let size = file.size().unwrap();
            match dice.below(4) {
                0 => file.truncate(dice.below(size + 1)).unwrap(),
                1 => {
                    let noise: Vec<u8> =
                        (0..dice.below(64)).map(|_| dice.below(256) as u8).collect();
                    file.write_at(&noise, dice.below(size + 1)).map(drop).unwrap();
                }
                2 => {
                    // A piece of the file somewhere else in it.
                    let mut piece = vec![0; dice.below(600) as usize];
                    let got = file.read_at(&mut piece, dice.below(size + 1) / 4 * 4).unwrap();
                    let to = dice.below(size + 1) / 4 * 4;
                    file.write_at(&piece[..got], to).map(drop).unwrap();
                }
                _ => file.write_at(&[0; 128], dice.below(size + 1) / 4 * 4).map(drop).unwrap(),
            }
        }
        if let Ok(outbox) = small(&damaged).on_damage(OnDamage::Open).open() {
            let mut reader = outbox.reader("r").unwrap();
            let mut errors = 0;
            loop {
                match reader.try_next() {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        let whole = event.id > EVENTS + 3 || event.body == body(event.id);
                        assert!(whole, "round {round}: invented {}", event.id);
                    }
                    Err(_) => {
                        errors += 1;
                        if errors > 200 || reader.skip_damage().is_err() {
                            break;
                        }
                    }
                }
            }
            assert!(errors <= 200, "round {round}: goes round in circles");
        }
    }
}
