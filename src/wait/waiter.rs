//! One parked thread.

use super::serving::Serving;
use super::site::Site;
use crate::sync::{self, Arc, Condvar, LeakTrack, MODEL, Mutex, planted};
use crate::time::{Clock, Virtual, Wake, seats};
use std::time::Instant;

/// The parking place of one thread. A wake-up before the wait is remembered; wake-ups left over from
/// an earlier wait are spurious, and every caller tests its condition again.
pub(crate) struct Waiter {
    /// Guards the flag and what the thread waits for.
    state: Mutex<Parked>,
    woken: Condvar,
    _leak: LeakTrack,
}

struct Parked {
    woken: bool,
    site: Option<Site>,
    /// What the thread is at work for, while it is parked.
    serving: Serving,
    /// Set while the thread is out of a virtual clock's count; whoever wakes it puts it back.
    uncounted: Option<(Arc<Virtual>, usize)>,
}

impl Parked {
    /// Puts the thread back into the virtual clock's count.
    fn count_again(&mut self) {
        if let Some((time, seats)) = self.uncounted.take() {
            time.unpark(seats);
        }
    }
}

crate::sync::thread_local_in_build! {
    static MINE: Arc<Waiter> = Arc::new(Waiter::new());
}

impl Waiter {
    pub(crate) fn new() -> Self {
        Waiter {
            state: Mutex::new(Parked {
                woken: false,
                site: None,
                serving: Serving::default(),
                uncounted: None,
            }),
            woken: Condvar::new(),
            _leak: LeakTrack::new(),
        }
    }

    /// The calling thread's waiter. A thread that ends already gets one of its own.
    pub(crate) fn current() -> Arc<Waiter> {
        MINE.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Waiter::new()))
    }

    /// Wakes the thread, or its next wait. Call it without a lock of your own.
    pub(crate) fn wake(&self) {
        if planted("notify_before_flag") {
            self.woken.notify_one(); // loom: unreached: only with the bug planted
        }
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.woken, true) {
            return;
        }
        if !planted("wake_uncounted") {
            state.count_again();
        }
        drop(state);
        if !planted("notify_before_flag") {
            self.woken.notify_one();
        }
    }

    /// Parks until woken (`true`) or until `deadline` on `clock` (`false`).
    pub(crate) fn wait(
        self: &Arc<Self>,
        clock: &Clock,
        deadline: Option<Instant>,
        site: &Site,
    ) -> bool {
        match clock.as_virtual() {
            None => self.wait_real(deadline, site),
            Some(time) => self.wait_virtual(time, deadline, site),
        }
    }

    /// What the thread is parked for, if it is, and what it is at work for. One that has been woken and
    /// is on its way is not parked.
    pub(crate) fn site(&self) -> Option<(Site, Serving)> {
        let state = self.state.lock();
        let site = if state.woken { None } else { state.site.clone() };
        site.map(|site| (site, state.serving))
    }

    fn wait_real(&self, deadline: Option<Instant>, site: &Site) -> bool {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.woken) {
            return true;
        }
        state.note(site);
        let woken = loop {
            match deadline {
                None => state = self.woken.wait(state),
                Some(deadline) => {
                    let timed_out;
                    (state, timed_out) = self.woken.wait_until(state, deadline);
                    if timed_out {
                        break std::mem::take(&mut state.woken);
                    }
                }
            }
            if std::mem::take(&mut state.woken) {
                break true;
            }
        };
        state.site = None;
        woken
    }

    fn wait_virtual(
        self: &Arc<Self>,
        time: &Arc<Virtual>,
        deadline: Option<Instant>,
        site: &Site,
    ) -> bool {
        // First the alarm, then the look at the time: an advance in between fires the alarm.
        let _alarm = deadline.map(|at| Virtual::wake_at(time, at, self.clone() as Arc<dyn Wake>));
        let mine = seats(time);
        let mut state = self.state.lock();
        state.note(site);
        let woken = loop {
            if std::mem::take(&mut state.woken) {
                break true;
            }
            if deadline.is_some_and(|at| time.now() >= at) {
                state.count_again();
                break false;
            }
            if state.uncounted.is_none() {
                state.uncounted = Some((time.clone(), mine));
                if time.park(mine) {
                    drop(state);
                    let hook_ran = time.jump(|| self.state.lock().count_again());
                    state = self.state.lock();
                    if hook_ran {
                        break true; // The flag may be gone: let the caller look.
                    }
                    continue;
                }
            }
            state = self.woken.wait(state);
        };
        state.site = None;
        woken
    }
}

impl Wake for Waiter {
    fn wake(&self) {
        Waiter::wake(self);
    }
}

impl Parked {
    /// Notes what the thread is about to park for, and since when.
    #[inline]
    fn note(&mut self, site: &Site) {
        let since = if MODEL { None } else { Some(sync::time::now()) };
        self.serving = Serving::current();
        self.site = Some(Site { since, ..site.clone() });
    }
}

/// How long `rounds` waits take for noting what they are for, beyond the lock that they take anyway.
#[cfg(feature = "testing")]
pub(crate) fn time_noting(rounds: u32) -> std::time::Duration {
    let waiter = Waiter::new();
    let site = Site::new(super::WaitKind::Recv, None);
    let run = |noting: bool| {
        let start = sync::time::now();
        for _ in 0..rounds {
            let mut state = waiter.state.lock(); // loom: unreached: a measurement.
            if noting {
                state.note(&site);
                std::hint::black_box(&mut *state).site = None;
            }
        }
        sync::time::now() - start
    };
    let bare = run(false);
    run(true).saturating_sub(bare)
}
