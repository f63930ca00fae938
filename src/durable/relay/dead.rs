//! Dead letters: what no broker takes, with the reason, kept until somebody replays or drops it.

use super::publisher::{PublishError, Publisher, Sent};
use crate::context::{Context, Stop};
use crate::durable::outbox::{AppendError, Event, Outbox, ReadError, Reader, ReaderError};

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

/// What became of letters that were replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Those that were given back, with what they were given up for.
    pub returned: Vec<Returned>,
    /// How many were rejected again, and stay.
    pub kept: u64,
}

/// A letter that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Returned {
    /// Its number in the outbox it came from.
    pub id: u64,
    /// Its number where it was given back; the same if that was a publisher.
    pub new_id: u64,
    /// Why it was given up.
    pub reason: String,
}

/// A replay that ended before every letter had its turn. What was not given back stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Somebody has the letters open; or their storage fails.
    #[error(transparent)]
    Open(#[from] ReaderError),
    /// The letters cannot be read, or not removed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The outbox does not take one, or the letters do not take one back.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The broker is down.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The context stopped.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// How a letter's turn ended.
enum Turn {
    Back(u64),
    Again(String),
}

const READER: &str = "letters";

impl DeadLetters {
    /// Keeps dead letters in an outbox of their own.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let letters = DeadLetters::new(Outbox::open(dir.path())?);
    /// letters.put(&ctx, 7, "too large", b"a book")?;
    /// drop(letters);
    /// let letters = DeadLetters::new(Outbox::open(dir.path())?); // after a restart
    /// assert_eq!(letters.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// letters.put(&ctx, 7, "too large", b"a book")?; // on disk now
    /// let letter = letters.open()?.try_next()?.unwrap();
    /// assert_eq!((letter.id, &*letter.reason, &*letter.body), (7, "too large", &b"a book"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// let mine = letters.open()?;
    /// assert!(matches!(letters.open(), Err(ReaderError::InUse(_)))); // one at a time
    /// drop(mine);
    /// assert!(letters.open().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self) -> Result<OpenLetters, ReaderError> {
        Ok(OpenLetters { reader: self.outbox.reader(READER)?, last: None })
    }

    /// Gives the letters back to a publisher, one by one, each at least once. What it takes is
    /// removed; what it rejects again is kept, behind the others, with all its reasons. The publisher
    /// sees the numbers that the events had, so a broker that has one already knows it.
    ///
    /// Every letter that is there at the start has one turn.
    ///
    /// # Cancellation
    /// Those not given back stay. The one under way stays too, and may be given again.
    ///
    /// # Errors
    /// See [`ReplayError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// letters.put(&ctx, 7, "no such account", b"paid")?;
    /// letters.put(&ctx, 9, "too large", b"a whole book")?;
    /// let mut publish = |_: &Context, event: &Event| match event.body.len() {
    ///     0..9 => Ok(()),
    ///     _ => Err(PublishError::Rejected("still too large".into())),
    /// };
    /// let replayed = letters.replay(&ctx, &mut publish)?;
    /// assert_eq!((replayed.returned[0].id, replayed.kept), (7, 1));
    /// let kept = letters.open()?.try_next()?.unwrap();
    /// assert_eq!(kept.reason, "too large; still too large");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn replay(
        &self,
        ctx: &Context,
        publisher: &mut impl Publisher,
    ) -> Result<Replayed, ReplayError> {
        self.each(ctx, |ctx, letter| {
            let event = Event { id: letter.id, body: letter.body.clone() };
            match deliver(ctx, publisher, &event) {
                Ok(()) => Ok(Turn::Back(letter.id)),
                Err(PublishError::Rejected(reason)) => Ok(Turn::Again(reason)),
                Err(e) => {
                    publisher.reset();
                    Err(e.into())
                }
            }
        })
    }

    /// Gives the letters back to an outbox, at its end, each at least once: after a crash in the
    /// middle the last one may be there twice. They get new numbers there.
    ///
    /// # Cancellation
    /// Those not given back stay.
    ///
    /// # Errors
    /// See [`ReplayError`].
    ///
    /// ```
    /// use ironsys::{Context, durable::{DeadLetters, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, dead) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(Outbox::open(dead.path())?);
    /// letters.put(&ctx, 7, "no such account", b"paid")?;
    /// let replayed = letters.replay_into(&ctx, &outbox)?;
    /// let letter = &replayed.returned[0];
    /// assert_eq!((letter.id, letter.new_id, &*letter.reason), (7, 1, "no such account"));
    /// assert_eq!((outbox.len(), letters.len()), (1, 0));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn replay_into(&self, ctx: &Context, outbox: &Outbox) -> Result<Replayed, ReplayError> {
        self.each(ctx, |ctx, letter| Ok(Turn::Back(outbox.append(ctx, &letter.body)?)))
    }

    fn each(
        &self,
        ctx: &Context,
        mut give: impl FnMut(&Context, &DeadLetter) -> Result<Turn, ReplayError>,
    ) -> Result<Replayed, ReplayError> {
        let mut open = self.open()?;
        let end = self.outbox.stats().next;
        let mut replayed = Replayed::default();
        while open.reader.position() < end {
            ctx.check()?;
            let Some(letter) = open.try_next()? else { break };
            match give(ctx, &letter)? {
                Turn::Back(new_id) => {
                    let DeadLetter { id, reason, .. } = letter;
                    replayed.returned.push(Returned { id, new_id, reason });
                }
                Turn::Again(reason) => {
                    let reasons = format!("{}; {reason}", letter.reason);
                    // It is there twice before it is there once.
                    self.put(ctx, letter.id, &reasons, &letter.body)?;
                    replayed.kept += 1;
                }
            }
            open.done()?;
        }
        Ok(replayed)
    }

    /// Returns how many letters there are.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// letters.put(&ctx, 7, "too large", b"a book")?;
    /// letters.put(&ctx, 9, "too large", b"a book")?;
    /// assert_eq!(letters.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.outbox.len()
    }

    /// Returns whether there is none.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// assert!(letters.is_empty());
    /// letters.put(&ctx, 7, "too large", b"a book")?;
    /// assert!(!letters.is_empty()); // somebody should look
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// letters.put(&ctx, 7, "too large", b"a book")?;
    /// let mut open = letters.open()?;
    /// assert_eq!(open.try_next()?.map(|letter| letter.id), Some(7));
    /// assert_eq!(open.try_next()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> Result<Option<DeadLetter>, ReadError> {
        let Some(event) = self.reader.try_next()? else { return Ok(None) };
        self.last = Some(event.id);
        Ok(Some(decode(&event.body)))
    }

    /// Removes all letters that were read.
    ///
    /// # Errors
    /// Those of the storage.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let letters = DeadLetters::new(outbox);
    /// letters.put(&ctx, 7, "too large", b"a book")?;
    /// let mut open = letters.open()?;
    /// open.try_next()?;
    /// assert_eq!(letters.len(), 1); // read, and still there
    /// open.done()?;
    /// assert_eq!(letters.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn done(&mut self) -> Result<(), ReadError> {
        match self.last {
            Some(last) => Ok(self.reader.ack(last)?),
            None => Ok(()),
        }
    }
}

/// Sends one event and waits for its answer.
fn deliver(
    ctx: &Context,
    publisher: &mut impl Publisher,
    event: &Event,
) -> Result<(), PublishError> {
    if publisher.send(ctx, event)? == Sent::Done {
        return Ok(());
    }
    let mut answers = Vec::new();
    loop {
        ctx.check()?;
        publisher.settle(ctx, &mut answers)?;
        match answers.drain(..).find(|(id, _)| *id == event.id) {
            Some((_, Ok(()))) => return Ok(()),
            Some((_, Err(reason))) => return Err(PublishError::Rejected(reason)),
            None => {}
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
