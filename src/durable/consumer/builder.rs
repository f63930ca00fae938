//! The settings of a consumer, and the handle that pauses and stops it.

use super::run::{self, ConsumeError, ConsumerReport};
use super::source::{Delivery, OutboxSource, Source};
use crate::channel::{self, Watcher};
use crate::context::{Canceller, Context};
use crate::durable::outbox::Reader;
use crate::durable::relay::DeadLetters;
use crate::error::BuildError;
use crate::schedule::{Backoff, Jitter};
use crate::sync::{Arc, thread};
use std::fmt;
use std::time::Duration;

pub(super) type KeyBy = Arc<dyn Fn(&Delivery) -> Vec<u8> + Send + Sync>;

/// Builds a [`Consumer`]. Made by [`Consumer::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ConsumerBuilder {
    pub(super) workers: usize,
    pub(super) in_flight: usize,
    pub(super) retry: Backoff,
    pub(super) dedupe: usize,
    pub(super) dead: Option<DeadLetters>,
    pub(super) key_by: Option<KeyBy>,
}

impl ConsumerBuilder {
    /// Sets how many threads handle messages. The default is one for each processor. A key has its
    /// thread, by its hash; the keys of one thread wait for each other.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b", "c"])?;
    /// outbox.close(&ctx)?; // so that the consumer comes to an end
    /// let consumer = Consumer::builder().workers(3).build()?;
    /// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, |_, _| Ok::<_, String>(()))?;
    /// assert_eq!(report.ledger.done, 3);
    /// # Ok(()) }
    /// ```
    pub fn workers(mut self, threads: usize) -> Self {
        self.workers = threads;
        self
    }

    /// Sets how many messages may be received and not done with. The default is 256: then the source
    /// is not asked for more.
    ///
    /// ```
    /// # use ironsys::durable::Consumer;
    /// assert!(Consumer::builder().in_flight(16).build().is_ok());
    /// assert!(Consumer::builder().in_flight(0).build().is_err());
    /// ```
    pub fn in_flight(mut self, messages: usize) -> Self {
        self.in_flight = messages;
        self
    }

    /// Sets the pauses between attempts at a message, and by its
    /// [`max_attempts`](Backoff::max_attempts) how many there are; without, there is no end. The
    /// default is five attempts, doubling from 100 ms. The messages behind it of the same worker wait.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// use ironsys::schedule::Backoff;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::time::Duration;
    /// outbox.append(&ctx, b"order 7")?;
    /// outbox.close(&ctx)?;
    /// let twice = Backoff::fixed(Duration::from_millis(1)).max_attempts(2);
    /// let (consumer, tries) = (Consumer::builder().retry(twice).build()?, AtomicUsize::new(0));
    /// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, |_, _| {
    ///     if tries.fetch_add(1, Ordering::Relaxed) == 0 { Err("not yet") } else { Ok(()) }
    /// })?;
    /// assert_eq!((report.ledger.done, report.committed), (1, Some(1)));
    /// # Ok(()) }
    /// ```
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = backoff;
        self
    }

    /// Sets how many ids are remembered, to drop what is delivered again. The default is 0: none.
    /// The memory is the process's; after a restart messages that were not committed come again.
    ///
    /// ```
    /// # use ironsys::durable::Consumer;
    /// // A broker that delivers again does so soon: the last 10,000 ids will do.
    /// assert!(Consumer::builder().dedupe(10_000).build().is_ok());
    /// ```
    pub fn dedupe(mut self, ids: usize) -> Self {
        self.dedupe = ids;
        self
    }

    /// Sets where messages go that fail at every attempt. Without it, one ends the consumer: nothing
    /// is dropped silently.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// use ironsys::{durable::DeadLetters, schedule::Backoff};
    /// use std::time::Duration;
    /// let letters = DeadLetters::new(Outbox::open(dir.path().join("dead"))?);
    /// outbox.append_many(&ctx, ["good", "bad"])?;
    /// outbox.close(&ctx)?;
    /// let once = Backoff::fixed(Duration::ZERO).max_attempts(1);
    /// let consumer = Consumer::builder().retry(once).dead_letters(&letters).build()?;
    /// let handle = |_: &Context, m: &Delivery| if m.body == b"bad" { Err("bad") } else { Ok(()) };
    /// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, handle)?;
    /// assert_eq!((report.ledger.done, report.committed), (1, Some(2)));
    /// # Ok(()) }
    /// ```
    pub fn dead_letters(mut self, letters: &DeadLetters) -> Self {
        self.dead = Some(letters.clone());
        self
    }

    /// Sets the key of a message, in place of the source's.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// use std::sync::Mutex;
    /// outbox.append_many(&ctx, ["a1", "b1", "a2", "b2"])?;
    /// outbox.close(&ctx)?;
    /// let by_letter = |m: &Delivery| m.body[..1].to_vec();
    /// let consumer = Consumer::builder().workers(2).key_by(by_letter).build()?;
    /// let seen = Mutex::new(Vec::new());
    /// consumer.run_outbox(&ctx, outbox.reader("work")?, |_, m| {
    ///     seen.lock().unwrap().push(m.body.clone());
    ///     Ok::<_, String>(())
    /// })?;
    /// let seen = seen.into_inner().unwrap();
    /// let of_a: Vec<_> = seen.iter().filter(|body| body[0] == b'a').collect();
    /// assert_eq!(of_a, [b"a1", b"a2"]); // in order, whatever the others do
    /// # Ok(()) }
    /// ```
    pub fn key_by(mut self, key: impl Fn(&Delivery) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.key_by = Some(Arc::new(key));
        self
    }

    /// Builds the consumer.
    ///
    /// # Errors
    /// `workers` or `in_flight`: 0, or more than 65,536.
    ///
    /// ```
    /// # use ironsys::durable::Consumer;
    /// assert!(Consumer::builder().build().is_ok());
    /// let problem = Consumer::builder().workers(0).build().unwrap_err();
    /// assert!(problem.to_string().contains("workers"));
    /// ```
    pub fn build(self) -> Result<Consumer, BuildError> {
        for (field, value) in [("workers", self.workers), ("in_flight", self.in_flight)] {
            if !(1..=MOST).contains(&value) {
                let problem = format!("must be between 1 and {MOST}, not {value}");
                return Err(BuildError::new("consumer", field, problem));
            }
        }
        let (shown, paused) = channel::watch(false);
        let (intake, stop) = Context::root().0.with_cancel();
        let control = Control { paused: Arc::new(shown), stop };
        Ok(Consumer { settings: self, intake, paused, control })
    }
}

