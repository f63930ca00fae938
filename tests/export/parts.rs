//! The crate's own parts in numbers: that they say what their stats say, and break no rule together.

use crate::root;
use ironsys::export::{Measured, Scrape};
use ironsys::limit::{AdaptiveLimit, Admission, Fixed, Rate, Semaphore, TokenBucket};
use ironsys::pool::Pool;
use ironsys::resilience::Breaker;
use ironsys::resource::BufferPool;
use ironsys::{Stop, channel, observe, owner, scope};

/// What a scrape of one part holds.
fn text(part: &impl Measured) -> String {
    let mut scrape = Scrape::new();
    scrape.part(&[("name", "x")], part);
    scrape.render().unwrap()
}

#[track_caller]
fn holds(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
}

#[test]
fn a_channel_says_what_its_stats_say() {
    let (tx, rx) = channel::bounded(2);
    for i in 0..2 {
        tx.try_send(i).unwrap();
    }
    tx.try_send(3).unwrap_err();
    rx.try_recv().unwrap();
    let text = text(&rx.stats());
    for line in [
        "# TYPE ironsys_channel_accepted_total counter",
        "ironsys_channel_accepted_total{name=\"x\"} 2",
        "ironsys_channel_ended_total{name=\"x\",outcome=\"done\"} 1",
        "ironsys_channel_ended_total{name=\"x\",outcome=\"dropped\"} 0",
        "ironsys_channel_in_flight{name=\"x\"} 1",
        "ironsys_channel_capacity{name=\"x\"} 2",
        "ironsys_channel_depth{name=\"x\"} 1",
        "ironsys_channel_peak{name=\"x\"} 2",
        "ironsys_channel_rejected_total{name=\"x\"} 1",
        "# TYPE ironsys_channel_full_seconds_total counter",
        "ironsys_channel_full_seconds_total{name=\"x\"} 0",
        "ironsys_channel_senders{name=\"x\"} 1",
    ] {
        holds(&text, line);
    }
}

#[test]
fn a_pool_says_what_its_stats_say() {
    let (ctx, _cancel) = root();
    let pool = Pool::builder("p").workers(1).queue(4).context(&ctx).build().unwrap();
    pool.submit(&ctx, |_| ()).unwrap().join(&ctx).unwrap();
    crate::until(|| pool.stats().ledger.done == 1);
    let text = text(&pool.stats());
    holds(&text, "ironsys_pool_ended_total{name=\"x\",outcome=\"done\"} 1");
    holds(&text, "ironsys_pool_workers{name=\"x\"} 1");
    holds(&text, "ironsys_channel_capacity{name=\"x\"} 4");
}

#[test]
fn of_a_breakers_states_one_is_true() {
    let text = text(&Breaker::builder("b").build().unwrap().stats());
    holds(&text, "ironsys_breaker_state{name=\"x\",state=\"closed\"} 1");
    holds(&text, "ironsys_breaker_state{name=\"x\",state=\"open\"} 0");
    assert_eq!(text.lines().filter(|l| l.starts_with("ironsys_breaker_state{")).count(), 6);
}

#[test]
fn tasks_are_counted_by_kind() {
    let registry = observe::Registry::new();
    let (ctx, _cancel) = ironsys::Context::builder().registry(registry.clone()).build();
    let text = scope(&ctx, |_| Ok::<_, Stop>(text(&registry.tasks()))).unwrap();
    holds(&text, "ironsys_tasks_running{name=\"x\",kind=\"scope\"} 1");
    holds(&text, "ironsys_tasks_running{name=\"x\",kind=\"job\"} 0");
    holds(&text, "ironsys_tasks_waiting{name=\"x\",kind=\"scope\"} 0");
}

/// One scrape of everything: names and types of the parts do not clash.
#[test]
fn all_parts_go_into_one_scrape() {
    let (ctx, _cancel) = root();
    let (tx, _rx) = channel::broadcast::<u32>(4).build().unwrap();
    let pool = Pool::builder("p").workers(1).context(&ctx).build().unwrap();
    let owner = owner::Owner::builder("o").start(|_| 1u32).unwrap();
    let permits = Semaphore::new(3);
    let _held = permits.try_acquire(1).unwrap();
    let mut scrape = Scrape::new();
    scrape
        .part(&[("name", "a")], &tx.stats())
        .part(&[("name", "b")], &pool.stats())
        .part(&[("name", "c")], &owner.stats())
        .part(&[("name", "d")], &permits.stats())
        .part(&[("name", "e")], &Breaker::builder("b").build().unwrap().stats())
        .part(&[("name", "f")], &BufferPool::builder().build().unwrap().stats())
        .part(&[("name", "g")], &Admission::builder(Fixed).build().unwrap().stats())
        .part(&[("name", "h")], &AdaptiveLimit::builder(Fixed).build().unwrap().stats())
        .part(&[], &observe::tasks());
    let bucket = TokenBucket::new(Rate::per_second(5), 5);
    scrape.part(&[("name", "i")], &bucket.stats());
    let text = scrape.render().unwrap();
    holds(&text, "ironsys_semaphore_in_use{name=\"d\"} 1");
    // A second part with the same labels is an error, not two series of one name.
    scrape.part(&[("name", "d")], &permits.stats());
    assert!(scrape.render().unwrap_err().to_string().contains("in the scrape already"));
}

#[cfg(feature = "durable")]
#[test]
fn an_outbox_says_what_its_stats_say() {
    use ironsys::durable::Outbox;
    let (ctx, _cancel) = root();
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    outbox.append(&ctx, b"event").unwrap();
    let text = text(&outbox.stats());
    holds(&text, "ironsys_outbox_accepted_total{name=\"x\"} 1");
    holds(&text, "ironsys_outbox_events{name=\"x\"} 1");
    holds(&text, "# TYPE ironsys_outbox_disk_bytes gauge");
}
