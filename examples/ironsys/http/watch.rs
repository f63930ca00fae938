//! Connections that wait for their next request, and the one thread that watches them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ironsys::Context;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{self, Errno};

use super::connection::{Connection, Look};
use super::server::Handler;

/// Events taken at a time.
const BATCH: usize = 64;
/// The event that is no connection's: somebody knocked.
const KNOCK: u64 = u64::MAX;

/// A set of connections and the system's eye on them.
pub(super) struct Watch<'a> {
    epoll: OwnedFd,
    knock: Arc<OwnedFd>,
    set: Mutex<Set<'a>>,
}

struct Set<'a> {
    waiting: BTreeMap<u64, Connection<'a>>,
    next: u64,
    /// When the first of them may have said nothing for too long.
    sweep: Instant,
    /// A drain has been through: nobody watches any more.
    over: bool,
}

/// Wakes who watches.
#[derive(Clone)]
pub(super) struct Knock(Arc<OwnedFd>);

impl Knock {
    pub(super) fn knock(&self) {
        // It fails only if nobody has heard 2^64 knocks.
        let _ = io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// Where connections come in. It can be woken without a descriptor: there may be none left.
pub(super) struct Door<'a> {
    listener: &'a TcpListener,
    knock: Arc<OwnedFd>,
}

impl<'a> Door<'a> {
    /// The listener does not block.
    pub(super) fn new(listener: &'a TcpListener) -> io::Result<Door<'a>> {
        Ok(Door { listener, knock: bell()? })
    }

    pub(super) fn knocker(&self) -> Knock {
        Knock(self.knock.clone())
    }

    /// The next connection; `None` if somebody knocked, and from then on.
    pub(super) fn next(&self) -> std::io::Result<Option<(TcpStream, SocketAddr)>> {
        let mut fds =
            [PollFd::new(&*self.knock, PollFlags::IN), PollFd::new(self.listener, PollFlags::IN)];
        loop {
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !fds[0].revents().is_empty() {
                return Ok(None);
            }
            match self.listener.accept() {
                // It has gone again.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                accepted => return accepted.map(Some),
            }
        }
    }
}

fn bell() -> io::Result<Arc<OwnedFd>> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Arc::new)
}

impl<'a> Watch<'a> {
    pub(super) fn new() -> io::Result<Watch<'a>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let knock = bell()?;
        epoll::add(&epoll, &knock, EventData::new_u64(KNOCK), EventFlags::IN)?;
        let set = Set { waiting: BTreeMap::new(), next: 0, sweep: Instant::now(), over: false };
        Ok(Watch { epoll, knock, set: Mutex::new(set) })
    }

    pub(super) fn knocker(&self) -> Knock {
        Knock(self.knock.clone())
    }

    fn set(&self) -> std::sync::MutexGuard<'_, Set<'a>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the connection's next request; after a drain gives the connection back. If the system
    /// has no room for it, it is closed.
    pub(super) fn add(&self, connection: Connection<'a>) -> Option<Connection<'a>> {
        let mut set = self.set();
        if set.over {
            return Some(connection);
        }
        let key = set.next;
        set.next += 1;
        match epoll::add(&self.epoll, connection.socket(), EventData::new_u64(key), EventFlags::IN)
        {
            Ok(()) => drop(set.waiting.insert(key, connection)),
            Err(error) => log::warn!("a connection is closed, since nobody can watch it: {error}"),
        }
        None
    }

    /// Watches, and answers what takes no waiting, until a connection needs a thread of its own: that one
    /// it returns. `None` when a drain has left nothing to watch.
    pub(super) fn next<H: Handler>(
        &self,
        handler: &H,
        stops: &[&Context],
        chunk: &mut [u8],
        idle: Duration,
        open: impl Fn() -> bool,
    ) -> Option<Connection<'a>> {
        let mut events = Vec::with_capacity(BATCH);
        let mut sweep = self.set().sweep;
        loop {
            if stops.iter().any(|ctx| ctx.is_stopped()) {
                return self.drain(handler, chunk);
            }
            let now = Instant::now();
            if now >= sweep {
                sweep = self.sweep(now, idle);
            }
            // Who comes first when nobody is there knocks.
            let left = open().then(|| timespec(sweep.saturating_duration_since(now)));
            match epoll::wait(&self.epoll, spare_capacity(&mut events), left.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    // It cannot fail in another way; were it so, going on at once would burn a core.
                    log::error!("the connections cannot be watched: {error}");
                    let _ = stops[0].sleep(Duration::from_millis(100));
                }
            }
            let now = Instant::now();
            for event in events.drain(..) {
                match event.data.u64() {
                    KNOCK => drop(io::read(&*self.knock, &mut [0; 8][..])),
                    // Those behind it in this batch are told of again to whoever watches next.
                    key => match self.look(key, handler, chunk, now, false) {
                        None => {}
                        busy => return busy,
                    },
                }
            }
        }
    }

    /// Looks what has come; returns the connection if that needs a thread.
    fn look<H: Handler>(
        &self,
        key: u64,
        handler: &H,
        chunk: &mut [u8],
        now: Instant,
        last: bool,
    ) -> Option<Connection<'a>> {
        let mut set = self.set();
        let connection = set.waiting.get_mut(&key)?;
        let look = connection.look(handler, chunk, now, last);
        if look == Look::Waits {
            return None;
        }
        let connection = set.waiting.remove(&key)?;
        drop(set);
        let _ = epoll::delete(&self.epoll, connection.socket());
        (look == Look::Busy).then_some(connection)
    }

    /// Closes those who have said nothing for too long; returns when the next may be due.
    fn sweep(&self, now: Instant, idle: Duration) -> Instant {
        let mut set = self.set();
        set.waiting
            .retain(|_, connection| now.saturating_duration_since(connection.since()) < idle);
        let oldest = set.waiting.values().map(Connection::since).min();
        set.sweep = oldest.unwrap_or(now) + idle;
        set.sweep
    }

    /// Closes who has asked nothing; returns who has.
    fn drain<H: Handler>(&self, handler: &H, chunk: &mut [u8]) -> Option<Connection<'a>> {
        loop {
            let first = {
                let mut set = self.set();
                let first = set.waiting.keys().next().copied();
                set.over = first.is_none();
                first
            };
            if let Some(busy) = self.look(first?, handler, chunk, Instant::now(), true) {
                return Some(busy);
            }
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    // Whole milliseconds are what the oldest kernels know, and too early would be twice.
    let time = time + Duration::from_millis(1);
    Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
