//! Rules that say where items go, and that can be changed while they do.

use crate::channel::Sender;
use crate::error::BuildError;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use std::fmt;

/// Sends each item to the output of the first rule that it matches: a message router. A handle; clones
/// share the rules, and the rules can be replaced while flows run.
///
/// The rules that an item meets are those of one moment. An item that matches none goes to the output
/// [`otherwise`](Rules::otherwise), or is dropped and counted as unmatched.
///
/// ```
/// use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (even_tx, even) = channel::bounded(10);
/// let (rest_tx, rest) = channel::bounded(10);
/// let rules = Rules::new().when("even", |n: &u32| n % 2 == 0, &even_tx).otherwise("rest", &rest_tx);
/// let router = Router::new(rules)?;
/// let routed = Flow::of(0..5).route_to(&ctx, &router)?;
/// assert_eq!((even.drain(), rest.drain()), (vec![0, 2, 4], vec![1, 3]));
/// assert_eq!((routed.count, router.stats()[0].routed), (5, 3));
/// # Ok(()) }
/// ```
pub struct Router<T> {
    /// Guards which rules count from now on.
    rules: Arc<Mutex<Arc<Table<T>>>>,
}

/// The rules of a [`Router`], in the order in which they are tried.
#[must_use = "rules do nothing outside of a router"]
pub struct Rules<T> {
    rules: Vec<Rule<T>>,
    otherwise: Option<Rule<T>>,
}

type Matches<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;

struct Rule<T> {
    name: Arc<str>,
    matches: Matches<T>,
    to: Sender<T>,
    routed: AtomicU64,
}

struct Table<T> {
    rules: Vec<Rule<T>>,
    otherwise: Option<Rule<T>>,
    unmatched: AtomicU64,
}

/// What one rule of a router has done, since the rules were set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleStats {
    /// The name of the rule; `(unmatched)` for the items that were dropped.
    pub name: Arc<str>,
    /// How many items went its way.
    pub routed: u64,
    /// How many lie in its output now; a full one holds up the flow.
    pub depth: usize,
}

impl<T> Rules<T> {
    /// Begins without a rule.
    ///
    /// ```
    /// # use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # let (ctx, _cancel) = Context::root();
    /// let router = Router::new(Rules::<u32>::new())?;
    /// Flow::of(0..3).route_to(&ctx, &router)?; // They match no rule.
    /// assert_eq!((&*router.stats()[0].name, router.stats()[0].routed), ("(unmatched)", 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Rules<T> {
        Rules { rules: Vec::new(), otherwise: None }
    }

    /// Adds a rule: items for which `matches` is true go to `output`, unless an earlier rule took them.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let ((big, bigs), (rest, rests)) = (channel::bounded(10), channel::bounded(10));
    /// let rules = Rules::new().when("big", |n: &u32| *n > 5, &big).otherwise("rest", &rest);
    /// Flow::of([9, 1]).route_to(&ctx, &Router::new(rules)?)?;
    /// assert_eq!((bigs.drain(), rests.drain()), (vec![9], vec![1]));
    /// # Ok(()) }
    /// ```
    pub fn when(
        mut self,
        name: impl Into<String>,
        matches: impl Fn(&T) -> bool + Send + Sync + 'static,
        output: &Sender<T>,
    ) -> Rules<T> {
        self.rules.push(Rule::new(name, Box::new(matches), output));
        self
    }

    /// Sets where items go that match no rule.
    ///
    /// ```
    /// # use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # let (ctx, _cancel) = Context::root();
    /// let (rest, rests) = channel::bounded(10);
    /// let router = Router::new(Rules::new().otherwise("rest", &rest))?;
    /// Flow::of(0..3).route_to(&ctx, &router)?;
    /// assert_eq!(rests.drain(), [0, 1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn otherwise(mut self, name: impl Into<String>, output: &Sender<T>) -> Rules<T> {
        self.otherwise = Some(Rule::new(name, Box::new(|_| true), output));
        self
    }

    fn check(self) -> Result<Arc<Table<T>>, BuildError> {
        let mut names: Vec<&str> =
            self.rules.iter().chain(&self.otherwise).map(|rule| &*rule.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let problem = format!("has two rules called `{}`", twice[0]);
            return Err(BuildError::new("router", "rules", problem));
        }
        let Rules { rules, otherwise } = self;
        Ok(Arc::new(Table { rules, otherwise, unmatched: AtomicU64::new(0) }))
    }
}

