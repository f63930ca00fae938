//! The reader's side of a queue.

use super::error::QueueError;
use super::frame::{self, Frame, Hello, Kind};
use super::place::socket_path;
use super::wire::{Lost, Wire, write};
use crate::context::{Context, Stop};
use crate::durable::consumer::{Committer, Delivery, Source, SourceError};
use crate::durable::log::MAX_BODY;
use crate::schedule::{Backoff, Jitter};
use crate::sync::{Arc, Mutex};
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Receives the events of a [`Queue`](super::Queue), which another process has, for a
/// [`Consumer`](crate::durable::Consumer).
///
/// The position of a delivery is the event's number; its id has the queue's identity in front of it, so
/// it is the same in whichever process the event comes again. The key is empty until
/// [`key_by`](crate::durable::ConsumerBuilder::key_by) makes one. The deliveries have no end.
///
/// While the owner is away, it is looked for again and again, with pauses that double from 10 ms to 1 s
/// unless [`backoff`](Self::backoff) is set. Another reader that is there already has its turn first:
/// this one waits without looking. After a connection was lost, what was received before does not come a
/// second time, and what was committed meanwhile is told to the owner with the first word.
///
/// Dropping it and its committer gives the turn to the next reader; what was not committed is handed
/// out again.
///
/// ```no_run
/// use ironsys::{Context, durable::{Consumer, QueueSource}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let source = QueueSource::open("/var/lib/shop/outbox", "billing")?;
/// Consumer::builder().workers(4).build()?.run(&ctx, source, |_ctx, delivery| {
///     println!("{}", String::from_utf8_lossy(&delivery.body));
///     Ok::<_, std::convert::Infallible>(())
/// })?;
/// # Ok(()) }
/// ```
pub struct QueueSource {
    path: PathBuf,
    backoff: Backoff,
    /// There is one while the reader has its turn.
    wire: Option<Wire>,
    /// Or while it waits for that: a deadline does not cost it its place.
    waiting: Option<Wire>,
    /// The queue's identity; 0 before the first turn.
    queue: u64,
    /// The last event received.
    held: u64,
    line: Arc<Line>,
}

/// Commits what a [`QueueSource`] has received.
///
/// A commit is sent at once. If the owner is away, or another reader has its turn, it is kept, and told
/// when it is this one's turn again: a reader that ends before that has what it committed last delivered
/// again.
pub struct QueueCommitter {
    line: Arc<Line>,
}

/// What both halves have.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where commits go.
    socket: Option<Arc<UnixStream>>,
    /// The last event that is done with.
    done: u64,
    /// What the last hello said of it.
    told: u64,
}

impl QueueSource {
    /// Makes a source of the queue of a name, of the outbox in a directory. Nothing has to be there
    /// yet: it connects when something is received.
    ///
    /// # Errors
    /// [`Path`](QueueError::Path): no socket can have such a path. [`Reader`](QueueError::Reader): the
    /// name is none.
    ///
    /// ```
    /// use ironsys::durable::QueueSource;
    /// # let dir = tempfile::tempdir()?;
    /// assert!(QueueSource::open(dir.path(), "billing").is_ok()); // the owner may come later
    /// assert!(QueueSource::open(dir.path(), "../billing").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(folder: impl AsRef<Path>, name: &str) -> Result<Self, QueueError> {
        let path = socket_path(folder.as_ref(), name)?;
        let backoff = Backoff::exponential(Duration::from_millis(10))
            .max_delay(Duration::from_secs(1))
            .jitter(Jitter::Equal);
        Ok(QueueSource {
            path,
            backoff,
            wire: None,
            waiting: None,
            queue: 0,
            held: 0,
            line: Arc::default(),
        })
    }

    /// Sets the pauses while the owner is away. They begin anew when the sequence ends: an owner is
    /// never given up.
    ///
    /// ```
    /// use ironsys::{durable::QueueSource, schedule::Backoff};
    /// use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// let often = Backoff::fixed(Duration::from_millis(100));
    /// let source = QueueSource::open(dir.path(), "billing")?.backoff(often);
    /// # drop(source);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Connects, and waits for its turn.
    fn ready(&mut self, ctx: &Context) -> Result<Wire, SourceError> {
        if let Some(wire) = self.wire.take() {
            return Ok(wire);
        }
        let backoff = self.backoff.clone();
        let mut delays = backoff.delays();
        loop {
            match self.connect(ctx) {
                Ok(wire) => return Ok(wire),
                Err(Lost::Stopped(stop)) => return Err(stop.into()),
                Err(Lost::Io(e)) if is_away(&e) => {}
                Err(Lost::Io(error)) => {
                    return Err(SourceError::failed(QueueError::Io {
                        path: self.path.clone(),
                        error,
                    }));
                }
                Err(Lost::Garbage(what)) => return Err(self.wrong(&what)),
            }
            let delay = delays.next().or_else(|| {
                delays = backoff.delays();
                delays.next()
            });
            ctx.sleep(delay.unwrap_or_default())?;
        }
    }

    fn connect(&mut self, ctx: &Context) -> Result<Wire, Lost> {
        ctx.check()?;
        let mut wire = match self.waiting.take() {
            Some(wire) => wire,
            None => {
                let socket = Arc::new(UnixStream::connect(&self.path).map_err(Lost::Io)?);
                self.line.introduce(ctx, &socket, Hello { queue: self.queue, held: self.held })?;
                Wire::new(socket, MAX_BODY)
            }
        };
        let welcome = match wire.next(ctx) {
            Ok(frame) => frame,
            Err(Lost::Stopped(Stop::DeadlineExceeded)) => {
                self.waiting = Some(wire);
                return Err(Stop::DeadlineExceeded.into());
            }
            Err(lost) => return Err(lost),
        };
        match welcome.kind {
            Kind::Welcome if self.queue == 0 || welcome.id == self.queue => {
                self.queue = welcome.id;
                self.line.begin(ctx, wire.socket())?;
                Ok(wire)
            }
            Kind::Refused => {
                let why = String::from_utf8_lossy(&welcome.body);
                Err(Lost::Garbage(format!("the queue does not let the reader in: {why}")))
            }
            other => Err(Lost::Garbage(format!("its first word is {other:?} of {}", welcome.id))),
        }
    }

    fn wrong(&mut self, what: &str) -> SourceError {
        self.line.hang_up();
        SourceError::failed(format!("{}: {what}", self.path.display()))
    }

    fn delivery(&mut self, frame: Frame) -> Delivery {
        self.held = frame.id;
        let id = format!("{:016x}-{}", self.queue, frame.id).into_bytes();
        Delivery { position: frame.id, id, key: Vec::new(), body: frame.body }
    }
}

