//! Time by hand.
//!
//! The autojump: the clock counts the *participants* that are not parked. A participant is a thread
//! that works for a scope or a pool under this clock (counted from the moment it is called, so that
//! the time stands still while a task is about to begin), a scope's body, or a thread that holds a
//! [`Participant`]. A task that waits in a queue is none: it can only begin when another has ended.
//! Parking takes a thread out of the count; the thread that wakes it puts it back *before* it runs, so
//! the count is never too low. Whoever brings the count to zero moves the clock to the next deadline.

use super::clock::{Clock, Kind, Wake};
use super::timers::{Alarm, Call, Of};
use crate::sync::{self, Arc, AtomicU64, Mutex, Ordering, planted};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// A clock that stands still until the test moves it.
///
/// Threads blocked under a context on this clock wake when `advance` passes their deadline. Nothing
/// polls. With [`VirtualClock::auto`] the clock moves by itself to the next deadline whenever every
/// task on it is parked, so a test of timeouts runs at full speed.
///
/// ```
/// use ironsys::{Context, Stop, time::VirtualClock};
/// use std::time::Duration;
///
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let day = ctx.with_timeout(Duration::from_secs(86_400));
/// assert_eq!(day.wait_stopped(), Stop::DeadlineExceeded); // a day passes at once
/// ```
#[derive(Clone)]
pub struct VirtualClock(Arc<Virtual>);

impl VirtualClock {
    /// Makes a clock that moves only when told to.
    ///
    /// ```
    /// # use ironsys::time::VirtualClock;
    /// let time = VirtualClock::new();
    /// assert_eq!(time.now(), time.now()); // it stands still
    /// ```
    #[must_use]
    pub fn new() -> Self {
        VirtualClock(Arc::new(Virtual::new(false)))
    }

    /// Makes a clock that jumps to the next deadline when every participant is parked.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Stop> {
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let start = time.now();
    /// ctx.sleep(Duration::from_secs(3600))?; // takes no time at all
    /// assert_eq!(time.now() - start, Duration::from_secs(3600));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn auto() -> Self {
        VirtualClock(Arc::new(Virtual::new(true)))
    }

    /// Returns the handle to put into a context.
    ///
    /// ```
    /// # use ironsys::{Context, time::VirtualClock};
    /// let time = VirtualClock::new();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// assert_eq!(ctx.clock().now(), time.now());
    /// ```
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Kind::Virtual(self.0.clone()))
    }

    /// Returns the present virtual time.
    ///
    /// ```
    /// # use ironsys::time::VirtualClock;
    /// let time = VirtualClock::new();
    /// assert_eq!(time.now(), time.clock().now());
    /// ```
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Moves the time forward by `by`, firing every deadline on the way in order of time.
    ///
    /// Woken threads run on their own; the call does not wait for them. `Duration::MAX` fires all
    /// that is pending and stops 584 years after the clock's start.
    ///
    /// ```
    /// # use ironsys::time::VirtualClock;
    /// # use std::time::Duration;
    /// let (time, hour) = (VirtualClock::new(), Duration::from_secs(3600));
    /// let start = time.now();
    /// time.advance(hour);
    /// assert_eq!(time.now() - start, hour);
    /// ```
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let target = self.0.nanos().saturating_add(by);
        while self.0.fire_first_or_move(target) {}
    }

    /// Moves the time to the next pending deadline and fires it. `None`: nothing is pending.
    ///
    /// ```
    /// # use ironsys::{Context, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::new();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let soon = ctx.with_timeout(Duration::from_secs(60));
    /// let _hook = soon.on_stop(|_| ());
    /// assert_eq!(time.advance_to_next(), soon.deadline());
    /// assert!(soon.is_stopped());
    /// ```
    pub fn advance_to_next(&self) -> Option<Instant> {
        self.0.fire_first_until(u64::MAX).then(|| self.now())
    }

    /// Sets the date and time that the clock shows, as an administrator would: forward or back, and
    /// without a word to anybody. It then goes on with the clock. A new clock shows midnight of
    /// 1 January 2000, UTC.
    ///
    /// ```
    /// use ironsys::time::VirtualClock;
    /// use std::time::{Duration, SystemTime};
    /// let (time, hour) = (VirtualClock::new(), Duration::from_secs(3600));
    /// time.set_wall(SystemTime::UNIX_EPOCH + hour);
    /// time.advance(hour);
    /// assert_eq!(time.clock().wall(), SystemTime::UNIX_EPOCH + 2 * hour);
    /// ```
    pub fn set_wall(&self, wall: SystemTime) {
        let mut state = self.0.state.lock();
        state.wall = (self.0.nanos(), wall);
    }

    /// Returns how many deadlines are pending: parked threads with a deadline, and hooks.
    ///
    /// ```
    /// # use ironsys::{Context, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let _hook = ctx.with_timeout(Duration::from_secs(60)).on_stop(|_| ());
    /// assert_eq!(time.pending(), 1);
    /// ```
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.state.lock().alarms.len()
    }

    /// Counts the calling thread as a participant until the guard is dropped.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let _me = time.participate();
    /// let soon = ctx.with_timeout(Duration::from_secs(60));
    /// assert_eq!(soon.wait_stopped(), Stop::DeadlineExceeded);
    /// ```
    #[must_use = "the thread takes part for as long as the guard lives"]
    pub fn participate(&self) -> Participant {
        let token = Virtual::token(&self.0);
        Participant { _seat: Seat::take(&token), _token: token }
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        VirtualClock::new()
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualClock").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

/// The calling thread takes part in a virtual clock's autojump. Made by
/// [`VirtualClock::participate`].
pub struct Participant {
    _seat: Seat,
    _token: Token,
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Participant")
    }
}

