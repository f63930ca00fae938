//! What the library writes to the log; and a logger that panics.

use crate::throw;
use log::{LevelFilter, Log, Metadata, Record};
use std::sync::{Mutex, OnceLock};

struct Logger(Mutex<Vec<String>>);

fn logger() -> &'static Logger {
    static LOGGER: OnceLock<Logger> = OnceLock::new();
    LOGGER.get_or_init(|| Logger(Mutex::new(Vec::new())))
}

/// Listens from now on. A line that holds `PANICS` panics; all others are kept.
pub(crate) fn listen() {
    if log::set_logger(logger()).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// The lines that hold all of `words`.
pub(crate) fn lines(words: &[&str]) -> Vec<String> {
    let lines = logger().0.lock().unwrap();
    lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).cloned().collect()
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        let panics = line.contains("PANICS");
        if let Ok(mut lines) = self.0.lock() {
            lines.push(format!("{} {line}", record.level()));
        }
        if panics {
            throw("the logger");
        }
    }

    fn flush(&self) {}
}
