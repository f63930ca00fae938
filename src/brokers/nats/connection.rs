//! The connection of a client: made at whichever server lets one in, and made again.

use super::client::Client;
use super::error::NatsError;
use super::options::Login;
use super::parse::{self, Said};
use super::servers::Candidate;
use super::wire::Wire;
use crate::context::{Context, OnStop};
use crate::sync::Arc;
use crate::sync::time::now;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::time::Instant;

/// An empty write buffer keeps this much.
const KEEP: usize = 64 * 1024;

impl Client {
    /// There is a connection when this returns.
    pub(super) fn ready(&mut self, ctx: &Context) -> Result<(), NatsError> {
        ctx.check()?;
        if self.wire.is_some() {
            return Ok(());
        }
        let backoff = self.options.backoff.clone();
        let mut delays = backoff.delays();
        loop {
            let mut last = None;
            for server in self.servers.candidates(&self.options.servers) {
                match self.open(ctx, &server) {
                    Ok(()) => return Ok(()),
                    Err(e) => {
                        self.disconnect();
                        ctx.check()?;
                        // Not the caller's time is over, but the server's.
                        let late = |server| {
                            let error = ErrorKind::TimedOut.into();
                            NatsError::Io { server, error }
                        };
                        // What one is only told of may be anything.
                        if server.is_given {
                            last = Some(if e.stop().is_some() { late(server.address) } else { e });
                        }
                    }
                }
            }
            match (last, delays.next()) {
                (Some(NatsError::Io { .. }), Some(delay)) => ctx.sleep(delay)?,
                (Some(e), _) => return Err(e),
                (None, _) => return Err(self.broken()),
            }
        }
    }

    /// Lets itself in at one server.
    fn open(&mut self, ctx: &Context, server: &Candidate) -> Result<(), NatsError> {
        self.disconnect();
        self.servers.talking(server);
        let limit = self.options.connect;
        let ctx = &ctx.with_timeout(limit);
        self.wire = Some(Wire::connect(ctx, &server.address, limit)?);
        let guard = self.guard(ctx);
        let end = real_deadline(ctx);
        let info = loop {
            match self.take()? {
                Some(Said::Info(info)) => break info,
                Some(Said::Err(what)) => return Err(self.refused(what)),
                Some(_) => return Err(self.protocol("its first word is not INFO".into())),
                None => self.fill_or_late(ctx, end)?,
            }
        };
        let hello = self.hello(&info)?;
        drop(guard);
        let tls_required = serde_json::from_str::<Value>(&info)
            .is_ok_and(|info| info["tls_required"] == Value::Bool(true));
        if self.options.tls || tls_required {
            let config = self.options.tls_config.clone().unwrap_or_else(trusts_nobody);
            if let Some(wire) = &mut self.wire {
                wire.encrypt(config, &server.named)?;
            }
        }
        let _guard = self.guard(ctx);
        self.out = format!("CONNECT {hello}\r\n").into_bytes();
        for (id, subscription) in &self.subscriptions {
            write_subscription(&mut self.out, *id, subscription);
        }
        self.out.extend_from_slice(b"PING\r\n");
        self.write(end)?;
        loop {
            match self.take()? {
                Some(Said::Pong) => break,
                Some(Said::Err(what)) => return Err(self.refused(what)),
                Some(Said::Message(message)) => self.hold(message)?,
                Some(_) => {}
                None => self.fill_or_late(ctx, end)?,
            }
        }
        self.connects += 1;
        self.out = std::mem::take(&mut self.early);
        Ok(())
    }