/// Above this a number of threads, or of messages in memory, is a mistake.
const MOST: usize = 1 << 16;

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("workers", &self.workers)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// Receives messages, handles them on several threads, and commits in order.
///
/// At least once: a message is committed when it, and all before it, are done with: handled, a dead
/// letter, or known from before. What was received and not committed is delivered again after a crash,
/// so a handler should be able to see a message twice.
///
/// ```
/// use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let (ctx, _cancel) = Context::root();
/// let outbox = Outbox::open(dir.path())?;
/// outbox.append_many(&ctx, ["a1", "b1", "a2"])?;
/// outbox.close(&ctx)?; // so that the consumer comes to an end
///
/// let by_letter = |m: &Delivery| m.body[..1].to_vec();
/// let consumer = Consumer::builder().workers(2).key_by(by_letter).build()?;
/// let handle = |_: &Context, m: &Delivery| -> Result<(), String> {
///     if m.body.is_empty() { Err("empty".into()) } else { Ok(()) }
/// };
/// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, handle)?;
/// assert_eq!((report.ledger.done, report.committed), (3, Some(3)));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Consumer {
    pub(super) settings: ConsumerBuilder,
    pub(super) intake: Context,
    pub(super) paused: Watcher<bool>,
    control: Control,
}

/// Pauses and stops a consumer from elsewhere. Made by [`Consumer::control`].
#[derive(Clone)]
pub struct Control {
    paused: Arc<channel::Publisher<bool>>,
    stop: Canceller,
}

impl Consumer {
    /// Starts to build a consumer.
    ///
    /// ```
    /// # use ironsys::durable::Consumer;
    /// let consumer = Consumer::builder().workers(4).in_flight(64).build();
    /// assert!(consumer.is_ok());
    /// ```
    pub fn builder() -> ConsumerBuilder {
        let retry = Backoff::exponential(Duration::from_millis(100))
            .max_delay(Duration::from_secs(10))
            .jitter(Jitter::Equal)
            .max_attempts(5);
        ConsumerBuilder {
            workers: thread::available_parallelism(),
            in_flight: 256,
            retry,
            dedupe: 0,
            dead: None,
            key_by: None,
        }
    }

