//! The first of several operations: exactly one happens.
//!
//! Every arm that has to wait is registered with its channel before the thread parks. A receiving
//! arm is only told that there may be something; a sending arm leaves its value as an offer. So that
//! two offers, or an offer and a receive, cannot both happen, they share one [`Claim`].

use super::errors::{RecvError, SendError};
use super::handle::{Receiver, Sender};
use super::offers::Claim;
use super::ops::{Closed, RecvOp, SendOp};
use crate::context::{Context, Op, Stop};
use crate::sync::{Arc, random_u64};
use crate::wait::{Site, WaitKind, Waiter};
use std::time::Duration;

/// Which arm happens when several are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Order<'a> {
    /// The first in the text.
    #[default]
    Biased,
    /// Each of those that are ready as often as any other, in the long run.
    Fair,
    /// Each of those that are ready in proportion to its weight, by position; a weight that is
    /// missing counts as 1, an arm of weight 0 comes last.
    Weighted(&'a [u32]),
}

impl Order<'_> {
    /// The order in which the arms are tried, drawn anew for each `select`; empty for that of the
    /// text. A whole order, not just a first arm: else an arm that is never ready would leave its
    /// share to its neighbour.
    fn draw(self, arms: usize) -> Vec<usize> {
        let weight = |i: usize| match self {
            Order::Weighted(weights) => u64::from(weights.get(i).copied().unwrap_or(1)),
            _ => 1,
        };
        if self == Order::Biased {
            return Vec::new();
        }
        let mut left: Vec<(usize, u64)> = (0..arms).map(|i| (i, weight(i))).collect();
        let mut order = Vec::with_capacity(arms);
        while !left.is_empty() {
            let sum: u64 = left.iter().map(|(_, weight)| weight).sum();
            let mut at = random_u64() % sum.max(1);
            let next = left.iter().position(|(_, weight)| match at.checked_sub(*weight) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            });
            order.push(left.remove(next.unwrap_or(0)).0); // Only weights of 0 are left.
        }
        order
    }
}

/// One operation of a `select!`. Used by the macro.
#[doc(hidden)]
#[allow(private_interfaces, unnameable_types)]
pub trait Arm {
    fn arm(&mut self, claim: &Claim);
    fn poll(&mut self, waiter: &Arc<Waiter>) -> bool;
    fn withdraw(&mut self) -> bool;
}

/// Used by the macro.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    op: Option<RecvOp<'a, T>>,
    out: Option<Result<T, RecvError>>,
}

impl<'a, T> RecvArm<'a, T> {
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        RecvArm { receiver, op: None, out: None }
    }

    pub fn take(self) -> Result<T, RecvError> {
        self.out.unwrap_or(Err(RecvError::Closed))
    }

    fn set(&mut self, out: Option<Result<T, Closed>>) -> bool {
        let Some(out) = out else { return false };
        self.out = Some(out.map_err(|Closed| RecvError::Closed));
        true
    }
}

#[allow(private_interfaces)]
impl<T> Arm for RecvArm<'_, T> {
    fn arm(&mut self, claim: &Claim) {
        self.op = Some(RecvOp::new(&self.receiver.shared, Some(claim.clone())));
    }

    fn poll(&mut self, waiter: &Arc<Waiter>) -> bool {
        let out = self.op.as_mut().and_then(|op| op.poll(waiter));
        self.set(out)
    }

    fn withdraw(&mut self) -> bool {
        let out = self.op.as_mut().and_then(Op::withdraw);
        self.set(out)
    }
}

/// Used by the macro.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct SendArm<'a, T> {
    sender: &'a Sender<T>,
    value: Option<T>,
    op: Option<SendOp<'a, T>>,
    out: Option<Result<(), SendError<T>>>,
}

impl<'a, T> SendArm<'a, T> {
    pub fn new(sender: &'a Sender<T>, value: T) -> Self {
        SendArm { sender, value: Some(value), op: None, out: None }
    }

    pub fn take(self) -> Result<(), SendError<T>> {
        if let Some(op) = self.op {
            op.finish();
        }
        self.out.unwrap_or(Ok(()))
    }
}

#[allow(private_interfaces)]
impl<T> Arm for SendArm<'_, T> {
    fn arm(&mut self, claim: &Claim) {
        let shared = &self.sender.shared;
        self.op = self.value.take().map(|value| SendOp::new(shared, value, Some(claim.clone())));
    }

    fn poll(&mut self, waiter: &Arc<Waiter>) -> bool {
        self.out = self.op.as_mut().and_then(|op| op.poll(waiter));
        self.out.is_some()
    }

    fn withdraw(&mut self) -> bool {
        self.out = self.op.as_mut().and_then(Op::withdraw);
        self.out.is_some()
    }
}

struct Select<'a, 'b> {
    arms: &'a mut [&'b mut dyn Arm],
    claim: Claim,
    /// The arms by number; empty: as they are.
    order: Vec<usize>,
}

impl Op for Select<'_, '_> {
    type Out = usize;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<usize> {
        for k in 0..self.arms.len() {
            let i = self.order.get(k).copied().unwrap_or(k);
            if self.claim.is_taken() {
                break; // A receiver took one of the offers.
            }
            if self.arms[i].poll(waiter) {
                for (j, arm) in self.arms.iter_mut().enumerate() {
                    if j != i {
                        arm.withdraw();
                    }
                }
                return Some(i);
            }
        }
        if self.claim.is_taken() { self.withdraw() } else { None }
    }

    fn withdraw(&mut self) -> Option<usize> {
        let mut done = None;
        for (i, arm) in self.arms.iter_mut().enumerate() {
            if arm.withdraw() {
                done = Some(i);
            }
        }
        done
    }
}

