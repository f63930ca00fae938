//! A sink that does what the test says, and notices who calls it.

use crate::throw;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// What the sink does when it is next written to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Takes at most so many bytes; 0 is `Ok(0)`.
    Take(usize),
    Fail(ErrorKind),
    Panic,
    /// Says that it took more than it was given.
    Lie,
}

#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Mutex<Vec<u8>>,
    script: Mutex<VecDeque<Step>>,
    flush_script: Mutex<VecDeque<ErrorKind>>,
    inside: AtomicUsize,
    overlaps: AtomicUsize,
    writes: AtomicUsize,
    flushes: AtomicUsize,
    /// Each write takes one of these first.
    gate: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Sink {
    pub(crate) fn new(script: impl IntoIterator<Item = Step>) -> Self {
        let sink = Sink::default();
        sink.0.script.lock().unwrap().extend(script);
        sink
    }

    /// A sink that waits in each write for a message; all pass when the sender is gone.
    pub(crate) fn gated() -> (Self, mpsc::Sender<()>) {
        let (tx, rx) = mpsc::channel();
        let sink = Sink::default();
        *sink.0.gate.lock().unwrap() = Some(rx);
        (sink, tx)
    }

    pub(crate) fn fail_flushes(self, errors: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.0.flush_script.lock().unwrap().extend(errors);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.bytes.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn flushes(&self) -> usize {
        self.0.flushes.load(Ordering::SeqCst)
    }

    /// Somebody is in the sink now.
    pub(crate) fn is_entered(&self) -> bool {
        self.0.inside.load(Ordering::SeqCst) != 0
    }

    pub(crate) fn overlaps(&self) -> usize {
        self.0.overlaps.load(Ordering::SeqCst)
    }

    fn alone<R>(&self, f: impl FnOnce(&Inner) -> R) -> R {
        if self.0.inside.fetch_add(1, Ordering::SeqCst) != 0 {
            self.0.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        let out = f(&self.0);
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        out
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.alone(|inner| {
            inner.writes.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = &*inner.gate.lock().unwrap() {
                let _ = gate.recv();
            }
            let step = inner.script.lock().unwrap().pop_front();
            let n = match step.unwrap_or(Step::Take(usize::MAX)) {
                Step::Take(n) => n.min(bytes.len()),
                Step::Fail(kind) => return Err(kind.into()),
                Step::Lie => return Ok(bytes.len() + 1),
                Step::Panic => {
                    inner.inside.fetch_sub(1, Ordering::SeqCst);
                    throw("the disk is on fire")
                }
            };
            inner.bytes.lock().unwrap().extend_from_slice(&bytes[..n]);
            std::thread::yield_now();
            Ok(n)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.alone(|inner| {
            inner.flushes.fetch_add(1, Ordering::SeqCst);
            inner.flush_script.lock().unwrap().pop_front().map_or(Ok(()), |kind| Err(kind.into()))
        })
    }
}
