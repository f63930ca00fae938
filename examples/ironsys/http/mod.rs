//! A small HTTP/1.1 front: no thread for a connection that says nothing, one for a request that may wait,
//! every wait bounded, and a drain that loses no request. Linux.
//!
//! | file | |
//! |---|---|
//! | `head` | the head of a request: what is taken, and what is refused with which status |
//! | `body` | bodies by length and in chunks, within a limit |
//! | `response` | what is sent back |
//! | `connection` | one connection: what has come, what of it can be answered at once |
//! | `serve` | the same on a thread of its own: waiting, with time limits |
//! | `watch` | connections that wait for their next request, watched by one thread |
//! | `crew` | the threads: who has to wait hands the watch to another |
//! | `server` | the accept loop, the limit of connections, the drain |

mod body;
mod connection;
mod crew;
mod head;
mod response;
mod serve;
mod server;
mod watch;

pub(crate) use head::{Method, Request};
pub(crate) use response::Response;
pub(crate) use server::{Handler, Limits, Server, ServerStats};

/// A request that is not answered by the handler: the status says why, and the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

impl Refused {
    pub(crate) fn new(status: u16, why: &'static str) -> Refused {
        Refused { status, why }
    }
}