/// Performs one of the arms; `None` if `limit` ran out first. Used by the macro.
#[doc(hidden)]
#[track_caller]
pub fn select_arms(
    ctx: &Context,
    order: Order<'_>,
    arms: &mut [&mut dyn Arm],
    limit: Option<Duration>,
) -> Result<Option<usize>, Stop> {
    ctx.check()?;
    let claim = Claim::new();
    for arm in &mut *arms {
        arm.arm(&claim);
    }
    let mut select = Select { order: order.draw(arms.len()), arms, claim };
    let site = Site::new(WaitKind::Select, None);
    match limit {
        None => ctx.block(site, &mut select).map(Some),
        Some(limit) => {
            let until = ctx.clock().now().checked_add(limit);
            ctx.block_until(until, site, &mut select)
        }
    }
}

/// Waits for the first of several channel operations and runs its branch.
///
/// The context is always an arm: the macro's value is `Result<R, Stop>`, where `R` is the value of
/// the branches. Exactly one operation happens; values of sends that did not happen are dropped, or
/// come back in the error if their channel is closed. A closed channel is ready: its branch gets the
/// error. A channel with an overflow policy other than `Block` is always ready to be sent into, as it
/// is for [`send`](crate::channel::Sender::send).
///
/// * `recv(rx) -> m => ..` : `m` is a `Result<T, RecvError>`;
/// * `send(tx, value) -> r => ..` : `r` is a `Result<(), SendError<T>>`;
/// * `default => ..` if none is ready now, `default(after) => ..` if none is ready for a `Duration`.
///
/// Biased to the order of the arms. Write `ctx, Order::Fair;` or `ctx, Order::Weighted(&[3, 1]);` for
/// another [`Order`].
///
/// # Cancellation
/// A stopped context fails at once, even if an arm is ready; nothing has happened then.
///
/// ```
/// use ironsys::{Context, channel, select};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (tx, orders) = channel::bounded::<u32>(1);
/// let (log, lines) = channel::bounded::<&str>(1);
/// tx.send(&ctx, 7)?;
/// let seen = select! { ctx;
///     recv(orders) -> order => order?,
///     send(log, "idle") -> sent => { sent?; 0 },
///     default(Duration::from_secs(1)) => 0,
/// }?;
/// assert_eq!((seen, lines.len()), (7, 0));
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! select {
    ($ctx:expr; $($arms:tt)+) => {
        $crate::select!(@munch ($ctx) ($crate::channel::Order::Biased) [] $($arms)+)
    };
    (@munch $c:tt $o:tt [$($done:tt)*]) => {
        $crate::select!(@run $c $o [$($done)*] (::core::option::Option::None) (::core::unreachable!()))
    };
    (@munch $c:tt $o:tt [$($done:tt)*] default => $body:expr $(,)?) => {
        $crate::select!(@run $c $o [$($done)*]
            (::core::option::Option::Some(::core::time::Duration::ZERO))
            (::core::result::Result::Ok($body)))
    };
    (@munch $c:tt $o:tt [$($done:tt)*] default($after:expr) => $body:expr $(,)?) => {
        $crate::select!(@run $c $o [$($done)*] (::core::option::Option::Some($after))
            (::core::result::Result::Ok($body)))
    };
    (@munch $c:tt $o:tt [$($done:tt)*] recv($rx:expr) -> $p:pat => $body:expr, $($rest:tt)*) => {
        $crate::select!(@munch $c $o
            [$($done)* (arm ($crate::channel::RecvArm::new(&$rx)) ($p) ($body))] $($rest)*)
    };
    (@munch $c:tt $o:tt [$($done:tt)*] recv($rx:expr) -> $p:pat => $body:expr) => {
        $crate::select!(@munch $c $o
            [$($done)* (arm ($crate::channel::RecvArm::new(&$rx)) ($p) ($body))])
    };
    (@munch $c:tt $o:tt [$($done:tt)*] send($tx:expr, $v:expr) -> $p:pat => $body:expr, $($rest:tt)*) => {
        $crate::select!(@munch $c $o
            [$($done)* (arm ($crate::channel::SendArm::new(&$tx, $v)) ($p) ($body))] $($rest)*)
    };
    (@munch $c:tt $o:tt [$($done:tt)*] send($tx:expr, $v:expr) -> $p:pat => $body:expr) => {
        $crate::select!(@munch $c $o
            [$($done)* (arm ($crate::channel::SendArm::new(&$tx, $v)) ($p) ($body))])
    };
    (@run ($ctx:expr) ($order:expr) [$(($arm:ident ($new:expr) ($p:pat) ($body:expr)))*]
        ($limit:expr) ($default:expr)) => {{
        $( let mut $arm = $new; )*
        let chosen = $crate::channel::select_arms(
            &$ctx,
            $order,
            &mut [$(&mut $arm as &mut dyn $crate::channel::Arm),*],
            $limit,
        );
        // No labelled block: a branch may `break` and `continue` the user's own loop.
        let mut _arm_number = 0;
        #[allow(unreachable_code)]
        let value = match chosen {
            ::core::result::Result::Err(stop) => ::core::result::Result::Err(stop),
            ::core::result::Result::Ok(chosen) => {
                $(
                    if chosen == ::core::option::Option::Some({
                        _arm_number += 1;
                        _arm_number - 1
                    }) {
                        let $p = $arm.take();
                        ::core::result::Result::Ok($body)
                    } else
                )* {
                    $default
                }
            }
        };
        value
    }};
    ($ctx:expr, $order:expr; $($arms:tt)+) => {
        $crate::select!(@munch ($ctx) ($order) [] $($arms)+)
    };
}
