//! What stands in the journal about a saga: everything, each time.

/// A saga at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Of two records about a saga the one with the higher version counts; the later, if they have
    /// the same. It begins with the number that the first record may have, so that a saga whose id
    /// was used before is above all that is left of the other.
    pub(super) version: u64,
    pub(super) phase: Phase,
    /// The name of the definition.
    pub(super) saga: String,
    pub(super) id: String,
    /// The steps of which something may have been done, and has not been undone.
    pub(super) done: Vec<String>,
    pub(super) state: Vec<u8>,
    /// The step that turned it round, and why.
    pub(super) failed: String,
    pub(super) why: String,
    /// Why it is stuck.
    pub(super) trouble: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its actions run.
    Forward,
    /// Its compensations run.
    Back,
    /// A compensation failed for good.
    Stuck,
    /// It is over.
    Closed,
}

impl Snapshot {
    pub(super) fn new(version: u64, saga: &str, id: &str, state: &[u8]) -> Self {
        Snapshot {
            version,
            phase: Phase::Forward,
            saga: saga.into(),
            id: id.into(),
            done: Vec::new(),
            state: state.into(),
            failed: String::new(),
            why: String::new(),
            trouble: String::new(),
        }
    }

    /// The version, the phase, the number of steps; then texts and state, each behind its length. Of
    /// one that is over only the name is kept.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.version.to_le_bytes());
        out.push(match self.phase {
            Phase::Forward => 0,
            Phase::Back => 1,
            Phase::Stuck => 2,
            Phase::Closed => 3,
        });
        let mut put = |bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        put(self.id.as_bytes());
        if self.phase != Phase::Closed {
            put(self.saga.as_bytes());
            put(&self.state);
            put(self.failed.as_bytes());
            put(self.why.as_bytes());
            put(self.trouble.as_bytes());
            self.done.iter().for_each(|step| put(step.as_bytes()));
        }
        out
    }

    /// `None` if it is no such record.
    pub(super) fn decode(bytes: &[u8]) -> Option<Snapshot> {
        let rest = bytes.strip_prefix(&[FORMAT])?;
        let (version, rest) = rest.split_first_chunk()?;
        let (phase, mut rest) = rest.split_first()?;
        let phase = match phase {
            0 => Phase::Forward,
            1 => Phase::Back,
            2 => Phase::Stuck,
            3 => Phase::Closed,
            _ => return None,
        };
        let mut bytes = || -> Option<Vec<u8>> {
            let (len, behind) = rest.split_first_chunk()?;
            let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
            let (bytes, behind) = behind.split_at_checked(len)?;
            rest = behind;
            Some(bytes.to_vec())
        };
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes?).ok();
        let mut snapshot = Snapshot::new(u64::from_le_bytes(*version), "", &text(bytes())?, &[]);
        snapshot.phase = phase;
        if phase == Phase::Closed {
            return Some(snapshot);
        }
        snapshot.saga = text(bytes())?;
        snapshot.state = bytes()?;
        snapshot.failed = text(bytes())?;
        snapshot.why = text(bytes())?;
        snapshot.trouble = text(bytes())?;
        while let Some(step) = bytes() {
            snapshot.done.push(String::from_utf8(step).ok()?);
        }
        Some(snapshot)
    }
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written_and_no_prefix_of_it_panics() {
        let mut snapshot = Snapshot::new(7, "order", "a/1", b"\0state");
        snapshot.done = vec!["reserve".into(), "pay".into()];
        snapshot.why = "no credit".into();
        for phase in [Phase::Forward, Phase::Back, Phase::Stuck] {
            snapshot.phase = phase;
            let bytes = snapshot.encode();
            assert_eq!(Snapshot::decode(&bytes).as_ref(), Some(&snapshot));
            for end in 0..bytes.len() {
                assert_ne!(Snapshot::decode(&bytes[..end]).as_ref(), Some(&snapshot));
            }
        }
        snapshot.phase = Phase::Closed;
        let read = Snapshot::decode(&snapshot.encode()).expect("what was written");
        assert_eq!((read.id, read.version, read.phase), ("a/1".into(), 7, Phase::Closed));
        assert!(Snapshot::decode(&[FORMAT, 0, 0, 0, 0, 0, 0, 0, 0, 9]).is_none());
    }
}