    /// Returns a handle that pauses and stops it.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// // Nothing closes this outbox: whoever handles the last event ends the run.
    /// outbox.append_many(&ctx, ["work", "more work", "enough"])?;
    /// let consumer = Consumer::builder().workers(1).build()?;
    /// let control = consumer.control();
    /// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, |_, m| {
    ///     if m.body == b"enough" {
    ///         control.stop();
    ///     }
    ///     Ok::<_, String>(())
    /// })?;
    /// assert_eq!(report.committed, Some(3));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs until the source ends, the control stops it, or something fails.
    ///
    /// # Cancellation
    /// When `ctx` stops, so do the handlers; what they have not done with is handed back to the
    /// source. To finish what was received, [`stop`](Control::stop) it instead.
    ///
    /// # Errors
    /// See [`ConsumeError`]; the first one counts. What was done with is committed all the same.
    ///
    /// ```
    /// use ironsys::Context;
    /// use ironsys::durable::{Consumer, Outbox, Queue, QueueSource};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// outbox.append_many(&ctx, ["1.20", "3.40"])?;
    ///
    /// // In another process:
    /// let source = QueueSource::open(dir.path(), "billing")?;
    /// let consumer = Consumer::builder().workers(1).build()?;
    /// let control = consumer.control();
    /// let report = consumer.run(&ctx, source, |_, m| {
    ///     if m.body == b"3.40" {
    ///         control.stop(); // else it would wait for more
    ///     }
    ///     Ok::<_, String>(())
    /// })?;
    /// assert_eq!(report.ledger.done, 2);
    /// # drop(queue);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn run<S, E, F>(
        self,
        ctx: &Context,
        source: S,
        handler: F,
    ) -> Result<ConsumerReport, ConsumeError>
    where
        S: Source,
        E: fmt::Display,
        F: Fn(&Context, &Delivery) -> Result<(), E> + Send + Sync,
    {
        run::run(&self, ctx, source, &handler)
    }

    /// Like [`run`](Self::run), with a reader of an outbox as the source.
    ///
    /// # Cancellation
    /// As for [`run`](Self::run).
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["1.20", "3.40"])?;
    /// outbox.close(&ctx)?;
    /// let consumer = Consumer::builder().build()?;
    /// let report = consumer.run_outbox(&ctx, outbox.reader("billing")?, |_, m| match m.body.len() {
    ///     0 => Err("no amount"),
    ///     _ => Ok(()),
    /// })?;
    /// assert_eq!(report.committed, Some(2));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn run_outbox<E, F>(
        self,
        ctx: &Context,
        reader: Reader,
        handler: F,
    ) -> Result<ConsumerReport, ConsumeError>
    where
        E: fmt::Display,
        F: Fn(&Context, &Delivery) -> Result<(), E> + Send + Sync,
    {
        self.run(ctx, OutboxSource::new(reader), handler)
    }
}

impl Control {
    /// Receives nothing more for now; what was received is handled. One message more may come if the
    /// consumer waits for it already.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// outbox.close(&ctx)?;
    /// let consumer = Consumer::builder().workers(1).build()?;
    /// let control = consumer.control();
    /// control.pause(); // before it starts, say, until the database is there
    /// control.resume();
    /// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, |_, _| Ok::<_, String>(()))?;
    /// assert_eq!(report.ledger.done, 2);
    /// # Ok(()) }
    /// ```
    pub fn pause(&self) {
        self.paused.publish(true);
    }

    /// Receives again.
    ///
    /// ```
    /// # use ironsys::durable::Consumer;
    /// let control = Consumer::builder().build()?.control();
    /// control.pause();
    /// control.resume();
    /// control.resume(); // once is enough, twice no harm
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn resume(&self) {
        self.paused.publish(false);
    }

    /// Receives nothing more; what was received is handled and committed, and then the run ends.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Consumer, Delivery, Outbox}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append(&ctx, b"never handled")?;
    /// let consumer = Consumer::builder().build()?;
    /// consumer.control().stop();
    /// let report = consumer.run_outbox(&ctx, outbox.reader("work")?, |_, _| Ok::<_, String>(()))?;
    /// assert_eq!(report.ledger.done, 0); // and it is still in the outbox
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn stop(&self) {
        self.stop.cancel_with("the consumer was stopped");
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("stop", &self.stop).finish_non_exhaustive()
    }
}
