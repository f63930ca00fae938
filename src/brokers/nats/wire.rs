//! The socket, with TLS or without.

use super::error::NatsError;
use crate::brokers::dial;
use crate::context::{Context, OnStop, Stop};
use crate::sync::Arc;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

pub(super) struct Wire {
    server: String,
    socket: Arc<TcpStream>,
    tls: Option<Box<StreamOwned<ClientConnection, TcpStream>>>,
    /// The read timeout of the socket.
    patience: Option<Duration>,
    /// How long the server may take to read anything of what is written.
    limit: Duration,
    /// The write timeout of the socket.
    write_patience: Duration,
}

impl Wire {
    /// Connects to `host:port`, any of its addresses, as long as `ctx` lets it.
    pub(super) fn connect(ctx: &Context, server: &str, limit: Duration) -> Result<Wire, NatsError> {
        let failed = |error| NatsError::Io { server: server.to_owned(), error };
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in server.to_socket_addrs().map_err(failed)? {
            ctx.check()?;
            let left = ctx.remaining().map_or(limit, |left| left.min(limit));
            match dial::tcp(ctx, address, left) {
                Ok(socket) => {
                    socket.set_write_timeout(Some(limit)).map_err(failed)?;
                    let server = server.to_owned();
                    let socket = Arc::new(socket);
                    let (patience, write_patience) = (None, limit);
                    return Ok(Wire { server, socket, tls: None, patience, limit, write_patience });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// From here on everything is encrypted, and the other side has to show the name in this address.
    /// The handshake runs with the first byte that is sent.
    pub(super) fn encrypt(
        &mut self,
        config: Arc<ClientConfig>,
        named: &str,
    ) -> Result<(), NatsError> {
        let host = named.rsplit_once(':').map_or(named, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(host.to_owned()).map_err(|e| self.io(io::Error::other(e)))?;
        let tls = ClientConnection::new(config, name).map_err(|e| self.io(io::Error::other(e)))?;
        let socket = self.socket.try_clone().map_err(|e| self.io(e))?;
        self.tls = Some(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    /// While the guard lives a cancel of `ctx` shuts the socket down, which ends every wait in it.
    pub(super) fn guard(&self, ctx: &Context) -> OnStop {
        let socket = self.socket.clone();
        ctx.on_stop(move |why| {
            // A deadline is noticed by the read's own timeout, and leaves the connection as it is.
            if matches!(why, Stop::Cancelled(_)) {
                let _ = socket.shutdown(Shutdown::Both);
            }
        })
    }

    /// Reads some, not after `until`. `None`: nothing has come by then.
    pub(super) fn read(
        &mut self,
        buf: &mut [u8],
        until: Option<Instant>,
    ) -> Result<Option<usize>, NatsError> {
        let left = until.map(|at| at.saturating_duration_since(crate::sync::time::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        // One that is a little too short will do: who is told too early that nothing has come asks
        // again, and the socket is not told for each read.
        let will_do = match (self.patience, left) {
            (Some(patience), Some(left)) => patience <= left && left / 2 <= patience,
            (patience, left) => patience == left,
        };
        if !will_do {
            self.socket.set_read_timeout(left).map_err(|e| self.io(e))?;
            self.patience = left;
        }
        let read = match &mut self.tls {
            Some(tls) => tls.read(buf),
            None => (&*self.socket).read(buf),
        };
        match read {
            Ok(0) => Err(self.io(ErrorKind::UnexpectedEof.into())),
            Ok(n) => Ok(Some(n)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(None),
            Err(e) => Err(self.io(e)),
        }
    }

    /// Writes all, not after `until`, as long as the server goes on reading.
    pub(super) fn write(
        &mut self,
        mut bytes: &[u8],
        until: Option<Instant>,
    ) -> Result<(), NatsError> {
        while !bytes.is_empty() {
            let left = until.map(|at| at.saturating_duration_since(crate::sync::time::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(self.io(ErrorKind::TimedOut.into()));
            }
            let patience = left.map_or(self.limit, |left| left.min(self.limit));
            if self.write_patience != patience {
                self.socket.set_write_timeout(Some(patience)).map_err(|e| self.io(e))?;
                self.write_patience = patience;
            }
            let written = match &mut self.tls {
                Some(tls) => tls.write(bytes).and_then(|n| tls.flush().map(|()| n)),
                None => (&*self.socket).write(bytes),
            };
            match written {
                Ok(0) => return Err(self.io(ErrorKind::WriteZero.into())),
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::Interrupted && self.tls.is_none() => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let why = "the server does not read what is sent";
                    return Err(self.io(io::Error::new(ErrorKind::TimedOut, why)));
                }
                Err(e) => return Err(self.io(e)),
            }
        }
        Ok(())
    }

    fn io(&self, error: io::Error) -> NatsError {
        NatsError::Io { server: self.server.clone(), error }
    }
}
