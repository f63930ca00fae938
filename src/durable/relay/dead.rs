//! Dead letters: what no broker takes, with the reason, kept until somebody replays or drops it.

use crate::context::Context;
use crate::durable::outbox::{AppendError, Outbox, ReadError, Reader, ReaderError};

/// An outbox of events that were given up, each with the reason.
///
/// A clone is another handle to the same letters.
///
/// ```
/// use ironsys::{Context, durable::{DeadLetters, Outbox}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (dir, dead) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// let (ctx, _cancel) = Context::root();
/// let outbox = Outbox::open(dir.path())?;
/// let letters = DeadLetters::new(Outbox::open(dead.path())?);
/// letters.put(&ctx, 7, "too large", b"...")?;
///
/// let mut open = letters.open()?;
/// let letter = open.try_next()?.expect("there is one");
/// assert_eq!((letter.id, &*letter.reason), (7, "too large"));
/// outbox.append(&ctx, &letter.body)?; // replayed
/// open.done()?;
/// assert!(letters.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct DeadLetters {
    outbox: Outbox,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number in the outbox it came from.
    pub id: u64,
    /// Why it was given up.
    pub reason: String,
    /// What was appended.
    pub body: Vec<u8>,
}

/// Reads dead letters, one at a time, to replay or drop them. Made by [`DeadLetters::open`].
#[derive(Debug)]
pub struct OpenLetters {
    reader: Reader,
    last: Option<u64>,
}

const READER: &str = "letters";

impl DeadLetters {
    /// Keeps dead letters in an outbox of their own.
    #[must_use]
    pub fn new(outbox: Outbox) -> Self {
        DeadLetters { outbox }
    }

    /// Puts a letter in, and returns when it is safe.
    ///
    /// # Cancellation
    /// As for [`Outbox::append`].
    ///
    /// # Errors
    /// See [`AppendError`].
    #[track_caller]
    pub fn put(
        &self,
        ctx: &Context,
        id: u64,
        reason: &str,
        body: &[u8],
    ) -> Result<u64, AppendError> {
        self.outbox.append(ctx, &encode(id, reason, body))
    }

    /// Opens the letters, for one at a time to read them.
    ///
    /// # Errors
    /// Somebody has them open; or the storage fails.
    pub fn open(&self) -> Result<OpenLetters, ReaderError> {
        Ok(OpenLetters { reader: self.outbox.reader(READER)?, last: None })
    }

    /// Returns how many letters there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.outbox.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outbox.is_empty()
    }
}

impl OpenLetters {
    /// Reads the next letter, if there is one.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn try_next(&mut self) -> Result<Option<DeadLetter>, ReadError> {
        let Some(event) = self.reader.try_next()? else { return Ok(None) };
        self.last = Some(event.id);
        Ok(Some(decode(&event.body)))
    }

    /// Removes all letters that were read.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn done(&mut self) -> Result<(), ReadError> {
        match self.last {
            Some(last) => Ok(self.reader.ack(last)?),
            None => Ok(()),
        }
    }
}

/// Number, length of the reason, reason, body.
fn encode(id: u64, reason: &str, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(reason.len()).unwrap_or(u32::MAX);
    let reason = &reason.as_bytes()[..len as usize];
    [&id.to_le_bytes()[..], &len.to_le_bytes(), reason, body].concat()
}

fn decode(bytes: &[u8]) -> DeadLetter {
    let (id, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], bytes));
    let (len, rest) = rest.split_first_chunk().unwrap_or((&[0; 4], rest));
    let len = (u32::from_le_bytes(*len) as usize).min(rest.len());
    let (reason, body) = rest.split_at(len);
    let reason = String::from_utf8_lossy(reason).into_owned();
    DeadLetter { id: u64::from_le_bytes(*id), reason, body: body.to_vec() }
}
