//! The state machine of a breaker: one word that every call reads, one lock that every change takes.
//! `README.md` has the protocol.

use super::builder::Config;
use super::news::News;
use super::window::Window;
use super::{Answer, BreakerState, Open, Transition};
use crate::observe::Counter;
use crate::schedule::Delays;
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering, planted};
use crate::wait::{WaitQueue, Wakes};
use std::time::{Duration, Instant};

pub(super) struct Core {
    /// Generation, whether a success changes nothing, and the state: see [`Word`]. Written under
    /// `inner`, with Release; read without it, with Acquire.
    word: AtomicU64,
    /// Calls that ended well. Only a count: it orders nothing.
    succeeded: Counter,
    /// Guards everything else.
    inner: Mutex<Inner>,
    pub(super) config: Config,
    /// Whether the end of a call is timed; whether its beginning is.
    timed: bool,
    times_calls: bool,
    start: Instant,
    _leak: LeakTrack,
}

pub(super) struct Inner {
    pub(super) phase: Phase,
    pub(super) generation: u64,
    pub(super) windows: Vec<Window>,
    /// How long it stays open, this time and the next.
    delays: Delays,
    last_delay: Duration,
    pub(super) waiting: WaitQueue,
    pub(super) news: News,
    pub(super) counts: Counts,
}

#[derive(Clone, Copy)]
pub(super) enum Phase {
    Closed,
    /// `None`: never by itself.
    Open {
        until: Option<Instant>,
    },
    HalfOpen {
        out: u32,
        good: u32,
        bad: u32,
        until: Option<Instant>,
    },
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) failed: u64,
    pub(super) ignored: u64,
    pub(super) stale: u64,
    pub(super) rejected: u64,
    pub(super) slow: u64,
    pub(super) opened: u64,
}

/// What `word` says.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    const PASSES: u64 = 1;
    const QUIET: u64 = 2;

    fn new(generation: u64, passes: bool, quiet: bool) -> Word {
        Word(generation << 2 | u64::from(quiet) << 1 | u64::from(passes))
    }

    #[inline]
    fn passes(self) -> bool {
        self.0 & Word::PASSES != 0
    }

    /// Whether a success of `generation` would be counted and change nothing else.
    #[inline]
    fn is_quiet_for(self, generation: u64) -> bool {
        self.0 & Word::QUIET != 0 && self.0 >> 2 == generation
    }
}

/// An admission: under which generation, and since when.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub(super) generation: u64,
    /// Nanoseconds after the breaker was made; 0 if nobody wants to know. Two plain words travel in
    /// registers.
    began: u64,
}

impl Core {
    pub(super) fn new(config: Config) -> Self {
        let windows: Vec<Window> = config.trips.iter().map(Window::new).collect();
        let timed = windows.iter().any(Window::is_timed);
        let times_calls = windows.iter().any(Window::looks_at_slow);
        let mut inner = Inner {
            phase: Phase::Closed,
            generation: 1,
            windows,
            delays: config.open_for.delays(),
            last_delay: Duration::ZERO,
            waiting: WaitQueue::default(),
            news: News::default(),
            counts: Counts::default(),
        };
        inner.phase = match config.initial {
            BreakerState::ForcedOpen => Phase::ForcedOpen,
            BreakerState::Disabled => Phase::Disabled,
            BreakerState::MetricsOnly => Phase::MetricsOnly,
            _ => Phase::Closed,
        };
        let word = AtomicU64::new(inner.word().0);
        let succeeded = Counter::new();
        let inner = Mutex::new(inner);
        let start = config.clock.now();
        let _leak = LeakTrack::new();
        Core { word, succeeded, inner, config, timed, times_calls, start, _leak }
    }

    #[inline]
    pub(super) fn admit(&self) -> Result<Pass, Open> {
        let word = Word(self.word.load(Ordering::Acquire));
        if word.passes() {
            let began = if self.times_calls { self.nanos(self.config.clock.now()) } else { 0 };
            return Ok(Pass { generation: word.0 >> 2, began });
        }
        self.admit_slow()
    }

