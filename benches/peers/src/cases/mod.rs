//! All cases, in the order in which they run.

mod cancel;
mod channel;
#[cfg(feature = "durable")]
mod durable;
mod flow;
mod limit;
mod pingpong;
mod pool;
pub(crate) mod resilience;
mod rollup;
mod scope;
mod semaphore;
pub(crate) mod session;
mod web;

use std::error::Error;

use crate::harness::{Row, Settings};

/// Measures a case. No rows if this machine lacks something, which is then said on stderr.
pub(crate) type Measure = fn(&Settings) -> Result<Vec<Row>, Box<dyn Error>>;

/// Name, what is done, and how.
pub(crate) const ALL: &[(&str, &str, Measure)] = &[
    ("channel_pair", "send then receive on one thread, capacity 256", channel::pair),
    ("stream_cap256_1to1", "one sender to one receiver, capacity 256", channel::stream_1to1),
    ("stream_cap256_4to4", "four senders to four receivers, capacity 256", channel::stream_4to4),
    ("pingpong_two_cores", "a round trip between two cores, capacity 1", pingpong::two_cores),
    ("pingpong_one_core", "a round trip on one core, capacity 1", pingpong::one_core),
    ("pingpong_allocs", "allocations in a round trip, on one core and on two", pingpong::allocs),
    ("cancel_64", "one cancel until 64 blocked receivers are joined", cancel::blocked),
    ("ctx_check", "asking a context whether it is stopped", cancel::check),
    ("observe_wait", "what a blocking wait pays for being seen", cancel::observe),
    ("scope_fresh_4", "a scope of 4 trivial tasks, new threads", scope::fresh_4),
    ("scope_fresh_64_limit8", "64 trivial tasks on 8 new threads", scope::fresh_64),
    ("scope_warm_4", "a scope of 4 trivial tasks, warm threads", scope::warm_4),
    ("scope_warm_64_limit8", "64 trivial tasks on at most 8 warm threads", scope::warm_64),
    ("scope_warm_1000_limit2", "1,000 trivial tasks on at most 2 warm threads", scope::warm_1000),
    ("pool_noop", "no-op jobs through a pool of 2, queue of 1,024", pool::noop_2),
    ("pool_noop_8workers", "no-op jobs through a pool of 8, queue of 1,024", pool::noop_8),
    ("pool_latency", "submitting one job until its result is there", pool::latency),
    ("semaphore_pair", "acquiring and releasing a free permit", semaphore::pair),
    (
        "semaphore_owned",
        "the same with a guard that owns its share of the semaphore",
        semaphore::owned,
    ),
    ("breaker_closed", "a call through a closed breaker, 5 failures in a row", resilience::breaker),
    ("breaker_window", "the same, half of the last 100 calls", resilience::window),
    ("breaker_failures", "the same, with one failing call of 64", resilience::failures),
    ("flow_chain_3_stages", "10 M numbers through three trivial stages on threads", flow::chain),
    ("flow_chain_cap256", "the same with room for 256 between two", flow::chain_with_little_room),
    ("flow_par_map_2us", "2 us of work an item on two workers, in order", flow::par_map),
    ("flow_one_more_operator", "one more map in a chain on one thread", flow::fused),
    ("retry_ok", "a call that succeeds at once, under a retry", resilience::retry),
    ("single_flight_alone", "a shared call that nobody shares", resilience::flight_alone),
    (
        "single_flight_hit",
        "from the end of a call to the last of 4 callers",
        resilience::flight_hit,
    ),
    ("policy_of_5", "a call under five guards", resilience::policy),
    ("limit_check", "a check that passes, on one thread", limit::check),
    ("limit_check_2threads", "the same limit checked by two threads", limit::check_2),
    ("limit_keyed_10k", "a check that passes, of one of 10,000 keys", limit::keyed),
    ("limit_keyed_10k_2threads", "the same table checked by two threads", limit::keyed_2),
    ("session_tell", "two senders to 1,000 sessions", session::tell),
    ("session_tell_by_id", "the same, looked up by ids", session::tell_by_id),
    ("session_ask", "a question and its answer, two shards", session::ask),
    ("session_ask_caller_runs", "the same, run by the asker", session::ask_inline),
    ("session_start", "starting a session, until a million have", session::start),
    ("session_zipf_1m", "two senders to a million sessions, Zipf", session::zipf_1m),
    ("session_zipf_1m_in_batches", "the same, 64 messages a call", session::zipf_in_batches),
    ("session_passivate_10m", "memory of ten million sessions, in and out", session::passivate),
    ("session_idle_bytes", "memory of an idle session", session::idle),
    ("session_ask_p99_beside_a_sleeper", "p99 of an ask while one handler sleeps", session::stuck),
    ("http_hello", "hello over HTTP/1.1, 64 connections kept open, by wrk", web::hello),
    ("http_hello_may_wait", "the same with a handler that may wait", web::hello_waiting),
    ("http_fairness", "the most against the least served of 64 connections", web::fairness),
    #[cfg(feature = "durable")]
    ("durable_append_1", "an append that is on disk when it returns", durable::append_1),
    #[cfg(feature = "durable")]
    ("durable_append_16", "the same on 16 threads", durable::append_16),
    #[cfg(feature = "durable")]
    ("durable_tickets", "256 events on their way to the disk, on one thread", durable::tickets),
    #[cfg(feature = "durable")]
    ("durable_read_back", "reading 1 M events", durable::read_back),
    #[cfg(feature = "durable")]
    ("durable_reopen_1m", "opening with 1 M events, time and memory", durable::reopen),
    ("rollup", "the example on an access log of about 950 MB, and its memory", rollup::rollup),
];
