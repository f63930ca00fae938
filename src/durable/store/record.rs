//! What is written for one snapshot: `crc32c (4) | version (4) | state`, little-endian.
//!
//! The checksum is over the key, too: a record under somebody else's key does not verify. redb looks at
//! its own checksums only when it repairs a file, so a flipped bit would come back as somebody's state.

use crate::session::Snapshot;

const HEAD: usize = 8;

pub(super) fn encode(key: &[u8], snapshot: &Snapshot) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + snapshot.bytes.len());
    record.extend([0; 4]);
    record.extend(snapshot.version.to_le_bytes());
    record.extend(&snapshot.bytes);
    let sum = checksum(key, &record[4..]);
    record[..4].copy_from_slice(&sum.to_le_bytes());
    record
}

/// The snapshot, or what is wrong with it.
pub(super) fn decode(key: &[u8], record: &[u8]) -> Result<Snapshot, String> {
    let Some((sum, rest)) = record.split_first_chunk::<4>() else {
        return Err(format!("{} bytes are too few for a record", record.len()));
    };
    let Some((version, bytes)) = rest.split_first_chunk::<4>() else {
        return Err(format!("{} bytes are too few for a record", record.len()));
    };
    if u32::from_le_bytes(*sum) != checksum(key, rest) {
        return Err("its checksum does not verify".into());
    }
    Ok(Snapshot::new(u32::from_le_bytes(*version), bytes))
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    // The length tells apart a key and a state that share a border.
    let length = (key.len() as u64).to_le_bytes();
    [&length, key, rest].into_iter().fold(0, crc32c::crc32c_append)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(key: Vec<u8>, version: u32, bytes: Vec<u8>) {
            let snapshot = Snapshot::new(version, bytes);
            prop_assert_eq!(decode(&key, &encode(&key, &snapshot)), Ok(snapshot));
        }

        #[test]
        fn a_flipped_bit_is_found(key: Vec<u8>, bytes: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
            let mut record = encode(&key, &Snapshot::new(1, bytes));
            let at = at.index(record.len());
            record[at] ^= 1u8 << bit;
            prop_assert!(decode(&key, &record).is_err());
        }

        #[test]
        fn garbage_is_refused_without_a_panic(key: Vec<u8>, record: Vec<u8>) {
            prop_assert!(decode(&key, &record).is_err());
        }

        #[test]
        fn another_keys_record_is_refused(key: Vec<u8>, other: Vec<u8>, bytes: Vec<u8>) {
            prop_assume!(key != other);
            prop_assert!(decode(&other, &encode(&key, &Snapshot::new(1, bytes))).is_err());
        }
    }
}