    #[cold]
    fn admit_slow(&self) -> Result<Pass, Open> {
        let now = self.config.clock.now();
        let admitted = self.with(|inner, _, config| {
            let admitted = inner.admit(now, config);
            inner.counts.rejected += u64::from(admitted.is_err());
            admitted
        });
        self.pass(admitted, now)
    }

    /// What an admission under the lock came to, as the caller sees it.
    pub(super) fn pass(
        &self,
        admitted: Result<u64, Option<Instant>>,
        now: Instant,
    ) -> Result<Pass, Open> {
        match admitted {
            Ok(generation) => {
                Ok(Pass { generation, began: if self.times_calls { self.nanos(now) } else { 0 } })
            }
            Err(until) => Err(Open {
                name: self.config.name.clone(),
                retry_after: until.map(|until| until.saturating_duration_since(now)),
            }),
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX) // 584 years.
    }

    #[inline]
    pub(super) fn succeeded(&self, pass: Pass) {
        self.succeeded.add_one();
        if !Word(self.word.load(Ordering::Acquire)).is_quiet_for(pass.generation) {
            self.settle(pass, Answer::Success);
        }
    }

    pub(super) fn answer(&self, pass: Pass, answer: Answer) {
        match answer {
            Answer::Success => self.succeeded(pass),
            Answer::Failure | Answer::Ignore => self.settle(pass, answer),
        }
    }

    fn settle(&self, pass: Pass, answer: Answer) {
        let now = self.timed.then(|| self.config.clock.now());
        let took = now.filter(|_| self.times_calls);
        let took = took.map(|now| Duration::from_nanos(self.nanos(now).saturating_sub(pass.began)));
        self.with(|inner, wakes, config| {
            inner.settle(pass.generation, answer, now, took, config, wakes);
        });
    }

    /// Runs one critical section, publishes the state, then wakes and tells whom it chose.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Inner, &mut Wakes, &Config) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut inner = self.inner.lock();
        let out = f(&mut inner, &mut wakes, &self.config);
        let word = inner.word();
        if word.0 != self.word.load(Ordering::Relaxed) {
            // Release: whoever passes by this word sees what was done to close the breaker.
            self.word.store(word.0, Ordering::Release);
        }
        let tell = !self.config.listeners.is_empty() && inner.news.begin();
        drop(inner);
        wakes.wake();
        if tell {
            self.tell();
        }
        out
    }

    /// Tells the listeners, one piece of news after the other, with no lock held.
    #[cold]
    fn tell(&self) {
        loop {
            let next = self.inner.lock().news.next();
            let Some(transition) = next else { return };
            self.config.listeners.iter().for_each(|listener| listener.tell(&transition));
        }
    }

    pub(super) fn count_succeeded(&self) -> u64 {
        self.succeeded.sum()
    }
}

impl Inner {
    fn word(&self) -> Word {
        let passes = matches!(self.phase, Phase::Closed | Phase::Disabled | Phase::MetricsOnly);
        let quiet = match self.phase {
            Phase::Closed | Phase::MetricsOnly => {
                self.windows.iter().all(|w| w.is_quiet() && !w.looks_at_slow())
            }
            Phase::Disabled => true,
            _ => false,
        };
        Word::new(self.generation, passes, quiet)
    }

    /// Admits a call, or says from when on it is worth another try.
    pub(super) fn admit(&mut self, now: Instant, config: &Config) -> Result<u64, Option<Instant>> {
        self.look_at_the_time(now, config);
        match &mut self.phase {
            Phase::Closed | Phase::Disabled | Phase::MetricsOnly => Ok(self.generation),
            Phase::HalfOpen { out, good, bad, .. } if *out + *good + *bad < config.probes => {
                *out += 1;
                Ok(self.generation)
            }
            Phase::Open { until } | Phase::HalfOpen { until, .. } => Err(*until),
            Phase::ForcedOpen => Err(None),
        }
    }

    /// Open long enough: half-open. Half-open too long, with probes that do not answer: open again.
    fn look_at_the_time(&mut self, now: Instant, config: &Config) {
        match self.phase {
            Phase::Open { until: Some(until) } if now >= until => {
                let until = now.checked_add(config.probe_timeout);
                let half = Phase::HalfOpen { out: 0, good: 0, bad: 0, until };
                self.become_(half, BreakerState::HalfOpen, now);
            }
            Phase::HalfOpen { until: Some(until), .. } if now >= until => self.open(now),
            _ => {}
        }
    }