    /// What one says of oneself.
    fn hello(&mut self, info: &str) -> Result<Value, NatsError> {
        self.info(info)?;
        let info: Value = serde_json::from_str(info).unwrap_or_default();
        let mut hello = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "name": self.options.name, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1, "tls_required": self.options.tls,
        });
        match &self.options.login {
            Login::Nobody => {}
            Login::Token(token) => hello["auth_token"] = token.as_str().into(),
            Login::User(user, password) => {
                hello["user"] = user.as_str().into();
                hello["pass"] = password.as_str().into();
            }
            Login::Nkey(seed) => {
                hello["nkey"] = seed.public().into();
                hello["sig"] = seed.sign(info["nonce"].as_str().unwrap_or("")).into();
            }
        }
        Ok(hello)
    }

    pub(super) fn info(&mut self, info: &str) -> Result<(), NatsError> {
        let info: Value = serde_json::from_str(info)
            .map_err(|e| self.protocol(format!("its INFO is no JSON: {e}")))?;
        if let Some(most) = info["max_payload"].as_u64() {
            self.largest = usize::try_from(most).unwrap_or(usize::MAX);
        }
        self.servers.hear(&info, &self.options.servers);
        Ok(())
    }

    pub(super) fn take(&mut self) -> Result<Option<Said>, NatsError> {
        match parse::take(&self.buf[self.at..], self.options.max_payload) {
            Ok(Some((said, len))) => {
                self.at += len;
                if self.at == self.buf.len() {
                    self.buf.clear();
                    self.at = 0;
                }
                Ok(Some(said))
            }
            Ok(None) => Ok(None),
            Err(what) => {
                self.buf.clear();
                self.at = 0;
                Err(self.protocol(what))
            }
        }
    }

    /// Reads some more, if any comes in time.
    pub(super) fn fill(&mut self, ctx: &Context, end: Option<Instant>) -> Result<(), NatsError> {
        let Some(wire) = &mut self.wire else { return Err(self.broken()) };
        self.buf.drain(..std::mem::take(&mut self.at));
        match wire.read(&mut self.chunk, end) {
            Ok(n) => {
                self.buf.extend_from_slice(&self.chunk[..n.unwrap_or(0)]);
                Ok(())
            }
            Err(e) => {
                self.disconnect();
                // It is we who have shut it down.
                ctx.check()?;
                Err(e)
            }
        }
    }

    fn fill_or_late(&mut self, ctx: &Context, end: Option<Instant>) -> Result<(), NatsError> {
        if end.is_some_and(|end| now() >= end) {
            return Err(self.broken_by(ErrorKind::TimedOut));
        }
        self.fill(ctx, end)
    }

    /// Writes what was gathered, not after `end`. What is written by half breaks the connection.
    pub(super) fn write(&mut self, end: Option<Instant>) -> Result<(), NatsError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let Some(wire) = &mut self.wire else { return Err(self.broken()) };
        let written = wire.write(&self.out, end);
        self.out.clear();
        self.out.shrink_to(KEEP);
        if written.is_err() {
            self.disconnect();
        }
        written
    }

    pub(super) fn guard(&self, ctx: &Context) -> Option<OnStop> {
        self.wire.as_ref().map(|wire| wire.guard(ctx))
    }

    // ===== what is wrong =====

    fn server(&self) -> String {
        let first = self.options.servers.first().map_or("", String::as_str);
        self.wire.as_ref().map_or(first, Wire::server).to_owned()
    }

    pub(super) fn broken(&self) -> NatsError {
        self.broken_by(ErrorKind::NotConnected)
    }

    fn broken_by(&self, kind: ErrorKind) -> NatsError {
        NatsError::Io { server: self.server(), error: kind.into() }
    }

    pub(super) fn protocol(&mut self, what: String) -> NatsError {
        let server = self.server();
        self.disconnect();
        NatsError::Protocol { server, what }
    }

    pub(super) fn refused(&mut self, what: String) -> NatsError {
        let server = self.server();
        self.disconnect();
        NatsError::Refused { server, what }
    }
}

/// The deadline of `ctx` in real time, which sockets live by.
pub(super) fn real_deadline(ctx: &Context) -> Option<Instant> {
    ctx.remaining().and_then(|left| now().checked_add(left))
}

pub(super) fn write_subscription(
    out: &mut Vec<u8>,
    id: u64,
    (subject, group): &(String, Option<String>),
) {
    let group = group.as_ref().map(|group| format!(" {group}")).unwrap_or_default();
    let _ = write!(out, "SUB {subject}{group} {id}\r\n");
}

fn trusts_nobody() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    match builder {
        Ok(builder) => {
            Arc::new(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
        }
        Err(_) => unreachable!("the provider has the default versions"),
    }
}
