//! Taking part in subjects.

use super::client::{Client, check_subject};
use super::connection::write_subscription;
use super::error::NatsError;
use super::message::Message;
use crate::context::Context;
use std::collections::VecDeque;
use std::io::Write;

/// Messages of a subject. Made by [`Client::subscribe`], and given back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription(pub(super) u64);

impl Client {
    /// Takes part in a subject from now on; `*` stands for one part, `>` for all that follow.
    ///
    /// # Errors
    /// The subject cannot be one.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let news = client.subscribe("news.*")?;
    /// client.publish("news.today", b"rain")?;
    /// assert_eq!(client.next(&ctx, &news)?.subject, "news.today");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&mut self, subject: &str) -> Result<Subscription, NatsError> {
        self.subscribe_as(subject, None)
    }

    /// The same in a group: each message goes to one of it.
    ///
    /// # Errors
    /// Subject or group cannot be one.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let (one, other) = (client.subscribe_in("jobs", "workers")?, client.subscribe_in("jobs", "workers")?);
    /// client.publish("jobs", b"dig")?; // for one of the two
    /// # let _ = (one, other);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_in(&mut self, subject: &str, group: &str) -> Result<Subscription, NatsError> {
        check_subject(group)?;
        self.subscribe_as(subject, Some(group.to_owned()))
    }

    fn subscribe_as(
        &mut self,
        subject: &str,
        group: Option<String>,
    ) -> Result<Subscription, NatsError> {
        check_subject(subject)?;
        self.last += 1;
        let subscription = (subject.to_owned(), group);
        if self.wire.is_some() {
            write_subscription(&mut self.out, self.last, &subscription);
        }
        self.subscriptions.insert(self.last, subscription);
        Ok(Subscription(self.last))
    }

    /// Takes part no longer. Messages that have come are dropped.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let news = client.subscribe("news.>")?;
    /// client.unsubscribe(news);
    /// client.publish("news.today", b"rain")?; // not to us
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unsubscribe(&mut self, subscription: Subscription) {
        if self.subscriptions.remove(&subscription.0).is_some() && self.wire.is_some() {
            let _ = write!(self.out, "UNSUB {}\r\n", subscription.0);
        }
        self.held.retain(|message| message.subscription != subscription.0);
    }

    /// Tells the server to send no more for a subscription, and waits until everything that it has sent
    /// is here, in good order. A connection that is broken has told it already; the next one does not take
    /// it up again, or the server would send there what is given back on it.
    pub(super) fn end(&mut self, ctx: &Context, subscription: Subscription) {
        if self.wire.is_some() {
            let _ = write!(self.out, "UNSUB {}\r\n", subscription.0);
            let _ = self.flush(ctx);
        }
        self.subscriptions.remove(&subscription.0);
    }

    /// Takes the messages of a subscription that have come.
    pub(super) fn take_held(&mut self, subscription: Subscription) -> VecDeque<Message> {
        let held = std::mem::take(&mut self.held);
        let (its, others): (VecDeque<_>, VecDeque<_>) =
            held.into_iter().partition(|message| message.subscription == subscription.0);
        self.held = others;
        its
    }

    /// Waits for the next message of a subscription.
    ///
    /// # Cancellation
    /// No message is lost by a deadline. A cancel breaks the connection: what comes until there is a new
    /// one is missed.
    ///
    /// # Errors
    /// The connection broke, and what came meanwhile is missed; the context stopped.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let news = client.subscribe("news.>")?;
    /// let soon = ctx.with_timeout(std::time::Duration::from_secs(1));
    /// match client.next(&soon, &news) {
    ///     Ok(message) => println!("{}", message.subject),
    ///     Err(error) if error.stop().is_some() => println!("no news"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next(&mut self, ctx: &Context, of: &Subscription) -> Result<Message, NatsError> {
        let id = of.0;
        self.ready(ctx)?;
        match self.wait(ctx, None, |message| message.subscription == id)? {
            Some(message) => Ok(message),
            None => Err(ctx.check().err().map_or_else(|| self.broken(), NatsError::Stopped)),
        }
    }
}
