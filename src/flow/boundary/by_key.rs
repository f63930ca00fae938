//! Workers that each serve some of the keys.

use super::super::cx::{At, Cx};
use super::super::handle::Flow;
use super::super::keyed::Keyed;
use super::super::link::{Lanes, Reader, Writer};
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use super::par::Par;
use crate::sync::Arc;
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;

struct ByKey<S, F, G, U> {
    up: S,
    key: F,
    par: Par,
    f: G,
    out: PhantomData<fn() -> U>,
}

impl<S, K, U, F, G> Stage for ByKey<S, F, G, U>
where
    S: Stage,
    K: Hash,
    U: Send,
    F: FnMut(&S::Item) -> K + Send,
    G: Fn(S::Item) -> U + Send + Sync,
{
    type Item = U;
    type Fault = S::Fault;
    type Run = Reader<U>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let ByKey { up, mut key, par, f, .. } = self;
        let name = wiring.boundary("par_map_by_key");
        let par = par.check(&At::new(name.clone()), &raise);
        let lanes = Lanes { writers: par.workers, ..Lanes::one(par.window) };
        let (ctx, out, writer) = wiring.link(&format!("{name} results"), lanes);
        let f = Arc::new(f);
        let mut ways = Vec::new();
        let mut writers = vec![writer];
        (1..par.workers).for_each(|_| writers.push(writers[0].sibling()));
        for (i, writer) in writers.into_iter().enumerate() {
            let lane = Lanes::one((par.window / par.workers).max(1));
            let (parts, seat) = wiring.before(&ctx, Some(writer.meter()), |wiring| {
                let at = wiring.stage(format!("{name} {i}"));
                let (_, reader, way) = wiring.link(&format!("{name} lane {i}"), lane);
                ways.push(way);
                (reader, writer, at, f.clone())
            });
            wiring.task(seat, parts, |parts, cx| work(parts, cx));
        }
        let ((up, at), seat) = wiring.before(&ctx, None, |wiring| {
            let at = wiring.stage("key_by");
            (up.start(wiring, raise), at)
        });
        if S::HEAD == Head::Opaque {
            ways.iter_mut().for_each(|way| way.set_eager(true));
        }
        let hasher = RandomState::new();
        let lane = move |item: &S::Item, ways: usize| {
            (hasher.hash_one(key(item)) % ways.max(1) as u64) as usize
        };
        wiring.task(seat, (up, ways, at, lane), |parts, cx| split(parts, cx));
        out
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.stage("key_by");
        topology.boundary(format!("par_map_by_key({})", self.par));
    }
}

/// An item with its number in the flow: a worker cannot tell it from those that it gets.
type Numbered<T> = (u64, T);

/// The way to each worker.
type Ways<T> = Vec<Writer<Numbered<T>>>;

/// Gives every item to the worker of its key.
fn split<P: Pull>(
    (up, ways, at, lane): &mut (P, Ways<P::Item>, At, impl FnMut(&P::Item, usize) -> usize),
    cx: &Cx,
) -> Result<(), Halt> {
    loop {
        match up.step(cx)? {
            Step::Item(item) => {
                let number = at.item;
                let to = at.item(cx, || lane(&item, ways.len()));
                if ways[to].add((number, item)) && !ways[to].try_flush()? {
                    offer(ways)?;
                    ways[to].flush(cx)?;
                }
            }
            Step::Wait => {
                offer(ways)?;
                ways.iter_mut().try_for_each(|way| way.flush(cx))?;
                up.wait(cx, None)?;
            }
            Step::End => {
                offer(ways)?;
                ways.iter_mut().try_for_each(|way| way.flush(cx))?;
                ways.iter_mut().for_each(Writer::finish);
                return Ok(());
            }
        }
    }
}

/// Lets every worker have what is theirs and there is room for, before one of them is waited for.
fn offer<T: Send>(ways: &mut Ways<T>) -> Result<(), Halt> {
    ways.iter_mut().try_for_each(|way| way.try_flush().map(drop))
}

/// What each worker does: its items one after the other.
fn work<T: Send, U: Send>(
    (items, writer, at, f): &mut (Reader<Numbered<T>>, Writer<U>, At, Arc<impl Fn(T) -> U>),
    cx: &Cx,
) -> Result<(), Halt> {
    loop {
        match items.step(cx)? {
            Step::Item((number, item)) => {
                at.item = number;
                let out = at.call(cx, || f(item));
                writer.push(out, cx)?;
            }
            Step::Wait => {
                writer.flush(cx)?;
                items.wait(cx, None)?;
            }
            Step::End => {
                writer.flush(cx)?;
                writer.finish();
                return Ok(());
            }
        }
    }
}

impl<S: Stage, K, F> Keyed<S, K, F>
where
    K: Hash + Send,
    F: FnMut(&S::Item) -> K + Send,
{
    /// Applies `f` on several threads, so that items with the same key are worked on one after the
    /// other, in their order, and come out in it; items of different keys in parallel.
    ///
    /// Each worker serves the keys that hash to it, so there may be any number of keys, at no cost
    /// for each. A worker that is slow holds up the others once its share of the window is full.
    ///
    /// # Errors
    /// With 0 workers, or a window of 0, the run fails before it begins, as misbuilt.
    ///
    /// # Panics
    /// As for [`par_map`](Flow::par_map); the stage is `par_map_by_key` with the number of the worker,
    /// or `key_by`.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let events = Flow::of([("ann", 1), ("bob", 1), ("ann", 2)]);
    /// let done = events.key_by(|e| e.0).par_map(2, |e| e).collect::<Vec<_>>(&ctx)?;
    /// let ann: Vec<i32> = done.iter().filter(|e| e.0 == "ann").map(|e| e.1).collect();
    /// assert_eq!(ann, [1, 2]);
    /// # Ok(()) }
    /// ```
    pub fn par_map<U, G>(
        self,
        par: impl Into<Par>,
        f: G,
    ) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        U: Send,
        G: Fn(S::Item) -> U + Send + Sync,
    {
        Flow(ByKey { up: self.up, key: self.key, par: par.into(), f, out: PhantomData })
    }
}