/// What the handles share.
pub(crate) struct Virtual {
    start: Instant,
    auto: bool,
    /// Nanoseconds since `start`. Only moved forward, under `state`; read without it.
    now: AtomicU64,
    /// Guards the alarms, the count of participants at work, the wall clock, and every move of `now`.
    state: Mutex<State>,
}

struct State {
    alarms: BTreeMap<(Instant, u64), Ring>,
    next: u64,
    busy: usize,
    /// What the wall clock showed, and when, in nanoseconds since `start`.
    wall: (u64, SystemTime),
}

enum Ring {
    Wake(Arc<dyn Wake>),
    Call(Call),
}

impl Ring {
    /// `true` if there was something to fire. No lock is held.
    fn fire(ring: Option<Ring>) -> bool {
        match ring {
            None => return false,
            Some(Ring::Wake(thread)) => thread.wake(),
            Some(Ring::Call(call)) => call(),
        }
        true
    }
}

impl Virtual {
    fn new(auto: bool) -> Self {
        Virtual {
            start: sync::time::now(),
            auto,
            now: AtomicU64::new(0),
            state: Mutex::new(State {
                alarms: BTreeMap::new(),
                next: 0,
                busy: 0,
                wall: (0, SystemTime::UNIX_EPOCH + YEAR_2000),
            }),
        }
    }

    fn nanos(&self) -> u64 {
        self.now.load(Ordering::Acquire)
    }

    pub(crate) fn now(&self) -> Instant {
        self.start + Duration::from_nanos(self.nanos())
    }

    pub(super) fn wall(&self) -> SystemTime {
        let (since, wall) = self.state.lock().wall;
        let gone = Duration::from_nanos(self.nanos().saturating_sub(since));
        wall.checked_add(gone).unwrap_or(wall) // Beyond the end of dates it stands still.
    }

    /// Moves the time forward to `at`; the caller holds `state`.
    fn move_to(&self, at: u64) {
        if self.nanos() < at {
            // Release: what the mover did before is seen by whoever reads the new time.
            self.now.store(at, Ordering::Release);
        }
    }

    /// Takes the earliest alarm not after `target`, moves the time to it and fires it.
    fn fire_first_until(&self, target: u64) -> bool {
        let ring = self.take_first(&mut self.state.lock(), target);
        Ring::fire(ring)
    }

    /// The same, or moves the time to `target` if there is none. In one critical section: an alarm
    /// that comes later finds the new time when it looks at the clock.
    fn fire_first_or_move(&self, target: u64) -> bool {
        let mut state = self.state.lock();
        let ring = self.take_first(&mut state, target);
        let locked = (!planted("time_moves_late")).then_some(state);
        if ring.is_none() {
            self.move_to(target);
        }
        drop(locked);
        Ring::fire(ring)
    }

    fn take_first(&self, state: &mut State, target: u64) -> Option<Ring> {
        let first = state.alarms.first_entry()?;
        let at = first.key().0.saturating_duration_since(self.start).as_nanos();
        let at = u64::try_from(at).ok()?; // Beyond the end of time: never.
        if at > target {
            return None;
        }
        self.move_to(at);
        Some(first.remove())
    }

