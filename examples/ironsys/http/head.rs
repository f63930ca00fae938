//! The head of a request, read strictly: what two readers could understand in two ways is refused.

use std::net::IpAddr;
use std::ops::Range;

use super::Refused;

/// The most bytes of a head.
pub(crate) const HEAD: usize = 16 * 1024;
/// The most bytes of a request's target.
const TARGET: usize = 4 * 1024;
/// The most headers.
const HEADERS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Delete,
    Other,
}

/// How the body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// What the connection has to know of a head.
#[derive(Debug)]
pub(super) struct Head {
    /// Bytes of the head, with the empty line.
    pub(super) len: usize,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    /// It is HTTP/1.1: the connection is kept unless somebody says otherwise.
    pub(super) newer: bool,
    /// The client waits for a word before it sends the body.
    pub(super) expects: bool,
    method: Method,
    target: Range<usize>,
    token: Option<Range<usize>>,
    foreign: bool,
}

/// A request as the handler sees it.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// The path, as it was sent: never decoded, so never more than one way to say it.
    pub(crate) path: &'a str,
    /// What `Authorization: Bearer` gave.
    pub(crate) token: Option<&'a str>,
    /// A browser asks for a page that is not from here.
    pub(crate) foreign: bool,
    pub(crate) peer: IpAddr,
    pub(crate) body: &'a [u8],
}

/// Reads a head; `None` if it is not complete.
pub(super) fn parse(buf: &[u8]) -> Result<Option<Head>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(buf) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD => len,
        Ok(httparse::Status::Partial) if buf.len() < HEAD => return Ok(None),
        Ok(_) => return Err(Refused::new(431, "the head is too large")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refused::new(431, "too many headers"));
        }
        Err(httparse::Error::Version) => {
            return Err(Refused::new(505, "only HTTP/1.0 and 1.1 are spoken here"));
        }
        Err(_) => return Err(Refused::new(400, "that is no HTTP request")),
    };
    if has_bare_line_feed(&buf[..len]) {
        return Err(Refused::new(400, "a line ends without a carriage return"));
    }
    let target = request.path.unwrap_or_default();
    if target.len() > TARGET {
        return Err(Refused::new(414, "the target is too long"));
    }
    let newer = request.version == Some(1);
    let mut head = Head {
        len,
        framing: Framing::Length(0),
        keep_alive: newer,
        newer,
        expects: false,
        method: match request.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            Some("POST") => Method::Post,
            Some("DELETE") => Method::Delete,
            _ => Method::Other,
        },
        target: place(buf, target.as_bytes()),
        token: None,
        foreign: false,
    };
    let (mut host, mut origin) = (&b""[..], None);
    let (mut hosts, mut length, mut chunked, mut closes) = (0, None, false, false);
    for header in request.headers.iter() {
        let (name, value) = (header.name, header.value);
        if name.eq_ignore_ascii_case("host") {
            hosts += 1;
            host = value;
        } else if name.eq_ignore_ascii_case("origin") {
            origin = Some(value);
        } else if name.eq_ignore_ascii_case("content-length") {
            let n = digits(value).ok_or(Refused::new(400, "the content length is no number"))?;
            if length.is_some_and(|before| before != n) {
                return Err(Refused::new(400, "there are two content lengths"));
            }
            length = Some(n);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refused::new(501, "only chunked is known as a transfer encoding"));
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("connection") {
            for option in value.split(|byte| *byte == b',') {
                let option = option.trim_ascii();
                if option.eq_ignore_ascii_case(b"close") {
                    closes = true;
                } else if option.eq_ignore_ascii_case(b"keep-alive") && !newer {
                    head.keep_alive = true;
                }
            }
        } else if name.eq_ignore_ascii_case("expect") {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refused::new(417, "that cannot be expected"));
            }
            head.expects = newer;
        } else if name.eq_ignore_ascii_case("authorization") {
            let bearer = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
            head.token = bearer.map(|_| place(buf, value[7..].trim_ascii()));
        }
    }
    head.keep_alive &= !closes;
    head.foreign = origin.is_some_and(|origin| !is_at(origin, host));
    match (hosts, newer) {
        (1, _) | (0, false) => {}
        (0, true) => return Err(Refused::new(400, "there is no host header")),
        _ => return Err(Refused::new(400, "there is more than one host header")),
    }
    head.framing = match (length, chunked) {
        (Some(_), true) => return Err(Refused::new(400, "a length and chunks contradict")),
        (None, true) if !newer => return Err(Refused::new(400, "HTTP/1.0 has no chunks")),
        (_, true) => Framing::Chunked,
        (length, false) => Framing::Length(length.unwrap_or(0)),
    };
    Ok(Some(head))
}

impl Head {
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    /// What the handler sees. `buf` is what the head was read from.
    pub(super) fn request<'a>(
        &self,
        buf: &'a [u8],
        body: &'a [u8],
        peer: IpAddr,
    ) -> Result<Request<'a>, Refused> {
        let text = |range: &Range<usize>| std::str::from_utf8(&buf[range.clone()]).ok();
        let target = text(&self.target).ok_or(Refused::new(400, "the target is no text"))?;
        let path = origin_form(target).split(['?', '#']).next().unwrap_or_default();
        if !path.starts_with('/') {
            return Err(Refused::new(400, "the target is no path"));
        }
        Ok(Request {
            method: self.method,
            path,
            token: self.token.as_ref().and_then(text),
            foreign: self.foreign,
            peer,
            body,
        })
    }
}

/// The path of a target that names scheme and host, too: all are at home here.
fn origin_form(target: &str) -> &str {
    let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let Some(rest) = scheme.map(|_| &target[7..]) else { return target };
    match rest.find(['/', '?', '#']) {
        Some(at) if at > 0 && rest[at..].starts_with('/') => &rest[at..],
        Some(0) => target,
        _ if rest.is_empty() => target,
        _ => "/",
    }
}

/// Whether an origin, scheme and all, is at that host. `null` is nowhere.
fn is_at(origin: &[u8], host: &[u8]) -> bool {
    let scheme = origin.windows(3).position(|part| part == b"://");
    scheme.is_some_and(|at| origin[at + 3..].eq_ignore_ascii_case(host))
}

/// What reads lines up to a line feed sees other headers than what wants both.
fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

/// Where a part of a buffer is in it.
fn place(buf: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - buf.as_ptr() as usize;
    start..start + part.len()
}

/// A number of digits only: no sign, no space, not too large.
fn digits(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
