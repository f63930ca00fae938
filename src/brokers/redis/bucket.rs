//! The bucket in the server, and what is leased from it.

use super::entry::odd;
use super::keep::Kept;
use super::link::LinkError;
use super::server::Server;
use crate::context::Context;
use crate::sync::Arc;
use redis::{Cmd, RedisError, Script, Value, cmd};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Takes as many tokens as there are, between ARGV[3] and ARGV[4], if there are so many.
///
/// What is kept is the time at which the bucket will be full, in microseconds since 2025-06-15: small
/// enough to be exact in a double, to a hundredth, for decades. A server's clock that goes back does not
/// lock anybody out: a bucket is never emptier than empty.
const CODE: &str = r"
local t = redis.call('TIME')
local now = (t[1] - 1750000000) * 1000000 + t[2]
local each, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local least, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.max(now, math.min(full, now + burst * each))
local there = burst - (full - now) / each
if there < least then
  return {0, math.ceil((least - there) * each)}
end
local n = math.max(least, math.min(most, math.floor(there)))
full = full + n * each
redis.call('SET', KEYS[1], string.format('%.2f', full), 'PX', math.max(1, math.ceil((full - now) / 1000)))
return {n, 0}
";

/// How to ask the server.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    /// Microseconds for a token.
    pub(super) each: f64,
    pub(super) burst: u32,
    /// How many are taken at once; 1 is no lease.
    pub(super) lease: u32,
    script: Arc<Script>,
}

pub(super) enum Answer {
    Granted,
    NotYet(Duration),
}

impl Bucket {
    pub(super) fn new(name: &str, each: f64, burst: u32, lease: u32) -> Bucket {
        let script = Arc::new(Script::new(CODE));
        Bucket { name: name.to_owned(), each, burst, lease, script }
    }

    /// Takes `n`, and more for later if there are leases.
    pub(super) fn take(
        &self,
        ctx: &Context,
        slot: &mut Slot,
        key: &[u8],
        n: u32,
    ) -> Result<Answer, LinkError> {
        let begun = ctx.clock().now();
        let most = if slot.has_room(key, begun) { self.lease.max(n) } else { n };
        let answer = slot.kept.once(ctx, |link, _| {
            match link.call(ctx, &self.cmd("EVALSHA", self.script.get_hash(), key, n, most)) {
                // A server that was started again has forgotten it.
                Err(e) if e.code() == Some("NOSCRIPT") => {
                    link.call(ctx, &self.cmd("EVAL", CODE, key, n, most))
                }
                other => other,
            }
        })?;
        let Value::Array(parts) = &answer else { return Err(odd("two numbers", &answer)) };
        let [Value::Int(taken), Value::Int(wait)] = parts[..] else {
            return Err(odd("two numbers", &answer));
        };
        let Some(rest) = u32::try_from(taken).ok().and_then(|taken| taken.checked_sub(n)) else {
            let wait = u64::try_from(wait).unwrap_or_default().max(1);
            return Ok(Answer::NotYet(Duration::from_micros(wait)));
        };
        if rest > 0 {
            // For so long as it would take them to come in: then a lease can be late, but not hoarded.
            let time = Duration::from_secs_f64(f64::from(self.lease) * self.each / 1e6);
            slot.leases.insert(key.to_vec(), Lease { left: rest, until: begun.checked_add(time) });
        }
        Ok(Answer::Granted)
    }

    fn cmd(&self, how: &str, what: &str, key: &[u8], n: u32, most: u32) -> Cmd {
        let mut eval = cmd(how);
        // The braces let a cluster put a limit's keys where the rest of the user's are.
        let full = [self.name.as_bytes(), b":{", key, b"}"].concat();
        eval.arg(what).arg(1).arg(full).arg(self.each).arg(self.burst).arg(n).arg(most);
        eval
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("micros_each", &self.each)
            .field("burst", &self.burst)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// A connection, and what was leased through it. Whoever holds it has it alone: so no lock.
#[derive(Debug)]
pub(super) struct Slot {
    kept: Kept,
    leases: HashMap<Vec<u8>, Lease>,
    away: Option<(Option<Instant>, RedisError)>,
}

#[derive(Debug)]
struct Lease {
    left: u32,
    until: Option<Instant>,
}

impl Slot {
    pub(super) fn new(server: &Server) -> Slot {
        let kept = Kept::new(server, &Kept::usual_retry());
        Slot { kept, leases: HashMap::new(), away: None }
    }

    /// Takes from what is leased.
    pub(super) fn spend(&mut self, key: &[u8], n: u32, now: Instant) -> bool {
        let Some(lease) = self.leases.get_mut(key) else { return false };
        if lease.until.is_some_and(|until| until <= now) {
            self.leases.remove(key);
            return false;
        }
        let Some(left) = lease.left.checked_sub(n) else { return false };
        lease.left = left;
        true
    }

    /// Whether one more key can have a lease.
    fn has_room(&mut self, key: &[u8], now: Instant) -> bool {
        if self.leases.len() >= MOST_LEASES && !self.leases.contains_key(key) {
            self.leases.retain(|_, lease| lease.until.is_none_or(|until| until > now));
        }
        self.leases.len() < MOST_LEASES || self.leases.contains_key(key)
    }

    /// Why Redis is not to be tried now.
    pub(super) fn is_away(&mut self, now: Instant) -> Option<RedisError> {
        self.away.take_if(|(until, _)| until.is_some_and(|until| until <= now));
        self.away.as_ref().map(|(_, why)| why.clone())
    }

    pub(super) fn was_away(&mut self, until: Option<Instant>, why: RedisError) {
        self.kept.reset();
        self.away = Some((until, why));
    }
}

/// So many keys have a lease through one connection; what comes then takes only what it needs.
const MOST_LEASES: usize = 4096;