    fn add(this: &Arc<Virtual>, when: Instant, ring: Ring) -> Alarm {
        let mut state = this.state.lock();
        state.next += 1;
        let key = (when, state.next);
        state.alarms.insert(key, ring);
        Alarm { of: Of::Virtual(Arc::downgrade(this)), key: Some(key) }
    }

    pub(super) fn call_at(this: &Arc<Virtual>, when: Instant, call: Call) -> Alarm {
        let alarm = Virtual::add(this, when, Ring::Call(call));
        if this.now() >= when {
            // Its time came before it was in the queue; others may be due before it.
            while this.fire_first_until(this.nanos()) {}
        }
        alarm
    }

    pub(crate) fn wake_at(this: &Arc<Virtual>, when: Instant, thread: Arc<dyn Wake>) -> Alarm {
        Virtual::add(this, when, Ring::Wake(thread))
    }

    pub(super) fn remove(&self, key: (Instant, u64)) -> Option<Call> {
        match self.state.lock().alarms.remove(&key) {
            Some(Ring::Call(call)) => Some(call),
            _ => None,
        }
    }

    /// Counts one more participant at work, until the token is dropped.
    pub(crate) fn token(this: &Arc<Virtual>) -> Token {
        if !this.auto {
            return Token(None);
        }
        this.state.lock().busy += 1;
        Token(Some(this.clone()))
    }

    /// Takes `n` parked participants out of the count; `true` if nobody is at work now.
    pub(crate) fn park(&self, n: usize) -> bool {
        if !self.auto {
            return false;
        }
        let mut state = self.state.lock();
        state.busy -= n;
        state.busy == 0
    }

    /// Puts `n` participants back into the count; called by whoever wakes them.
    pub(crate) fn unpark(&self, n: usize) {
        if n != 0 {
            self.state.lock().busy += n;
        }
    }

    /// Moves to the next deadline if still nobody is at work. `true` if a hook has run: it may have
    /// waited, on this thread, and so have taken a wake-up that was not meant for it. Before a hook
    /// runs, `at_work` puts the thread back into the count: it is at work then, and may park again.
    pub(crate) fn jump(&self, at_work: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        if state.busy != 0 {
            return false;
        }
        let ring = self.take_first(&mut state, u64::MAX);
        drop(state);
        match ring {
            None => false,
            Some(Ring::Wake(thread)) => {
                thread.wake();
                false
            }
            Some(Ring::Call(call)) => {
                at_work();
                call();
                true
            }
        }
    }
}

/// From the Unix epoch to 1 January 2000.
const YEAR_2000: Duration = Duration::from_secs(946_684_800);

/// One participant at work, counted by an autojumping clock. Empty for every other clock.
pub(crate) struct Token(Option<Arc<Virtual>>);

impl Token {
    /// For a thread that works under `clock`, from the moment it is called.
    #[inline]
    pub(crate) fn of(clock: &Clock) -> Token {
        clock.as_virtual().map_or(Token(None), Virtual::token)
    }

    /// The calling thread works on this token's behalf until the seat is dropped.
    #[inline]
    pub(crate) fn sit(&self) -> Seat {
        Seat::take(self)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(time) = &self.0
            && time.park(1)
        {
            while time.jump(|| ()) {} // A hook wakes nobody who would jump on.
        }
    }
}

crate::sync::thread_local_in_build! {
    /// The clocks on whose behalf this thread works, one entry a token.
    static SEATS: RefCell<Vec<Arc<Virtual>>> = RefCell::new(Vec::new());
}

/// Marks the thread that works for a token, so that its parking is counted.
pub(crate) struct Seat(bool);

impl Seat {
    fn take(token: &Token) -> Seat {
        let Some(time) = &token.0 else { return Seat(false) };
        SEATS.with(|seats| seats.borrow_mut().push(time.clone()));
        Seat(true)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0 {
            let _ = SEATS.try_with(|seats| seats.borrow_mut().pop());
        }
    }
}

/// How many tokens of `time` the calling thread works for.
pub(crate) fn seats(time: &Arc<Virtual>) -> usize {
    let count = |seats: &RefCell<Vec<Arc<Virtual>>>| {
        seats.borrow().iter().filter(|t| Arc::ptr_eq(t, time)).count()
    };
    SEATS.try_with(count).unwrap_or(0)
}
