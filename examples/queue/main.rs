//! queue: two processes and an outbox between them, with no server, as fast as they go.
//!
//! The first has the outbox, and appends; it starts itself once more as the second, which reads, handles and
//! commits. What arrives in what time is printed. Unix only.
//!
//! ```text
//! cargo run --release --example queue
//! cargo run --release --example queue -- --events 1000000 --bytes 200 --dir /var/tmp/queue
//! cargo run --release --example queue -- --slow-us 100
//! ```

#[cfg(unix)]
mod run;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(unix))]
fn main() {}
