//! The owner's loop: let one reader in, hand out, take commits, and start anew with the next.
//!
//! Two threads for a connection, since the two directions do not wait for each other: one reads the
//! outbox and writes the socket, the other reads commits and acks. A reader that takes nothing more
//! holds up the first by the socket's buffer, and commits pass all the same.

use super::error::QueueError;
use super::frame::{self, Frame, Hello, Kind};
use super::place::Door;
use super::wire::{CHUNK, Lost, Wire, write};
use crate::channel;
use crate::context::{Context, Stop};
use crate::durable::outbox::{Acks, Event, Feed, Outbox, ReadError, Reader};
use crate::durable::storage::StorageError;
use crate::scope;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A queue at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// How many times a reader was let in.
    pub readers: u64,
    /// How many connections were turned away, or given up since they said what they should not.
    pub refused: u64,
    /// Whether a reader is there now.
    pub has_reader: bool,
}

/// What the loop works with. The order is that of dropping: the door goes before the right to it.
pub(super) struct Run {
    pub(super) door: Door,
    pub(super) identity: u64,
    pub(super) shown: channel::Publisher<QueueStats>,
    pub(super) stats: QueueStats,
    pub(super) reader: Reader,
    pub(super) outbox: Outbox,
}

/// How a connection ended.
enum End {
    /// The reader is gone.
    Gone,
    /// Everything is committed, and nothing more is to come.
    Drained,
    /// The reader says what it should not.
    Garbage(String),
    Failed(StorageError),
    Stopped,
}

/// What the two threads of a connection know of each other.
struct Shared {
    name: String,
    /// The last event that the reader has.
    sent: AtomicU64,
    /// Nothing more is to come after `sent`: what is appended later waits for the next reader.
    ending: AtomicBool,
}

impl From<Stop> for End {
    fn from(_: Stop) -> Self {
        End::Stopped
    }
}

impl Run {
    /// Runs until `ctx` stops, or until `intake` has stopped and everything is committed.
    pub(super) fn run(&mut self, ctx: &Context, intake: &Context) -> Result<(), QueueError> {
        loop {
            ctx.check()?;
            let draining = intake.is_stopped();
            if draining && self.reader.acked() >= self.outbox.stats().next {
                return Ok(());
            }
            // An end of the intake wakes it, to look whether there is anything left to do.
            let socket = match self.door.accept(if draining { ctx } else { intake }) {
                Ok(socket) => Arc::new(socket),
                Err(QueueError::Stopped(_)) => continue,
                Err(e) => {
                    log::warn!("ironsys: queue `{}`: {e}", self.reader.name());
                    ctx.sleep(PAUSE)?; // Too many open files, say.
                    continue;
                }
            };
            let ended = self.serve(ctx, intake, &socket);
            let name = self.reader.name();
            match ended {
                End::Gone => log::debug!("ironsys: queue `{name}`: the reader is gone"),
                End::Garbage(what) => {
                    self.stats.refused += 1;
                    log::warn!("ironsys: queue `{name}`: a reader is turned away: {what}");
                }
                End::Drained => return Ok(()),
                End::Failed(e) => return Err(e.into()),
                End::Stopped => {}
            }
            self.stats.has_reader = false;
            self.shown.publish(self.stats);
        }
    }

    fn serve(&mut self, ctx: &Context, intake: &Context, socket: &Arc<UnixStream>) -> End {
        let mut wire = Wire::new(socket.clone(), FROM_READER);
        let held = match self.welcome(ctx, &mut wire, socket) {
            Ok(held) => held,
            Err(end) => return end,
        };
        self.stats.readers += 1;
        self.stats.has_reader = true;
        self.shown.publish(self.stats);
        let shared = &Shared {
            name: self.reader.name().to_owned(),
            sent: AtomicU64::new(held),
            ending: AtomicBool::new(false),
        };
        let outbox = &self.outbox;
        let (feed, acks) = self.reader.halves();
        let ended = scope(ctx, |s| {
            s.execute(|ctx| hand_out(ctx, intake, outbox, feed, socket, shared));
            take_commits(s.ctx(), &mut wire, outbox, acks, shared)
        });
        ended.err().unwrap_or(End::Gone)
    }

    /// Lets a reader in: goes to the first event that it does not have. Returns the last that it has.
    fn welcome(
        &mut self,
        ctx: &Context,
        wire: &mut Wire,
        socket: &Arc<UnixStream>,
    ) -> Result<u64, End> {
        // Who waits for its turn has said it long ago.
        let hello = match wire.next(&ctx.with_timeout(HELLO_TIME)) {
            Ok(frame) if frame.kind == Kind::Hello => frame,
            Ok(_) => return Err(End::Garbage("its first word is no hello".into())),
            Err(Lost::Stopped(_)) if !ctx.is_stopped() => {
                return Err(End::Garbage(format!("it says nothing for {HELLO_TIME:?}")));
            }
            Err(lost) => return Err(lost.into()),
        };
        let Hello { queue, held } = match Hello::decode(&hello.body) {
            Ok(hello) => hello,
            Err(what) => return Err(refuse(ctx, socket, what.to_owned())),
        };
        // What it has of another queue says nothing about this one, nor what it commits.
        if queue != self.identity && queue != 0 {
            let what = "the queue is another one now, with events of the same numbers";
            return Err(refuse(ctx, socket, what.to_owned()));
        }
        if held >= self.outbox.stats().next {
            let what = format!("it has event {held}, which does not exist yet");
            return Err(refuse(ctx, socket, what));
        }
        self.reader.rewind();
        if held >= self.reader.acked() {
            self.reader.skip_to(held);
            self.reader.try_next()?;
        }
        if let Err(e) = self.reader.ack(hello.id.min(held)) {
            warn(self.reader.name(), &e);
        }
        let mut out = Vec::new();
        frame::push(&mut out, Kind::Welcome, self.identity, &[]);
        write(socket, ctx, &out)?;
        Ok(held.max(self.reader.acked().saturating_sub(1)))
    }
}

