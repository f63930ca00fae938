//! What a member of a group does when partitions come and go.

use crate::channel::{Publisher, Watcher};
use crate::context::Context;
use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where the source stands when it asks for a message: then librdkafka gives and takes partitions.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) ctx: Context,
    /// The last position that was delivered.
    pub(super) last: u64,
}

/// How many times partitions were taken: all, and each. A cooperative group takes some and leaves others.
#[derive(Clone, Default)]
pub(super) struct Epochs {
    all: u64,
    each: BTreeMap<i32, u64>,
}

impl Epochs {
    /// Grows whenever the partition is taken.
    pub(super) fn of(&self, partition: i32) -> u64 {
        self.all + self.each.get(&partition).unwrap_or(&0)
    }
}

/// Called by librdkafka on the thread that asks for a message.
pub(super) struct Member {
    pub(super) asking: Watcher<Option<Asking>>,
    /// Up to where all is done with.
    pub(super) done: Watcher<u64>,
    /// What came from a partition before it was taken is not ours to commit.
    pub(super) epoch: Publisher<Epochs>,
    /// Grows whenever something else than a message was served.
    pub(super) served: Publisher<u64>,
    pub(super) finish_within: Duration,
}

impl Member {
    /// Partitions are about to go to others: what is under way gets the time to be finished, so that it
    /// does not come again there.
    fn finish(&self) {
        let Some(Asking { ctx, last }) = (*self.asking.get()).clone() else { return };
        let ctx = ctx.with_timeout(self.finish_within);
        // When it is not finished in time, or nobody commits any more, it comes again.
        let _ = self.done.clone().wait_until(&ctx, |done| *done >= last);
    }
}

// Each of these may be served in place of a message, with messages behind it.
impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        DefaultClientContext.log(level, facility, line);
        self.served.update(|n| n + 1);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        DefaultClientContext.stats_raw(statistics);
        self.served.update(|n| n + 1);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::warn!("ironsys: kafka: {error}: {reason}");
        self.served.update(|n| n + 1);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            self.finish();
        }
        self.served.update(|n| n + 1);
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.epoch.update(|epochs| {
            let mut epochs = epochs.clone();
            match rebalance {
                Rebalance::Assign(_) => {}
                Rebalance::Revoke(taken) => {
                    for partition in taken.elements() {
                        *epochs.each.entry(partition.partition()).or_default() += 1;
                    }
                }
                Rebalance::Error(_) => epochs.all += 1,
            }
            epochs
        });
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(why) = result {
            // What is not committed comes again.
            log::info!("ironsys: kafka: a commit was refused: {why}");
        }
        self.served.update(|n| n + 1);
    }
}