impl Source for QueueSource {
    type Committer = QueueCommitter;

    fn committer(&mut self) -> QueueCommitter {
        QueueCommitter { line: self.line.clone() }
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        loop {
            let mut wire = self.ready(ctx)?;
            match wire.next(ctx) {
                Ok(frame) if frame.kind == Kind::Event => {
                    self.wire = Some(wire);
                    // What it has already is on its way to a commit.
                    if frame.id > self.held {
                        return Ok(Some(self.delivery(frame)));
                    }
                }
                Ok(frame) => return Err(self.wrong(&format!("it says {:?}", frame.kind))),
                Err(Lost::Garbage(what)) => return Err(self.wrong(&what)),
                Err(Lost::Stopped(stop)) => {
                    // Commits go on; if it was a cancel, the next call connects anew.
                    self.wire = Some(wire);
                    return Err(stop.into());
                }
                Err(Lost::Io(_)) => self.line.hang_up(),
            }
        }
    }
}

impl Committer for QueueCommitter {
    fn commit(&mut self, ctx: &Context, position: u64) -> Result<(), SourceError> {
        let mut state = self.line.state.lock();
        state.done = state.done.max(position);
        let Some(socket) = state.socket.clone() else { return Ok(ctx.check()?) };
        let mut out = Vec::with_capacity(frame::HEAD);
        frame::push(&mut out, Kind::Commit, position, &[]);
        match write(&socket, ctx, &out) {
            Ok(()) => Ok(()),
            Err(Lost::Stopped(stop)) => Err(stop.into()),
            Err(_) => {
                state.socket = None; // The next hello has it.
                Ok(())
            }
        }
    }
}

impl Line {
    /// Says hello, with what is done with.
    fn introduce(&self, ctx: &Context, socket: &Arc<UnixStream>, hello: Hello) -> Result<(), Lost> {
        let mut state = self.state.lock();
        state.socket = None;
        state.told = state.done;
        let mut out = Vec::new();
        frame::push(&mut out, Kind::Hello, state.done, &hello.encode());
        write(socket, ctx, &out)
    }

    /// From now on commits go there, and those since the hello: before, nobody reads them, and who
    /// commits would wait for somebody else's turn to end.
    fn begin(&self, ctx: &Context, socket: &Arc<UnixStream>) -> Result<(), Lost> {
        let mut state = self.state.lock();
        if state.done > state.told {
            let mut out = Vec::new();
            frame::push(&mut out, Kind::Commit, state.done, &[]);
            write(socket, ctx, &out)?;
        }
        state.socket = Some(socket.clone());
        Ok(())
    }

    fn hang_up(&self) {
        self.state.lock().socket = None;
    }
}

/// Nobody has the queue now.
fn is_away(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::NotFound
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
    )
}

impl fmt::Debug for QueueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource")
            .field("path", &self.path)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for QueueCommitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueCommitter")
    }
}
