//! A call on its way to the owner's thread.

use crate::channel::Reply;
use crate::panics::{self, Panicked};
use crate::sync::{Arc, LeakTrack, Mutex, catch_unwind};
use std::panic::Location;

/// What the thread receives.
pub(super) enum Message<T> {
    Call(Box<dyn Run<T>>),
    /// The last one: it takes the value.
    Last(Box<dyn FnOnce(T) + Send>),
}

/// How a call ended, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Failed,
    /// Its caller had taken it back.
    Cancelled,
}

pub(super) trait Run<T>: Send {
    fn run(self: Box<Self>, value: &mut T) -> End;
}

/// A closure that is taken once: by the thread, to run it, or by its caller, to give it up.
pub(super) struct Cell<F> {
    /// Guards who has it.
    call: Mutex<Option<F>>,
    _leak: LeakTrack,
}

impl<F> Cell<F> {
    pub(super) fn new(call: F) -> Arc<Self> {
        Arc::new(Cell { call: Mutex::new(Some(call)), _leak: LeakTrack::new() })
    }

    pub(super) fn take(&self) -> Option<F> {
        self.call.lock().take()
    }
}

/// A call whose answer somebody waits for.
pub(super) struct Asked<F, R> {
    pub(super) cell: Arc<Cell<F>>,
    pub(super) reply: Reply<Result<R, Panicked>>,
    pub(super) owner: Arc<str>,
    pub(super) at: &'static Location<'static>,
}

impl<T, F, R> Run<T> for Asked<F, R>
where
    F: FnOnce(&mut T) -> R + Send,
    R: Send,
{
    fn run(self: Box<Self>, value: &mut T) -> End {
        let Asked { cell, reply, owner, at } = *self;
        let Some(call) = cell.take() else { return End::Cancelled };
        let out = catch_unwind(|| call(value));
        let end = if out.is_ok() { End::Done } else { End::Failed };
        let out = out.map_err(|payload| Panicked::new(&*owner, at, payload));
        if let Err(unwanted) = reply.send(out) {
            panics::discard(unwanted);
        }
        end
    }
}

/// A call that nobody waits for.
pub(super) struct Told<F> {
    pub(super) cell: Arc<Cell<F>>,
    pub(super) owner: Arc<str>,
    pub(super) at: &'static Location<'static>,
}

impl<T, F: FnOnce(&mut T) + Send> Run<T> for Told<F> {
    fn run(self: Box<Self>, value: &mut T) -> End {
        let Told { cell, owner, at } = *self;
        let Some(call) = cell.take() else { return End::Cancelled };
        match catch_unwind(|| call(value)) {
            Ok(()) => End::Done,
            Err(payload) => {
                let panicked = Panicked::new(&*owner, at, payload);
                panics::contain(|| log::error!("ironsys: {panicked}"));
                panics::discard(panicked);
                End::Failed
            }
        }
    }
}
