//! A way to cut a source short that blocks in foreign code.

use super::super::cx::Cx;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use crate::context::OnStop;
use std::time::Instant;

/// What closes a source.
type Close = Box<dyn FnOnce() + Send>;

struct Closer<S> {
    up: S,
    close: Close,
}

struct CloserRun<P> {
    up: P,
    /// Until the first step.
    close: Option<Close>,
    /// From then on, until the end.
    hook: Option<OnStop>,
}

impl<S: Stage> Stage for Closer<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = CloserRun<S::Run>;
    const HEAD: Head = S::HEAD;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        CloserRun { up: self.up.start(wiring, raise), close: Some(self.close), hook: None }
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
    }
}

impl<P: Pull> Pull for CloserRun<P> {
    type Item = P::Item;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<P::Item>, Halt> {
        if let Some(close) = self.close.take() {
            self.hook = Some(cx.ctx.on_stop(move |_| close()));
        }
        let step = self.up.step(cx)?;
        if matches!(step, Step::End) {
            self.hook = None; // There is nothing left to cut short.
        }
        Ok(step)
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        self.up.wait(cx, until)
    }

    fn close(&mut self) {
        self.hook = None;
        self.up.close();
    }
}

impl<S: Stage> Flow<S> {
    /// Runs `f` when the run stops while the source before it is being read: by a failure elsewhere,
    /// an early end, a cancel or the deadline. So a read that blocks is cut short: shut the socket
    /// down, kill the child. Not run if the source has ended by itself.
    ///
    /// `f` runs on the thread that stops the run, so it must be short; a panic in it is logged. An
    /// error that the source returns because of it comes too late to hide why the run stopped.
    ///
    /// ```no_run
    /// use ironsys::{Context, flow::{Flow, FlowError}};
    /// use std::io::BufReader;
    /// use std::net::{Shutdown, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let socket = TcpStream::connect("localhost:7")?;
    /// let reader = BufReader::new(socket.try_clone()?);
    /// let lines = Flow::lines(reader).closer(move || {
    ///     let _ = socket.shutdown(Shutdown::Both);
    /// });
    /// let first = lines.buffer(16).find_first(&ctx, |line| line.starts_with("ok"))?;
    /// # let _ = first;
    /// # Ok(()) }
    /// ```
    pub fn closer(
        self,
        f: impl FnOnce() + Send + 'static,
    ) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Closer { up: self.0, close: Box::new(f) })
    }
}