    fn settle(
        &mut self,
        generation: u64,
        answer: Answer,
        now: Option<Instant>,
        took: Option<Duration>,
        config: &Config,
        wakes: &mut Wakes,
    ) {
        if generation != self.generation && !planted("breaker_takes_stale_answers") {
            self.counts.stale += 1;
            return;
        }
        let slow = took.zip(config.slow_after).is_some_and(|(took, limit)| took > limit);
        self.counts.slow += u64::from(slow);
        match answer {
            Answer::Success => {}
            Answer::Failure => self.counts.failed += 1,
            Answer::Ignore => self.counts.ignored += 1,
        }
        let failed = answer == Answer::Failure;
        let looks_at_slow = self.windows.iter().any(Window::looks_at_slow);
        match &mut self.phase {
            Phase::HalfOpen { out, .. } if answer == Answer::Ignore => {
                *out = out.saturating_sub(1);
                self.waiting.notify_all(wakes); // A place for another probe.
            }
            Phase::HalfOpen { out, good, bad, .. } => {
                *out = out.saturating_sub(1);
                if failed || (slow && looks_at_slow) {
                    *bad += 1;
                } else {
                    *good += 1;
                }
                if *good >= config.close_after {
                    self.close(now.unwrap_or_else(|| config.clock.now()), config);
                    self.waiting.notify_all(wakes);
                } else if *bad > config.probes - config.close_after {
                    self.open(now.unwrap_or_else(|| config.clock.now()));
                    self.waiting.notify_all(wakes); // It is open for another while.
                }
            }
            Phase::Closed | Phase::MetricsOnly if answer != Answer::Ignore => {
                let mut trips = false;
                for window in &mut self.windows {
                    let bad = if window.looks_at_slow() { slow } else { failed };
                    trips |= window.add(bad, now);
                }
                if trips && matches!(self.phase, Phase::Closed) {
                    self.open(now.unwrap_or_else(|| config.clock.now()));
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, now: Instant) {
        // A sequence that has an end repeats its last delay.
        self.last_delay = self.delays.next().unwrap_or(self.last_delay);
        self.counts.opened += 1;
        let until = now.checked_add(self.last_delay);
        self.become_(Phase::Open { until }, BreakerState::Open, now);
    }

    fn close(&mut self, now: Instant, config: &Config) {
        self.start_afresh(config);
        self.become_(Phase::Closed, BreakerState::Closed, now);
    }

    fn start_afresh(&mut self, config: &Config) {
        self.windows.iter_mut().for_each(Window::clear);
        self.delays = config.open_for.delays();
    }

    /// Somebody says what the state is to be.
    pub(super) fn force(
        &mut self,
        to: BreakerState,
        now: Instant,
        config: &Config,
        wakes: &mut Wakes,
    ) {
        self.waiting.notify_all(wakes);
        let phase = match to {
            BreakerState::Open => return self.open(now),
            BreakerState::HalfOpen => {
                let until = now.checked_add(config.probe_timeout);
                Phase::HalfOpen { out: 0, good: 0, bad: 0, until }
            }
            BreakerState::Closed => Phase::Closed,
            BreakerState::ForcedOpen => Phase::ForcedOpen,
            BreakerState::Disabled => Phase::Disabled,
            BreakerState::MetricsOnly => Phase::MetricsOnly,
        };
        if matches!(phase, Phase::Closed | Phase::MetricsOnly) {
            self.start_afresh(config);
        }
        self.become_(phase, to, now);
    }

    /// A new state is a new generation: what was admitted before no longer counts.
    fn become_(&mut self, phase: Phase, to: BreakerState, at: Instant) {
        let from = self.state();
        self.phase = phase;
        self.generation += 1;
        self.news.add(Transition { from, to, at, generation: self.generation });
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::ForcedOpen => BreakerState::ForcedOpen,
            Phase::Disabled => BreakerState::Disabled,
            Phase::MetricsOnly => BreakerState::MetricsOnly,
        }
    }
}

/// A core that several handles share.
pub(super) type Shared = Arc<Core>;
