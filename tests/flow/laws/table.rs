//! The rows: every operator as it is used on a flow of numbers that can fail.
//!
//! A law is a macro that gets all rows at once. Every row must pass something on before its input ends,
//! or soon after its input falls silent.

use std::time::Duration;

/// Soon.
pub(super) const MS: Duration = Duration::from_millis(1);
/// Never, for a test.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Operators on one thread.
macro_rules! operators {
    ($law:ident) => {
        $law! {
            map: |flow| flow.map(|n| n + 1);
            inspect: |flow| flow.inspect(|_| ());
            scan: |flow| flow.scan(0u64, |sum, n| { *sum += u64::from(n); *sum });
            filter: |flow| flow.filter(|n| n % 2 == 0);
            filter_map: |flow| flow.filter_map(|n| (n % 2 == 0).then_some(n));
            flat_map: |flow| flow.flat_map(|n| [n, n]);
            try_map: |flow| flow.try_map(Ok::<_, &'static str>);
            on_error: |flow| flow.try_map(Ok::<_, &'static str>).on_error(on_error::skip());
            map_err: |flow| flow.map_err(|text: &'static str| text);
            take: |flow| flow.take(1_000_000);
            take_while: |flow| flow.take_while(|_| true);
            skip: |flow| flow.skip(1);
            distinct: |flow| flow.distinct(8);
            distinct_by: |flow| flow.distinct_by(8, |n| n / 2);
            chunk: |flow| flow.chunk(3);
            batch: |flow| flow.batch(3, table::MS);
            sorted: |flow| flow.sorted(4);
            sorted_by_key: |flow| flow.sorted_by_key(4, |n| *n);
            zip: |flow| flow.zip(Flow::of(0u32..));
            interleave: |flow| flow.interleave(Flow::of(0..50u32));
            named: |flow| flow.map(|n| n).named("plain");
            monitor: |flow| flow.monitor(&Monitor::new());
            progress: |flow| flow.progress(table::HOUR, |_| ());
            eager: |flow| flow.eager();
            closer: |flow| flow.closer(|| ());
            timeout: |flow| flow.timeout(table::HOUR);
            throttle: |flow| flow.throttle(1_000_000, table::MS);
            debounce: |flow| flow.debounce(table::MS);
            sample: |flow| flow.sample(table::MS);
            tee: |flow| flow.tee(&channel::bounded(100_000).0);
            fold_by_key: |flow| flow.key_by(|n| n % 5).max_keys(2).fold(Count::default);
            window: |flow| flow.window(Window::tumbling(table::MS).unwrap(), Count::default);
            window_by: |flow| flow.window_by(
                Window::tumbling(table::HOUR).unwrap(), |n| table::HOUR * *n, Count::default);
        }
    };
}

/// Operators with threads before them.
macro_rules! boundaries {
    ($law:ident) => {
        $law! {
            buffer: |flow| flow.buffer(2);
            buffer_of_none: |flow| flow.buffer(0);
            merge: |flow| flow.merge(Flow::of(0..50u32));
            merge_priority: |flow| flow.merge_priority(Flow::of(0..50u32));
            conflate: |flow| flow.conflate(|n| n, |_, n| n);
            par_map: |flow| flow.par_map(Par::workers(3).window(4), |n| n);
            par_map_unordered: |flow| flow.par_map_unordered(Par::workers(3).window(4), |n| n);
            par_flat_map: |flow| flow.par_flat_map(Par::workers(3).window(4), |n| [n, n]);
            par_try_map: |flow| flow.par_try_map(3, Ok::<_, &'static str>);
            par_try_map_unordered: |flow| flow.par_try_map_unordered(3, Ok::<_, &'static str>);
            par_map_by_key: |flow| flow.key_by(|n| n % 5).par_map(3, |n| n);
        }
    };
}

pub(super) use {boundaries, operators};
