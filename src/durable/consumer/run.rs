//! Feed, workers, committer: one scope.

use super::builder::Consumer;
use super::source::{Committer, Delivery, Source, SourceError};
use super::watermark::Watermark;
use super::window::Window;
use crate::channel::{self, Receiver, Sender, TrySendError, WatchError};
use crate::context::{Context, Stop};
use crate::limit::{AcquireError, Permit, Semaphore};
use crate::observe::Ledger;
use crate::panics::message;
use crate::scope;
use crate::sync::catch_unwind;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// Why a consumer ended before its source did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The source did not deliver, or commit.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A message failed at every attempt, and could not be made a dead letter.
    #[error("the message at {position} failed ({reason}), and is no dead letter: {why}")]
    DeadLetter {
        /// Where it stands in the source.
        position: u64,
        /// What the handler said.
        reason: String,
        /// Why it was not kept.
        why: String,
    },
    /// The context stopped.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// What a consumer has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerReport {
    /// Messages received: failed are the dead letters, dropped those known from before.
    pub ledger: Ledger,
    /// The last position that was committed.
    pub committed: Option<u64>,
    /// Attempts after a first one.
    pub retries: u64,
}

/// What the committer is told.
enum News {
    /// With its place in flight.
    Began(u64, Permit),
    Ended {
        position: u64,
        how: How,
        retries: u64,
    },
}

#[derive(Clone, Copy)]
enum How {
    Handled,
    Dead,
    Known,
}

pub(super) fn run<S, E, F>(
    consumer: &Consumer,
    ctx: &Context,
    mut source: S,
    handler: &F,
) -> Result<ConsumerReport, ConsumeError>
where
    S: Source,
    E: fmt::Display,
    F: Fn(&Context, &Delivery) -> Result<(), E> + Send + Sync,
{
    let settings = &consumer.settings;
    let mut committer = source.committer();
    let places = Semaphore::named("in flight", settings.in_flight);
    // Two pieces of news for each message in flight at the most: nobody ever waits to tell.
    let (news, heard) = channel::bounded(2 * settings.in_flight + 2);
    let lanes: Vec<_> =
        (0..settings.workers).map(|_| channel::bounded(settings.in_flight)).collect();
    let mut report = ConsumerReport::default();
    let mut marks = Watermark::default();
    let (report_out, marks_out) = (&mut report, &mut marks);
    let (committing, hearing) = (&mut committer, &heard);
    let ran = scope::options().limit(settings.workers + 2).run(ctx, move |s| {
        s.execute(move |ctx| commit(ctx, committing, hearing, marks_out, report_out));
        let mut senders = Vec::new();
        for (tx, rx) in lanes {
            senders.push(tx);
            let news = news.clone();
            s.execute(move |ctx| work(ctx, consumer, &rx, &news, handler));
        }
        let fed = feed(consumer, s.ctx(), &mut source, &places, &senders, &news);
        drop((senders, news)); // The workers end, and then the committer.
        fed
    });
    // What was told when the committer had failed, or had been stopped before it began.
    let rest = std::iter::from_fn(|| heard.try_recv().ok());
    let rest = rest.filter_map(|news| note(news, &mut marks, &mut report)).last();
    if let (Some(position), Err(ConsumeError::Stopped(_))) = (rest, &ran)
        && committer.commit(&ctx.shielded(COMMIT_TIME), position).is_ok()
    {
        report.committed = Some(position);
    }
    let undone = marks.undone();
    report.ledger.cancelled = undone.len() as u64;
    if !undone.is_empty() {
        committer.hand_back(&undone);
    }
    ran.map(|()| report)
}

/// Receives, and gives each message to the worker of its key.
fn feed<S: Source>(
    consumer: &Consumer,
    ctx: &Context,
    source: &mut S,
    places: &Semaphore,
    lanes: &[Sender<Delivery>],
    news: &Sender<News>,
) -> Result<(), ConsumeError> {
    let intake = &Context::merge(ctx, &consumer.intake);
    let mut paused = consumer.paused.clone();
    let mut window = Window::new(consumer.settings.dedupe);
    loop {
        // Stopped softly: what is in flight is finished. Stopped hard: the scope says so.
        let over = || ctx.check().map_err(ConsumeError::from);
        match paused.wait_until(intake, |paused| !paused) {
            Ok(_) | Err(WatchError::Closed) => {}
            Err(_) => return over(),
        }
        let permit = match places.acquire(intake, 1) {
            Ok(permit) => permit,
            Err(AcquireError::Stopped(_)) => return over(),
            Err(_) => return Ok(()),
        };
        let mut message = match source.recv(intake) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(SourceError::Stopped(_)) if intake.is_stopped() => return over(),
            Err(e) => return Err(e.into()),
        };
        let position = message.position;
        tell(ctx, news, News::Began(position, permit))?;
        let number = position.to_be_bytes();
        let id = if message.id.is_empty() { &number[..] } else { &message.id };
        if !window.is_new(id) {
            tell(ctx, news, News::Ended { position, how: How::Known, retries: 0 })?;
            continue;
        }
        if let Some(key_by) = &consumer.settings.key_by {
            message.key = key_by(&message);
        }
        let mut hash = DefaultHasher::new();
        message.key.hash(&mut hash);
        let lane = (hash.finish() % lanes.len() as u64) as usize;
        let sent = lanes[lane].send(ctx, message);
        sent.map_err(|e| e.stop().cloned()).or_else(|stop| stop.map_or(Ok(()), Err))?;
    }
}

