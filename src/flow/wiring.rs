//! From stages to segments: what a sink builds before it runs.

use super::cx::{At, Cx};
use super::link::{Lanes, Link, Reader, Writer};
use super::monitor::{LinkMeter, Meter, Monitor, Records, Segment};
use super::raise::{Fate, Raise};
use super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use crate::context::{Canceller, Context};
use crate::panics;
use crate::sync::{Arc, catch_unwind, planted};
use std::borrow::Cow;
use std::fmt;

/// What one segment does on a thread of its own.
pub(super) type Task<'env> = Box<dyn FnOnce() + Send + 'env>;
/// What runs beside the segments until they have ended.
pub(super) type Daemon<'env> = Box<dyn FnOnce(&Context) + Send + 'env>;
type Watcher<'env> = Box<dyn FnOnce(&Context, &Records) + Send + 'env>;

/// The plan of a run, filled by [`Stage::start`] from the sink towards the sources.
pub struct Wiring<'env> {
    /// The context of the segment that is being wired.
    ctx: Context,
    /// The meter of that segment.
    meter: Arc<Meter>,
    fate: Arc<dyn Fate>,
    /// The names of its stages, from its end to its head.
    names: Vec<Cow<'static, str>>,
    /// The links it takes from.
    from: Vec<Arc<LinkMeter>>,
    /// The name for the stage that is started next.
    pending: Option<Cow<'static, str>>,
    /// One for each segment but the last, sources first.
    tasks: Vec<(String, Task<'env>)>,
    pub(super) daemons: Vec<Watcher<'env>>,
    records: Records,
    pub(super) monitors: Vec<Monitor>,
}

impl fmt::Debug for Wiring<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiring").field("names", &self.names).finish_non_exhaustive()
    }
}

impl<'env> Wiring<'env> {
    pub(super) fn new(ctx: Context, fate: Arc<dyn Fate>) -> Self {
        Wiring {
            ctx,
            meter: Arc::default(),
            fate,
            names: Vec::new(),
            from: Vec::new(),
            pending: None,
            tasks: Vec::new(),
            daemons: Vec::new(),
            records: Records::default(),
            monitors: Vec::new(),
        }
    }

    /// Registers the stage that is being started: what its failures are reported with.
    pub(super) fn stage(&mut self, name: impl Into<Cow<'static, str>>) -> At {
        let name = self.pending.take().unwrap_or_else(|| name.into());
        self.names.push(name.clone());
        At::new(name)
    }

    /// The name of a boundary, which belongs to no segment.
    pub(super) fn boundary(&mut self, name: &'static str) -> Cow<'static, str> {
        self.pending.take().unwrap_or(name.into())
    }

    /// Names the stage that is started next, unless it has been named by one closer to it.
    pub(super) fn name_next(&mut self, name: Cow<'static, str>) {
        self.pending = Some(name);
    }

    /// A context for what stands before a boundary that is no link; whoever takes from it cancels it.
    pub(super) fn child(&self) -> (Context, Canceller) {
        self.ctx.with_cancel()
    }

    /// Makes a link that ends in the segment which is being wired; the name is the boundary's. What
    /// stands before it runs under a context of its own, which the reader cancels when it is dropped.
    pub(super) fn link<T: Send + 'env>(
        &mut self,
        name: &str,
        lanes: Lanes,
    ) -> (Context, Reader<T>, Writer<T>) {
        let (ctx, cancel) = self.ctx.with_cancel();
        let (link, reader, writer) = Link::new(name, lanes, cancel);
        self.from.push(link.meter().clone());
        self.records.links.push(link.meter().clone());
        (ctx, reader, writer)
    }

    /// Makes the context of what stands before the segment being wired, which takes from something
    /// that is no link.
    pub(super) fn upstream(&mut self, meter: Arc<LinkMeter>) -> (Context, Canceller) {
        self.from.push(meter.clone());
        self.records.links.push(meter);
        self.ctx.with_cancel()
    }

    /// Wires everything before a boundary as a segment of its own, which gives to `writer`.
    pub(super) fn segment<S>(
        &mut self,
        stage: S,
        raise: Raise<ErrorOf<S>>,
        ctx: &Context,
        mut writer: Writer<S::Item>,
    ) where
        S: Stage + 'env,
    {
        writer.set_eager(S::HEAD == Head::Opaque);
        let to = writer.meter();
        let (pull, seat) = self.before(ctx, Some(to), |wiring| stage.start(wiring, raise));
        self.task(seat, (pull, writer), |(pull, writer), cx| drive(pull, writer, cx));
    }

