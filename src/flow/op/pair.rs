//! Two flows on one thread, item by item.

use super::super::cx::Cx;
use super::super::fault::Joins;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use std::time::Instant;

struct Pair<A, B, R> {
    a: A,
    b: B,
    rule: R,
    name: &'static str,
}

struct PairRun<A, B, R> {
    a: A,
    b: B,
    rule: R,
    /// Which of the two has said `Wait`.
    waits_for_b: bool,
}

/// How two flows become one.
trait Rule<A, B>: Send {
    type Out: Send;

    /// Which one is stepped next: `true` for the second. `None`: it is over.
    fn next(&self) -> Option<bool>;
    fn item_of_a(&mut self, item: A) -> Option<Self::Out>;
    fn item_of_b(&mut self, item: B) -> Option<Self::Out>;
    /// One of the two has ended.
    fn ended(&mut self, b: bool);
}

const fn head(a: Head, b: Head) -> Head {
    match (a, b) {
        (Head::Opaque, _) | (_, Head::Opaque) => Head::Opaque,
        _ => Head::Prompt,
    }
}

impl<A, B, R> Stage for Pair<A, B, R>
where
    A: Stage,
    B: Stage,
    A::Fault: Joins<B::Fault>,
    R: Rule<A::Item, B::Item>,
{
    type Item = R::Out;
    type Fault = <A::Fault as Joins<B::Fault>>::Both;
    type Run = PairRun<A::Run, B::Run, R>;
    const HEAD: Head = head(A::HEAD, B::HEAD);

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let _ = wiring.stage(self.name);
        let left = raise.clone().convert(<A::Fault as Joins<B::Fault>>::left);
        let right = raise.convert(<A::Fault as Joins<B::Fault>>::right);
        let b = self.b.start(wiring, right);
        let a = self.a.start(wiring, left);
        PairRun { a, b, rule: self.rule, waits_for_b: false }
    }

    fn describe(&self, topology: &mut Topology) {
        self.a.describe(topology);
        topology.branch(|topology| self.b.describe(topology));
        topology.stage(self.name);
    }
}

impl<A: Pull, B: Pull, R: Rule<A::Item, B::Item>> Pull for PairRun<A, B, R> {
    type Item = R::Out;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<R::Out>, Halt> {
        while let Some(b) = self.rule.next() {
            let out = if b {
                match self.b.step(cx)? {
                    Step::Item(item) => self.rule.item_of_b(item),
                    Step::Wait => {
                        self.waits_for_b = true;
                        return Ok(Step::Wait);
                    }
                    Step::End => {
                        self.rule.ended(true);
                        None
                    }
                }
            } else {
                match self.a.step(cx)? {
                    Step::Item(item) => self.rule.item_of_a(item),
                    Step::Wait => {
                        self.waits_for_b = false;
                        return Ok(Step::Wait);
                    }
                    Step::End => {
                        self.rule.ended(false);
                        None
                    }
                }
            };
            if let Some(out) = out {
                return Ok(Step::Item(out));
            }
        }
        self.close();
        Ok(Step::End)
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        if self.waits_for_b { self.b.wait(cx, until) } else { self.a.wait(cx, until) }
    }

    fn close(&mut self) {
        self.a.close();
        self.b.close();
    }
}

/// One of each.
struct Zip<A> {
    first: Option<A>,
    over: bool,
}

impl<A: Send, B: Send> Rule<A, B> for Zip<A> {
    type Out = (A, B);

    fn next(&self) -> Option<bool> {
        (!self.over).then_some(self.first.is_some())
    }

    fn item_of_a(&mut self, item: A) -> Option<(A, B)> {
        self.first = Some(item);
        None
    }

    fn item_of_b(&mut self, item: B) -> Option<(A, B)> {
        self.first.take().map(|first| (first, item))
    }

    fn ended(&mut self, _: bool) {
        self.over = true;
    }
}

/// One of this, one of that.
struct Interleave {
    b_next: bool,
    a_over: bool,
    b_over: bool,
}

impl<T: Send> Rule<T, T> for Interleave {
    type Out = T;

    fn next(&self) -> Option<bool> {
        match (self.a_over, self.b_over) {
            (false, false) => Some(self.b_next),
            (false, true) => Some(false),
            (true, false) => Some(true),
            (true, true) => None,
        }
    }

    fn item_of_a(&mut self, item: T) -> Option<T> {
        self.b_next = true;
        Some(item)
    }

    fn item_of_b(&mut self, item: T) -> Option<T> {
        self.b_next = false;
        Some(item)
    }

    fn ended(&mut self, b: bool) {
        if b {
            self.b_over = true;
        } else {
            self.a_over = true;
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Makes pairs of the items of both flows, the first with the first and so on, on this flow's
    /// thread. Ends with the shorter one; the other is closed then. If `other` is the shorter one, the
    /// item that has no partner is dropped.
    ///
    /// # Errors
    /// The first failure of either. The errors of `other` become those of this flow, as with `?`.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pairs = Flow::of(["a", "b"]).zip(Flow::of(1..)).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(pairs, [("a", 1), ("b", 2)]);
    /// # Ok(()) }
    /// ```
    #[allow(clippy::type_complexity, reason = "a pair of items, and how either can fail")]
    pub fn zip<B>(
        self,
        other: Flow<B>,
    ) -> Flow<impl Stage<Item = (S::Item, B::Item), Fault = <S::Fault as Joins<B::Fault>>::Both>>
    where
        B: Stage,
        S::Fault: Joins<B::Fault>,
    {
        let rule = Zip { first: None, over: false };
        Flow(Pair { a: self.0, b: other.0, rule, name: "zip" })
    }

    /// Passes on an item of this flow, then one of `other`, and so on; when one has ended, the rest of
    /// the other. It keeps strictly to the turns, and waits for the flow whose turn it is: for items as
    /// they come, see [`merge`](Flow::merge).
    ///
    /// # Errors
    /// The first failure of either. The errors of `other` become those of this flow, as with `?`.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let mixed = Flow::of([1, 2]).interleave(Flow::of([10, 20, 30]));
    /// assert_eq!(mixed.collect::<Vec<_>>(&ctx)?, [1, 10, 2, 20, 30]);
    /// # Ok(()) }
    /// ```
    pub fn interleave<B>(
        self,
        other: Flow<B>,
    ) -> Flow<impl Stage<Item = S::Item, Fault = <S::Fault as Joins<B::Fault>>::Both>>
    where
        B: Stage<Item = S::Item>,
        S::Fault: Joins<B::Fault>,
    {
        let rule = Interleave { b_next: false, a_over: false, b_over: false };
        Flow(Pair { a: self.0, b: other.0, rule, name: "interleave" })
    }
}
