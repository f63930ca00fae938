//! One function over many items.

use super::handle::Scope;
use super::options::options;
use crate::channel::{self, Receiver, Sender};
use crate::context::{Context, Stop};
use crate::sync::Mutex;

/// Applies `f` to every item, on at most `limit` threads, and returns the results in the order of
/// the items.
///
/// The calling thread is one of them. Items are drawn from the iterator one at a time, when a thread
/// is free; the iterator passes from thread to thread and is never advanced under a lock.
///
/// # Cancellation
/// Stops drawing items when `ctx` stops or an item fails, and waits for those under way.
///
/// # Errors
/// The first failure; with `limit` 0, a [`Stop`] that says so.
///
/// # Panics
/// With the payload of the first panic in `f` or in the iterator.
///
/// ```
/// use ironsys::{Context, Stop, scope};
/// # fn main() -> Result<(), Stop> {
/// let (ctx, _cancel) = Context::root();
/// let squares = scope::map(&ctx, 4, 1..=5, |_, n| Ok::<_, Stop>(n * n))?;
/// assert_eq!(squares, [1, 4, 9, 16, 25]);
/// # Ok(()) }
/// ```
#[track_caller]
pub fn map<I, R, E, F>(ctx: &Context, limit: usize, items: I, f: F) -> Result<Vec<R>, E>
where
    I: IntoIterator,
    I::IntoIter: Send,
    I::Item: Send,
    R: Send,
    E: From<Stop> + Send,
    F: Fn(&Context, I::Item) -> Result<R, E> + Sync,
{
    let found = Mutex::new(Vec::new());
    let each = |ctx: &Context, (i, item), mine: &mut Vec<(usize, R)>| -> Result<(), E> {
        mine.push((i, f(ctx, item)?));
        Ok(())
    };
    let done = |mine: Vec<(usize, R)>| found.lock().extend(mine);
    draw(ctx, limit, items.into_iter().enumerate(), &each, &done)?;
    let mut found = found.into_inner();
    found.sort_unstable_by_key(|(i, _)| *i);
    Ok(found.into_iter().map(|(_, r)| r).collect())
}

/// Calls `f` with every item, on at most `limit` threads. Like [`map`], without results; nothing is
/// held but the items under way, so the iterator may be endless.
///
/// # Cancellation
/// As for [`map`].
///
/// # Errors
/// The first failure.
///
/// # Panics
/// With the payload of the first panic in `f` or in the iterator.
///
/// ```
/// use ironsys::{Context, Stop, scope, sync::{AtomicUsize, Ordering}};
/// # fn main() -> Result<(), Stop> {
/// let (ctx, _cancel) = Context::root();
/// let sum = AtomicUsize::new(0);
/// scope::for_each(&ctx, 2, 0..100, |_, n| {
///     sum.fetch_add(n, Ordering::Relaxed);
///     Ok::<_, Stop>(())
/// })?;
/// assert_eq!(sum.into_inner(), 4950);
/// # Ok(()) }
/// ```
#[track_caller]
pub fn for_each<I, E, F>(ctx: &Context, limit: usize, items: I, f: F) -> Result<(), E>
where
    I: IntoIterator,
    I::IntoIter: Send,
    I::Item: Send,
    E: From<Stop> + Send,
    F: Fn(&Context, I::Item) -> Result<(), E> + Sync,
{
    draw(ctx, limit, items.into_iter(), &|ctx, item, _: &mut ()| f(ctx, item), &|()| ())
}

/// What all threads of a `map` share. The iterator is the baton: who holds it draws the next item.
struct Draw<'a, I, F, D> {
    give: Sender<I>,
    take: Receiver<I>,
    each: &'a F,
    done: &'a D,
    limit: usize,
}

#[track_caller]
fn draw<I, E, L, F, D>(ctx: &Context, limit: usize, items: I, each: &F, done: &D) -> Result<(), E>
where
    I: Iterator + Send,
    I::Item: Send,
    E: From<Stop> + Send,
    L: Default,
    F: Fn(&Context, I::Item, &mut L) -> Result<(), E> + Sync,
    D: Fn(L) + Sync,
{
    let (give, take) = channel::bounded(1);
    let draw = Draw { give, take, each, done, limit };
    options().limit(limit).run(ctx, |s| {
        // The iterator is never lost: it is held by one thread, or by the channel of one place.
        if draw.give.try_send(items).is_ok() { draw.work(s, 1) } else { Ok(()) }
    })
}

impl<I, F, D> Draw<'_, I, F, D>
where
    I: Iterator + Send,
    I::Item: Send,
{
    /// Draws items until there is none, on the calling thread, which is the `me`-th.
    fn work<'env, E, L>(&'env self, s: &Scope<'_, 'env, E>, me: usize) -> Result<(), E>
    where
        E: From<Stop> + Send + 'env,
        L: Default,
        F: Fn(&Context, I::Item, &mut L) -> Result<(), E> + Sync,
        D: Fn(L) + Sync,
    {
        let mut mine = L::default();
        let mut alone = me < self.limit;
        loop {
            let Ok(mut items) = self.take.recv(s.ctx()) else {
                s.ctx().check()?; // Stopped; otherwise another thread has found the end.
                break;
            };
            let Some(item) = items.next() else {
                self.give.close();
                break;
            };
            if self.give.try_send(items).is_err() {
                break;
            }
            if std::mem::take(&mut alone) {
                // There was an item, so there may be more: one more thread, which does the same.
                let _ = s.spawn_with(move |s| self.work(s, me + 1));
            }
            (self.each)(s.ctx(), item, &mut mine)?;
        }
        (self.done)(mine);
        Ok(())
    }
}
