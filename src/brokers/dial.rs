//! Connections that are given up when the context stops, or the time is over.

use crate::context::Context;
use crate::sync::Arc;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Connects to `address` in `limit`. After an error the caller looks whether `ctx` is why.
pub(super) fn tcp(ctx: &Context, address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream: TcpStream = dial(ctx, Domain::for_address(address), &address.into(), limit)?.into();
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The same for a socket in the file system, whose listener may take no more.
#[cfg(all(unix, feature = "redis"))]
pub(super) fn unix(
    ctx: &Context,
    path: &std::path::Path,
    limit: Duration,
) -> io::Result<std::os::unix::net::UnixStream> {
    Ok(dial(ctx, Domain::UNIX, &SockAddr::unix(path)?, limit)?.into())
}

fn dial(ctx: &Context, domain: Domain, to: &SockAddr, limit: Duration) -> io::Result<Socket> {
    let limit = limit.max(Duration::from_millis(1));
    let socket = Arc::new(Socket::new(domain, Type::STREAM, None)?);
    // On Linux it bounds a connect, too; and that is one call, which can be woken.
    socket.set_write_timeout(Some(limit))?;
    let hook = {
        let socket = socket.clone();
        ctx.on_stop(move |_| {
            // For a thread that is not there yet; one that is wakes by the other.
            let _ = socket.set_write_timeout(Some(Duration::from_millis(1)));
            let _ = socket.shutdown(Shutdown::Both);
        })
    };
    let one_call = cfg!(target_os = "linux") || domain == Domain::UNIX;
    let connected = if one_call { socket.connect(to) } else { socket.connect_timeout(to, limit) };
    drop(hook);
    connected.map_err(|e| match e.raw_os_error() {
        // What Linux says when that time is over.
        _ if e.kind() == ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        Some(EINPROGRESS) if cfg!(target_os = "linux") => ErrorKind::TimedOut.into(),
        _ => e,
    })?;
    // If the hook has it, it is shutting it down.
    let socket = Arc::into_inner(socket).ok_or(ErrorKind::ConnectionAborted)?;
    socket.set_write_timeout(None)?;
    Ok(socket)
}

/// As on Linux; `std` has no name for it that is stable.
const EINPROGRESS: i32 = 115;
