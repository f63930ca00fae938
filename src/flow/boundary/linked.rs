//! For operators that live by the clock: what stands before them can be waited for until a time.

#![allow(dead_code, reason = "for the operators that live by the clock")]

use super::super::cx::Cx;
use super::super::link::{Lanes, Reader};
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use std::time::Instant;

/// The stage itself if it is a link or a channel, whose wait ends in time; else the stage, on a
/// thread of its own, with a link after it.
pub(in super::super) struct Linked<S> {
    pub(in super::super) up: S,
}

/// How many items such a link holds.
const CAPACITY: usize = 64;

impl<S: Stage> Stage for Linked<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = LinkedRun<S>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        if S::HEAD == Head::Link {
            return LinkedRun::Direct(self.up.start(wiring, raise));
        }
        let (ctx, reader, writer) = wiring.link("link", Lanes::one(CAPACITY));
        wiring.segment(self.up, raise, &ctx, writer);
        LinkedRun::Link(reader)
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        if S::HEAD != Head::Link {
            topology.boundary(format!("link({CAPACITY})"));
        }
    }
}

/// The one or the other.
pub(in super::super) enum LinkedRun<S: Stage> {
    Direct(S::Run),
    Link(Reader<S::Item>),
}

impl<S: Stage> Pull for LinkedRun<S> {
    type Item = S::Item;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<S::Item>, Halt> {
        match self {
            LinkedRun::Direct(pull) => pull.step(cx),
            LinkedRun::Link(reader) => reader.step(cx),
        }
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        match self {
            LinkedRun::Direct(pull) => pull.wait(cx, until),
            LinkedRun::Link(reader) => reader.wait(cx, until),
        }
    }

    fn close(&mut self) {
        match self {
            LinkedRun::Direct(pull) => pull.close(),
            LinkedRun::Link(reader) => reader.close(),
        }
    }
}
