//! Signing what the server gives, by the seed of an nkey.
//!
//! A seed is base32: two bytes with the kinds (seed, user), 32 bytes of an ed25519 seed, and a CRC-16
//! (XMODEM) with its low byte first. The format is that of the NATS project.

use ed25519_dalek::{Signer, SigningKey};

#[derive(Clone)]
pub(super) struct Seed(SigningKey);

const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl Seed {
    pub(super) fn parse(text: &str) -> Option<Seed> {
        let bytes = from_base32(text.trim())?;
        let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
        if crc16(body).to_le_bytes() != *check {
            return None;
        }
        let [first, second, key @ ..] = body else { return None };
        // The kind of the key is spread over both bytes.
        let kind = (first & 0b111) << 5 | (second >> 3);
        if first & 0b1111_1000 != SEED || kind != USER {
            return None;
        }
        Some(Seed(SigningKey::from_bytes(key.try_into().ok()?)))
    }

    /// The public key, as the server knows it.
    pub(super) fn public(&self) -> String {
        let mut bytes = vec![USER];
        bytes.extend_from_slice(self.0.verifying_key().as_bytes());
        bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
        to_base32(&bytes)
    }

    /// The signature of the server's nonce, in base64 for URLs without padding.
    pub(super) fn sign(&self, nonce: &str) -> String {
        to_base64(&self.0.sign(nonce.as_bytes()).to_bytes())
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        (bits, held) = (bits << 5 | value as u32, held + 5);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

fn to_base32(bytes: &[u8]) -> String {
    in_groups(bytes, 5, |value| ALPHABET[value] as char)
}

fn to_base64(bytes: &[u8]) -> String {
    in_groups(bytes, 6, |value| match value as u8 {
        value @ 0..26 => (b'A' + value) as char,
        value @ 26..52 => (b'a' + value - 26) as char,
        value @ 52..62 => (b'0' + value - 52) as char,
        62 => '-',
        _ => '_',
    })
}

/// So many bits at a time as letters.
fn in_groups(bytes: &[u8], size: u32, letter: impl Fn(usize) -> char) -> String {
    let (mut out, mut bits, mut held) = (String::new(), 0_u32, 0);
    let mask = (1 << size) - 1;
    for byte in bytes {
        (bits, held) = (bits << 8 | u32::from(*byte), held + 8);
        while held >= size {
            held -= size;
            out.push(letter((bits >> held & mask) as usize));
        }
    }
    if held > 0 {
        out.push(letter((bits << (size - held) & mask) as usize));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn a_seed_of_a_user_gives_its_public_key_and_no_other_seed_is_taken() {
        let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
        let parsed = Seed::parse(seed).map(|seed| seed.public());
        let known = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
        assert_eq!(parsed.as_deref(), Some(known));
        for bad in ["", "SU", "SAACSSL3UAHUDXKF", &seed[1..], &seed.to_lowercase(), "U"] {
            assert!(Seed::parse(bad).is_none(), "{bad}");
        }
        assert!(Seed::parse(&seed.replace("HUDX", "HUDY")).is_none());
    }
}