impl<T> Rule<T> {
    fn new(name: impl Into<String>, matches: Matches<T>, to: &Sender<T>) -> Rule<T> {
        let name = name.into().into();
        Rule { name, matches, to: to.clone(), routed: AtomicU64::new(0) }
    }

    fn stats(&self) -> RuleStats {
        // Relaxed: a count by itself.
        let routed = self.routed.load(Ordering::Relaxed);
        RuleStats { name: self.name.clone(), routed, depth: self.to.len() }
    }
}

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Rules::new()
    }
}

impl<T> Router<T> {
    /// Makes a router.
    ///
    /// # Errors
    /// `rules`: two have the same name.
    ///
    /// ```
    /// # use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, _rx) = channel::bounded::<u32>(10);
    /// let twice = Rules::new().when("a", |n| *n > 5, &tx).when("a", |n| *n > 7, &tx);
    /// assert_eq!(Router::new(twice).unwrap_err().field(), "rules");
    /// ```
    pub fn new(rules: Rules<T>) -> Result<Router<T>, BuildError> {
        Ok(Router { rules: Arc::new(Mutex::new(rules.check()?)) })
    }

    /// Replaces the rules. An item that is being routed goes by the old ones, the next by the new ones;
    /// the counts begin anew. The old rules are dropped here, or by the last item that meets them.
    ///
    /// # Errors
    /// `rules`: two have the same name. The old ones stay.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let ((big, _bigs), (rest, rests)) = (channel::bounded(10), channel::bounded(10));
    /// let rules = Rules::new().when("big", |n: &u32| *n > 5, &big).otherwise("rest", &rest);
    /// let router = Router::new(rules)?;
    /// router.replace(Rules::new().otherwise("rest", &rest))?;
    /// Flow::of([9, 1]).route_to(&ctx, &router)?;
    /// assert_eq!(rests.drain(), [9, 1]);
    /// # Ok(()) }
    /// ```
    pub fn replace(&self, rules: Rules<T>) -> Result<(), BuildError> {
        let table = rules.check()?;
        let old = std::mem::replace(&mut *self.rules.lock(), table);
        drop(old);
        Ok(())
    }

    /// Returns what each rule has done, in their order; last, if there is no output for them, the items
    /// that matched none.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let ((big, _bigs), (rest, _rests)) = (channel::bounded(10), channel::bounded(10));
    /// let rules = Rules::new().when("big", |n: &u32| *n > 5, &big).otherwise("rest", &rest);
    /// let router = Router::new(rules)?;
    /// Flow::of([9, 8, 1]).route_to(&ctx, &router)?;
    /// assert_eq!((&*router.stats()[0].name, router.stats()[0].routed), ("big", 2));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Vec<RuleStats> {
        let table = self.rules.lock().clone();
        let mut stats: Vec<_> =
            table.rules.iter().chain(&table.otherwise).map(Rule::stats).collect();
        if table.otherwise.is_none() {
            // Relaxed: a count by itself.
            let routed = table.unmatched.load(Ordering::Relaxed);
            stats.push(RuleStats { name: "(unmatched)".into(), routed, depth: 0 });
        }
        stats
    }

    /// The way of an item by the rules of now. Runs the user's rules.
    pub(super) fn way(&self, item: &T) -> Way<T> {
        let table = self.rules.lock().clone();
        let rule = table.rules.iter().position(|rule| (rule.matches)(item));
        Way { table, rule }
    }
}

/// Where one item goes.
pub(super) struct Way<T> {
    table: Arc<Table<T>>,
    rule: Option<usize>,
}

impl<T> Way<T> {
    fn rule(&self) -> Option<&Rule<T>> {
        match self.rule {
            Some(i) => self.table.rules.get(i),
            None => self.table.otherwise.as_ref(),
        }
    }

    /// The output; `None` if there is none for it.
    pub(super) fn to(&self) -> Option<&Sender<T>> {
        self.rule().map(|rule| &rule.to)
    }

    pub(super) fn name(&self) -> Option<Arc<str>> {
        self.rule().map(|rule| rule.name.clone())
    }

    /// The item has gone that way.
    pub(super) fn gone(&self) {
        let count = self.rule().map_or(&self.table.unmatched, |rule| &rule.routed);
        // Relaxed: a count by itself.
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Router { rules: self.rules.clone() }
    }
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.stats()).finish()
    }
}

impl<T> fmt::Debug for Rules<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rules.iter().chain(&self.otherwise).map(|rule| &rule.name);
        f.debug_list().entries(names).finish()
    }
}
