//! A small HTTP/1.1 front: a thread a connection, every wait bounded, and a drain that loses no request.
//!
//! | file | |
//! |---|---|
//! | `head` | the head of a request: what is taken, and what is refused with which status |
//! | `body` | bodies by length and in chunks, within a limit |
//! | `response` | what is sent back |
//! | `connection` | one connection: keep-alive, pipelining, time limits |
//! | `server` | the accept loop, the limit of connections, the drain |

mod body;
mod connection;
mod head;
mod response;
mod server;

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