/// Tells the committer, also after a stop: there is always room, and what is not known to have begun is
/// not handed back.
fn tell(ctx: &Context, news: &Sender<News>, what: News) -> Result<(), Stop> {
    match news.try_send(what) {
        Ok(()) | Err(TrySendError::Closed(_)) => Ok(()), // Closed: the committer has failed.
        Err(TrySendError::Full(what)) => news
            .send(ctx, what)
            .map_err(|e| e.stop().cloned())
            .or_else(|stop| stop.map_or(Ok(()), Err)),
    }
}

/// Handles the messages of its keys, one after the other.
fn work<E, F>(
    ctx: &Context,
    consumer: &Consumer,
    lane: &Receiver<Delivery>,
    news: &Sender<News>,
    handler: &F,
) -> Result<(), ConsumeError>
where
    E: fmt::Display,
    F: Fn(&Context, &Delivery) -> Result<(), E> + Send + Sync,
{
    for message in lane.iter(ctx) {
        let (how, retries) = handle(ctx, consumer, &message, handler)?;
        let position = message.position;
        tell(ctx, news, News::Ended { position, how, retries })?;
    }
    ctx.check().map_err(ConsumeError::from)
}

fn handle<E, F>(
    ctx: &Context,
    consumer: &Consumer,
    message: &Delivery,
    handler: &F,
) -> Result<(How, u64), ConsumeError>
where
    E: fmt::Display,
    F: Fn(&Context, &Delivery) -> Result<(), E> + Send + Sync,
{
    let mut delays = consumer.settings.retry.delays();
    let begun = ctx.clock().now();
    let mut retries = 0;
    let reason = loop {
        ctx.check()?;
        let reason = match catch_unwind(|| handler(ctx, message)) {
            Ok(Ok(())) => return Ok((How::Handled, retries)),
            Ok(Err(e)) => e.to_string(),
            Err(payload) => format!("it panicked: {}", self::message(&*payload)),
        };
        ctx.check()?; // Stopped is not failed.
        match delays.next_after(ctx.clock().now() - begun) {
            Some(delay) => ctx.sleep(delay)?,
            None => break reason,
        }
        retries += 1;
    };
    let position = message.position;
    let no_letter =
        |why: String| ConsumeError::DeadLetter { position, reason: reason.clone(), why };
    let Some(dead) = &consumer.settings.dead else { return Err(no_letter("none are kept".into())) };
    let put = dead.put(ctx, position, &reason, &message.body);
    put.map_err(|e| no_letter(e.to_string()))?;
    Ok((How::Dead, retries))
}

/// Commits what is done with, as far as all before it is.
fn commit<C: Committer>(
    ctx: &Context,
    committer: &mut C,
    heard: &Receiver<News>,
    marks: &mut Watermark<Permit>,
    report: &mut ConsumerReport,
) -> Result<(), ConsumeError> {
    // Until everybody who tells is gone, which a stop brings about: what is told after it counts, too.
    let telling = &ctx.shielded(Duration::MAX);
    loop {
        let Ok(mut news) = heard.recv(telling) else { return Ok(()) };
        let mut last = None;
        loop {
            last = note(news, marks, report).or(last);
            match heard.try_recv() {
                Ok(next) => news = next,
                Err(_) => break,
            }
        }
        if let Some(position) = last {
            let committed = match committer.commit(ctx, position) {
                // What is done with is committed after a stop, too, also if that came in the midst.
                Err(SourceError::Stopped(_)) if ctx.is_stopped() => {
                    committer.commit(&ctx.shielded(COMMIT_TIME), position)
                }
                committed => committed,
            };
            committed?;
            report.committed = Some(position);
        }
    }
}

/// Notes what the committer is told; returns how far all is done with, if that has changed.
fn note(news: News, marks: &mut Watermark<Permit>, report: &mut ConsumerReport) -> Option<u64> {
    match news {
        News::Began(position, place) => {
            report.ledger.accepted += 1;
            marks.begin(position, place);
            None
        }
        News::Ended { position, how, retries } => {
            let ledger = &mut report.ledger;
            *match how {
                How::Handled => &mut ledger.done,
                How::Dead => &mut ledger.failed,
                How::Known => &mut ledger.dropped,
            } += 1;
            report.retries += retries;
            marks.done(position)
        }
    }
}

/// How long the commit of what is done with may take after a stop.
const COMMIT_TIME: Duration = Duration::from_secs(5);
