//! What goes over the socket: a length, a checksum, a kind, a number, a body.
//!
//! Nothing here trusts what it reads: a length is bounded before anything is kept for it, and a frame
//! counts when its checksum is right.

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A reader, of itself: `id` is the last event it is done with, the body a [`Hello`].
    Hello,
    /// The owner, to a reader whose turn it is: `id` is the queue's identity.
    Welcome,
    /// An event.
    Event,
    /// Everything up to `id` is done with.
    Commit,
    /// The owner does not let the reader in; the body says why.
    Refused,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) id: u64,
    pub(super) body: Vec<u8>,
}

/// Who a reader is, as far as the owner has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    /// The identity of the queue it has read before; 0 if none.
    pub(super) queue: u64,
    /// The last event it has, done with or not.
    pub(super) held: u64,
}

/// Bytes before the body.
pub(super) const HEAD: usize = 17;
const MAGIC: &[u8; 8] = b"ironque\x01";

/// Appends a frame.
pub(super) fn push(out: &mut Vec<u8>, kind: Kind, id: u64, body: &[u8]) {
    let start = out.len();
    // No body is longer than an outbox takes.
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(kind as u8 + 1);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(body);
    let sum = checksum(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
}

/// Takes the frame at the beginning of `bytes`, if it is there as a whole, and how long it is.
pub(super) fn take(bytes: &[u8], most: usize) -> Result<Option<(Frame, usize)>, String> {
    let Some((len, _)) = bytes.split_first_chunk() else { return Ok(None) };
    let len = u32::from_le_bytes(*len) as usize;
    if len > most {
        return Err(format!("a frame of {len} bytes, of {most} at the most"));
    }
    let Some(frame) = bytes.get(..HEAD + len) else { return Ok(None) };
    if checksum(frame).to_le_bytes() != frame[4..8] {
        return Err("the checksum of a frame is wrong".into());
    }
    let kind = match frame[8] {
        1 => Kind::Hello,
        2 => Kind::Welcome,
        3 => Kind::Event,
        4 => Kind::Commit,
        5 => Kind::Refused,
        other => return Err(format!("a frame of the unknown kind {other}")),
    };
    let frame = Frame { kind, id: long(&frame[9..HEAD]), body: frame[HEAD..].to_vec() };
    Ok(Some((frame, HEAD + len)))
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.queue.to_le_bytes(), &self.held.to_le_bytes()].concat()
    }

    /// What is wrong with it, if it is none.
    pub(super) fn decode(body: &[u8]) -> Result<Hello, &'static str> {
        if body.len() < 8 || body[..7] != MAGIC[..7] {
            return Err("it does not begin as a reader does");
        }
        if body[7] != MAGIC[7] || body.len() != 24 {
            return Err("it speaks another version");
        }
        Ok(Hello { queue: long(&body[8..16]), held: long(&body[16..]) })
    }
}

/// Of everything but the place of the checksum itself.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..])
}

fn long(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut bytes = Vec::new();
        push(&mut bytes, Kind::Event, 7, b"paid");
        push(&mut bytes, Kind::Commit, u64::MAX, b"");
        for cut in 0..HEAD + 4 {
            assert_eq!(take(&bytes[..cut], 4), Ok(None));
        }
        let (frame, len) = take(&bytes, 4).unwrap().unwrap();
        assert_eq!(frame, Frame { kind: Kind::Event, id: 7, body: b"paid".to_vec() });
        let (frame, _) = take(&bytes[len..], 4).unwrap().unwrap();
        assert_eq!(frame, Frame { kind: Kind::Commit, id: u64::MAX, body: Vec::new() });
        assert!(take(&bytes, 3).unwrap_err().contains("4 bytes, of 3"));
    }

    #[test]
    fn no_bit_can_be_flipped() {
        let mut bytes = Vec::new();
        push(&mut bytes, Kind::Event, 7, b"paid");
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            // A longer length is one that has not come, or too long.
            assert!(matches!(take(&other, 64), Err(_) | Ok(None)), "bit {bit}");
        }
    }

    #[test]
    fn a_hello_is_known_by_its_first_bytes() {
        let hello = Hello { queue: 3, held: 9 };
        assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        let mut other = hello.encode();
        other[7] += 1;
        assert_eq!(Hello::decode(&other), Err("it speaks another version"));
        assert_eq!(Hello::decode(b"GET / HTTP"), Err("it does not begin as a reader does"));
    }
}
