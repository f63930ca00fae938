//! Frames: how an event, a marker or a seal stands in a segment. `README.md` has the bytes.
//!
//! Nothing here trusts what it reads: a length is believed only after its checksum is.

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event; `id` is its number.
    Event,
    /// The end of a group commit: everything below `id` was on disk before the group was written.
    /// The checksum of the body stands for the bytes of the group, this frame not counted.
    Marker,
    /// The end of a segment; the next one begins with the event `id`.
    Seal,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Bytes of the body.
    pub(super) len: u32,
    pub(super) id: u64,
    /// The checksum of the body.
    pub(super) body: u32,
}

/// Bytes of a header.
pub(super) const HEADER: usize = 20;
/// Frames start at multiples of this.
pub(super) const ALIGN: usize = 4;
/// The longest body: the upper bits of the length are the kind.
pub(in crate::durable) const MAX_BODY: usize = (1 << KIND_SHIFT) - 1;
const KIND_SHIFT: u32 = 28;

impl Head {
    /// The bytes, under a segment's seed.
    pub(super) fn encode(&self, seed: u32) -> [u8; HEADER] {
        let mut bytes = self.unsigned();
        sign(&mut bytes, seed);
        bytes
    }

    /// The bytes but for their own checksum.
    fn unsigned(&self) -> [u8; HEADER] {
        let kind = match self.kind {
            Kind::Event => 1,
            Kind::Marker => 2,
            Kind::Seal => 3,
        };
        let mut bytes = [0; HEADER];
        bytes[4..8].copy_from_slice(&(self.len | kind << KIND_SHIFT).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.body.to_le_bytes());
        bytes
    }

    /// `None` if it does not verify.
    pub(super) fn decode(bytes: &[u8; HEADER], seed: u32) -> Option<Head> {
        let tagged = word(&bytes[4..8]);
        let kind = match tagged >> KIND_SHIFT {
            1 => Kind::Event,
            2 => Kind::Marker,
            3 => Kind::Seal,
            _ => return None,
        };
        if crc32c::crc32c_append(seed, &bytes[4..]) != word(&bytes[..4]) {
            return None;
        }
        let len = tagged & MAX_BODY as u32;
        if kind != Kind::Event && len != 0 {
            return None;
        }
        Some(Head { kind, len, id: long(&bytes[8..16]), body: word(&bytes[16..20]) })
    }

    /// Bytes of the whole frame.
    pub(super) fn frame(&self) -> usize {
        frame(self.len as usize)
    }
}

/// Bytes of a frame with a body of `len` bytes.
pub(super) fn frame(len: usize) -> usize {
    HEADER + len.next_multiple_of(ALIGN)
}

/// The checksum of a body.
pub(super) fn checksum(body: &[u8]) -> u32 {
    crc32c::crc32c(body)
}

/// Appends an event's frame, the header not yet signed: the segment is chosen later.
pub(super) fn push_event(out: &mut Vec<u8>, id: u64, body: &[u8], checksum: u32) {
    let head = Head { kind: Kind::Event, len: body.len() as u32, id, body: checksum };
    let end = out.len() + head.frame();
    out.extend_from_slice(&head.unsigned());
    out.extend_from_slice(body);
    out.resize(end, 0);
}

/// Signs the headers of a group of events for a segment.
pub(super) fn sign_events(group: &mut [u8], seed: u32) {
    let mut at = 0;
    while let Some(head) = group.get_mut(at..at + HEADER) {
        let len = word(&head[4..8]) & MAX_BODY as u32;
        sign(head, seed);
        at += frame(len as usize);
    }
}

fn sign(head: &mut [u8], seed: u32) {
    let sum = crc32c::crc32c_append(seed, &head[4..HEADER]);
    head[..4].copy_from_slice(&sum.to_le_bytes());
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHead {
    /// The number of the first event.
    pub(super) base: u64,
    /// A number of its own for each use of a file, so that what an earlier use left does not verify.
    pub(super) epoch: u64,
}

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 32;
const MAGIC: &[u8; 8] = b"ironlog\x01";

impl SegmentHead {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.base.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What is wrong with it, if it is none.
    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<SegmentHead, &'static str> {
        if bytes[..7] != MAGIC[..7] {
            return Err("it does not begin as a segment does");
        }
        if bytes[7] != MAGIC[7] {
            return Err("it is of another version");
        }
        if crc32c::crc32c(&bytes[..24]) != word(&bytes[24..28]) {
            return Err("its header does not verify");
        }
        Ok(SegmentHead { base: long(&bytes[8..16]), epoch: long(&bytes[16..24]) })
    }

    /// What the checksums of this segment's headers start from.
    pub(super) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.epoch.to_le_bytes())
    }
}

/// A record of 32 bytes that is overwritten in place: three numbers and their checksum.
pub(super) fn encode_record(numbers: [u64; 3]) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    let sum = crc32c::crc32c(&bytes[..24]);
    bytes[24..28].copy_from_slice(&sum.to_le_bytes());
    bytes[28..32].copy_from_slice(&RECORD_MAGIC);
    bytes
}

pub(super) fn decode_record(bytes: &[u8; RECORD]) -> Option<[u64; 3]> {
    let whole =
        bytes[28..32] == RECORD_MAGIC && crc32c::crc32c(&bytes[..24]) == word(&bytes[24..28]);
    whole.then(|| [long(&bytes[..8]), long(&bytes[8..16]), long(&bytes[16..24])])
}

/// Bytes of a record.
pub(super) const RECORD: usize = 32;
const RECORD_MAGIC: [u8; 4] = *b"irn\x01";

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn long(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