    /// Adds what a segment does on a thread of its own.
    pub(super) fn task<P: Send + 'env>(
        &mut self,
        seat: Seat,
        parts: P,
        body: impl FnOnce(&mut P, &Cx) -> Result<(), Halt> + Send + 'env,
    ) {
        let name = seat.name.clone();
        let task = Box::new(move || {
            let _ = seat.run(parts, body); // How it failed has been recorded.
        });
        self.tasks.push((name, task));
    }

    /// Wires a segment that stands before the present one, and comes back to the present one.
    pub(super) fn before<R>(
        &mut self,
        ctx: &Context,
        to: Option<(Arc<LinkMeter>, usize)>,
        start: impl FnOnce(&mut Self) -> R,
    ) -> (R, Seat) {
        let ctx = std::mem::replace(&mut self.ctx, ctx.clone());
        let meter = std::mem::take(&mut self.meter);
        let names = std::mem::take(&mut self.names);
        let from = std::mem::take(&mut self.from);
        let started = start(self);
        let seat = self.close(to);
        (self.ctx, self.meter, self.names, self.from) = (ctx, meter, names, from);
        (started, seat)
    }

    /// The last segment is complete, and with it the run.
    pub(super) fn finish(mut self) -> (Seat, Plan<'env>) {
        let seat = self.close(None);
        self.records.links.reverse(); // They were made from the sink on.
        let records = Arc::new(self.records);
        for monitor in self.monitors {
            monitor.watch(records.clone());
        }
        let daemons = self.daemons.into_iter().map(|daemon| -> Daemon<'env> {
            let records = records.clone();
            Box::new(move |ctx| daemon(ctx, &records))
        });
        (seat, Plan { tasks: self.tasks, daemons: daemons.collect() })
    }

    /// The segment being wired is complete.
    fn close(&mut self, to: Option<(Arc<LinkMeter>, usize)>) -> Seat {
        self.names.reverse();
        let name = self.names.join("+");
        let meter = self.meter.clone();
        let from = std::mem::take(&mut self.from);
        self.records.segments.push(Segment { name: name.clone(), meter: meter.clone(), from, to });
        Seat { name, ctx: self.ctx.clone(), meter, fate: self.fate.clone() }
    }
}

/// What a run consists of besides its last segment.
pub(super) struct Plan<'env> {
    pub(super) tasks: Vec<(String, Task<'env>)>,
    pub(super) daemons: Vec<Daemon<'env>>,
}

/// A segment's place in the run: what its thread needs to run it.
#[derive(Clone)]
pub(super) struct Seat {
    name: String,
    ctx: Context,
    meter: Arc<Meter>,
    fate: Arc<dyn Fate>,
}

impl Seat {
    /// Runs the segment on this thread. A panic in it is recorded *before* its parts are dropped, and
    /// so before anything that the drop makes others do.
    pub(super) fn run<P, R>(
        &self,
        mut parts: P,
        body: impl FnOnce(&mut P, &Cx) -> Result<R, Halt>,
    ) -> Result<R, Halt> {
        let cx = Cx::new(self.ctx.clone(), self.meter.clone());
        self.meter.running.lock().enter();
        let out = catch_unwind(|| body(&mut parts, &cx)).unwrap_or_else(|payload| {
            let unknown = || (At::new(self.name.clone().into()), None);
            let (at, item) = cx.blame().unwrap_or_else(unknown);
            self.fate.panicked(at, item, payload);
            Err(Halt)
        });
        self.meter.running.lock().leave();
        panics::discard(parts);
        out
    }
}

/// Pulls everything into a link.
pub(super) fn drive<P: Pull>(
    pull: &mut P,
    writer: &mut Writer<P::Item>,
    cx: &Cx,
) -> Result<(), Halt> {
    loop {
        match pull.step(cx)? {
            Step::Item(item) => writer.push(item, cx)?,
            Step::Wait => {
                if !planted("flow_waits_with_a_chunk") {
                    writer.flush(cx)?;
                }
                pull.wait(cx, None)?;
            }
            Step::End => {
                writer.flush(cx)?;
                writer.finish();
                return Ok(());
            }
        }
    }
}
