//! One line of a combined access log, taken apart without copying and without assuming UTF-8.
//!
//! ```text
//! client ident user [17/May/2015:10:05:03 +0000] "GET /path HTTP/1.1" 200 2326 "referer" "agent"
//! ```
//!
//! A line parses if all nine fields are there, and day, status and size are what they should be. What
//! comes after the agent's first quote does not matter: real logs cut long agents off, or append fields
//! of their own. Clients send what they like, so the request may be anything (`"-"`, a TLS hello): its
//! path is the second word if it has three, else the whole request. A size of `-` counts as 0 bytes.

use memchr::{memchr, memchr2, memrchr};

/// Why a line did not parse, in words for the user.
pub(crate) type Reason = &'static str;

/// The fields that are totalled; all borrow from the line.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) client: &'a [u8],
    /// As in the log: `17/May/2015`.
    pub(crate) day: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) status: &'a [u8],
    pub(crate) bytes: u64,
}

/// Takes `line` (without its newline) apart.
pub(crate) fn parse(line: &[u8]) -> Result<Line<'_>, Reason> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err("empty line");
    }
    let (client, rest) = word(line).ok_or("no client")?;
    let (_ident, rest) = word(rest).ok_or("no ident")?;
    // A user name may contain spaces, so it ends where the time begins.
    let open = memchr(b'[', rest).ok_or("no [time]")?;
    if open < 2 || rest[open - 1] != b' ' {
        return Err("no user before [time]");
    }
    let (day, rest) = time(&rest[open + 1..])?;
    let (request, rest) = quoted(rest).ok_or("no closed \"request\"")?;
    let (status, rest) = word(rest).ok_or("no status")?;
    if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) {
        return Err("status is not three digits");
    }
    let (size, rest) = word(rest).ok_or("no size with \"referer\" and \"agent\" behind it")?;
    let bytes = number(size).ok_or("size is neither - nor a number")?;
    let (_referer, rest) = quoted(rest).ok_or("no closed \"referer\"")?;
    if !rest.starts_with(b"\"") {
        return Err("no \"agent\"");
    }
    Ok(Line { client, day, path: path(request), status, bytes })
}

/// The first line of `text`, without its newline.
pub(crate) fn first_line(text: &[u8]) -> &[u8] {
    &text[..memchr(b'\n', text).unwrap_or(text.len())]
}

/// Chronological rank of a day like `17/May/2015`; `None` if it is not one.
pub(crate) fn day_rank(day: &[u8]) -> Option<(u64, usize, u64)> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let [d1, d2, b'/', m1, m2, m3, b'/', year @ ..] = day else { return None };
    let month = MONTHS.chunks_exact(3).position(|name| name == [*m1, *m2, *m3])?;
    let date = digits(&[*d1, *d2]).filter(|date| (1..=31).contains(date))?;
    Some((digits(year).filter(|_| year.len() == 4)?, month, date))
}

/// The text up to the next space (not empty), and what follows that space.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b' ', text).filter(|&end| end > 0)?;
    Some((&text[..end], &text[end + 1..]))
}

/// The day out of `17/May/2015:10:05:03 +0000] `, and what follows it.
fn time(text: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    let (time, rest) = text.split_at_checked(28).ok_or("time is cut off")?;
    let day = &time[..11];
    if day_rank(day).is_none() || time[11] != b':' || &time[26..] != b"] " {
        return Err("time is not like [17/May/2015:10:05:03 +0000]");
    }
    Ok((day, rest))
}

/// A field in double quotes, in which `\"` does not end it, and what follows it and its space.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            break;
        }
        at += 2; // the backslash and what it escapes
    }
    match &text[at + 1..] {
        [] => Some((&text[..at], &[])),
        [b' ', rest @ ..] => Some((&text[..at], rest)),
        _ => None,
    }
}

fn path(request: &[u8]) -> &[u8] {
    match (memchr(b' ', request), memrchr(b' ', request)) {
        (Some(first), Some(last)) if last > first + 1 => {
            let target = &request[first + 1..last];
            if memchr(b' ', target).is_none() { target } else { request }
        }
        _ => request,
    }
}

fn number(size: &[u8]) -> Option<u64> {
    if size == b"-" { Some(0) } else { digits(size) }
}

fn digits(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for byte in text {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}