/// Reads the outbox and writes the socket, until either ends.
fn hand_out(
    ctx: &Context,
    intake: &Context,
    outbox: &Outbox,
    feed: &mut Feed,
    socket: &Arc<UnixStream>,
    shared: &Shared,
) -> Result<(), End> {
    let intake = &Context::merge(ctx, intake);
    let mut out = Vec::new();
    let put = |out: &mut Vec<u8>, event: Event| {
        frame::push(out, Kind::Event, event.id, &event.body);
        event.id
    };
    let mut over = false;
    loop {
        let mut last = None;
        // What is there goes in one piece; who waits for the first event does not wait for a second.
        while out.len() < CHUNK
            && let Some(event) = feed.try_next()?
        {
            last = Some(put(&mut out, event));
        }
        if last.is_none() {
            if over {
                return no_more(outbox, shared);
            }
            match feed.next(intake) {
                Ok(event) => last = Some(put(&mut out, event)),
                Err(ReadError::Storage(e)) => return Err(End::Failed(e)),
                // What came in last is handed out, too.
                Err(ReadError::Closed | ReadError::Stopped(_)) => {
                    ctx.check()?;
                    over = true;
                    continue;
                }
            }
        }
        if let Some(last) = last {
            shared.sent.store(last.max(shared.sent.load(Ordering::Relaxed)), Ordering::Release);
        }
        match write(socket, ctx, &out) {
            Ok(()) => out.clear(),
            // It takes no more; what it has committed is still to be read.
            Err(Lost::Io(_)) => return Ok(()),
            Err(lost) => return Err(lost.into()),
        }
        out.shrink_to(2 * CHUNK);
    }
}

/// Of two who look, at least one sees that the other is finished: the commits behind the lock of the
/// outbox, the end before it.
fn no_more(outbox: &Outbox, shared: &Shared) -> Result<(), End> {
    shared.ending.store(true, Ordering::Release);
    if is_done(outbox, shared) { Err(End::Drained) } else { Ok(()) }
}

/// Whether all that was handed out is committed: more may have been appended since.
fn is_done(outbox: &Outbox, shared: &Shared) -> bool {
    let sent = shared.sent.load(Ordering::Acquire);
    outbox
        .stats()
        .readers
        .iter()
        .all(|reader| reader.name != shared.name || reader.lag == 0 || reader.position > sent)
}

/// Reads the socket and acks what is committed.
fn take_commits(
    ctx: &Context,
    wire: &mut Wire,
    outbox: &Outbox,
    acks: &mut Acks,
    shared: &Shared,
) -> Result<(), End> {
    loop {
        let mut last = committed(wire.next(ctx)?)?;
        while let Some(frame) = wire.try_next()? {
            last = last.max(committed(frame)?);
        }
        let sent = shared.sent.load(Ordering::Acquire);
        if last > sent {
            let what = format!("it commits event {last}, and was sent {sent} at the most");
            return Err(End::Garbage(what));
        }
        if let Err(e) = acks.ack(last) {
            warn(&shared.name, &e);
        }
        if shared.ending.load(Ordering::Acquire) && is_done(outbox, shared) {
            return Err(End::Drained);
        }
    }
}

fn committed(frame: Frame) -> Result<u64, End> {
    match frame.kind {
        Kind::Commit => Ok(frame.id),
        other => Err(End::Garbage(format!("it says {other:?} where it may only commit"))),
    }
}

/// Tells it why it is not let in, if it hears that.
fn refuse(ctx: &Context, socket: &Arc<UnixStream>, what: String) -> End {
    let mut out = Vec::new();
    frame::push(&mut out, Kind::Refused, 0, what.as_bytes());
    let _ = write(socket, ctx, &out);
    End::Garbage(what)
}

fn warn(name: &str, e: &StorageError) {
    // It counts all the same; after a restart of the owner these are handed out again.
    log::warn!("ironsys: queue `{name}`: {e}");
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Io(_) => End::Gone,
            Lost::Garbage(what) => End::Garbage(what),
            Lost::Stopped(_) => End::Stopped,
        }
    }
}

impl From<StorageError> for End {
    fn from(e: StorageError) -> Self {
        End::Failed(e)
    }
}

/// The longest body a reader may send: its hello.
const FROM_READER: usize = 64;
/// How long a reader whose turn it is may take to say who it is.
const HELLO_TIME: Duration = Duration::from_secs(5);
/// Between two attempts to let somebody in, if the system does not.
const PAUSE: Duration = Duration::from_millis(100);
