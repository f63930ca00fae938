//! What is sent back.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

pub(crate) struct Response {
    pub(crate) status: u16,
    kind: &'static str,
    body: Cow<'static, [u8]>,
    retry_after: Option<u64>,
    allow: Option<&'static str>,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Kept,
    /// A client that speaks HTTP/1.0 has to be told.
    KeptForOld,
    Closed,
}

impl Response {
    fn of(status: u16, kind: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Response {
        Response { status, kind, body: body.into(), retry_after: None, allow: None }
    }

    pub(crate) fn text(body: impl Into<Cow<'static, str>>) -> Response {
        let body = match body.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Response::of(200, "text/plain; charset=utf-8", body)
    }

    pub(crate) fn html(body: &'static str) -> Response {
        Response::of(200, "text/html; charset=utf-8", body.as_bytes())
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Response {
        Response::of(status, "application/json", value.to_string().into_bytes())
    }

    /// What is JSON already.
    pub(crate) fn json_text(text: String) -> Response {
        Response::of(200, "application/json", text.into_bytes())
    }

    /// An error as an object that says what is wrong.
    pub(crate) fn error(status: u16, why: impl Into<String>) -> Response {
        let why = why.into();
        let object = json!({"error": {"status": status, "reason": reason(status), "why": why}});
        Response::json(status, &object)
    }

    /// Not now: at the earliest after `time`.
    pub(crate) fn later(status: u16, why: impl Into<String>, time: Duration) -> Response {
        let mut response = Response::error(status, why);
        // Whole seconds, rounded up: what comes earlier would be refused again.
        response.retry_after = Some(time.as_secs() + u64::from(time.subsec_nanos() > 0));
        response
    }

    pub(crate) fn not_allowed(allow: &'static str) -> Response {
        let mut response = Response::error(405, format!("only {allow} here"));
        response.allow = Some(allow);
        response
    }

    /// Writes it behind what is in `out`. Without the body for a `HEAD`.
    pub(super) fn write(&self, out: &mut Vec<u8>, date: &mut Date, head: bool, after: After) {
        // Writing to a `Vec` does not fail.
        let _ = write!(out, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(date.now());
        out.extend_from_slice(b"\r\ncontent-type: ");
        out.extend_from_slice(self.kind.as_bytes());
        let _ = write!(out, "\r\ncontent-length: {}\r\n", self.body.len());
        if let Some(seconds) = self.retry_after {
            let _ = write!(out, "retry-after: {seconds}\r\n");
        }
        if let Some(allow) = self.allow {
            let _ = write!(out, "allow: {allow}\r\n");
        }
        if self.kind.starts_with("text/html") {
            // The page's own lines only: nothing from elsewhere runs in it.
            out.extend_from_slice(
                b"content-security-policy: default-src 'self' 'unsafe-inline'; img-src data:\r\n",
            );
        }
        out.extend_from_slice(b"x-content-type-options: nosniff\r\n");
        out.extend_from_slice(match after {
            After::Kept => b"",
            After::KeptForOld => b"connection: keep-alive\r\n",
            After::Closed => b"connection: close\r\n",
        });
        out.extend_from_slice(b"\r\n");
        if !head {
            out.extend_from_slice(&self.body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

/// The date header, written anew once a second.
#[derive(Default)]
pub(super) struct Date {
    second: u64,
    text: Vec<u8>,
}

impl Date {
    fn now(&mut self) -> &[u8] {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.second != since || self.text.is_empty() {
            self.second = since;
            self.text = date(since).into_bytes();
        }
        &self.text
    }
}

/// Seconds since 1970 as `Sun, 06 Nov 1994 08:49:37 GMT`. The calendar is Howard Hinnant's.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let moved = (5 * of_year + 2) / 153; // months since March
    let day = of_year - (153 * moved + 2) / 5 + 1;
    let month = if moved < 10 { moved + 3 } else { moved - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize - 1],
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_what_the_standard_says() {
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
