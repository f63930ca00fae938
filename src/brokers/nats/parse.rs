//! What comes from a server, taken out of a buffer as it arrives.

use super::message::Message;

/// The most bytes of a line.
const LINE: usize = 64 * 1024;

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Info(String),
    Message(Message),
    Ping,
    Pong,
    Ok,
    Err(String),
}

/// Takes the first thing out of the buffer; `None` if it is not complete. `most` bounds a message.
pub(super) fn take(buf: &[u8], most: usize) -> Result<Option<(Said, usize)>, String> {
    let Some(end) = buf.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return if buf.len() >= LINE { Err("a line is too long".into()) } else { Ok(None) };
    };
    let line = buf[..end].strip_suffix(b"\r").unwrap_or(&buf[..end]);
    let line = std::str::from_utf8(line).map_err(|_| "a line is no text".to_owned())?;
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let (rest, next) = (rest.trim(), end + 1);
    for (name, has_headers) in [("MSG", false), ("HMSG", true)] {
        if word.eq_ignore_ascii_case(name) {
            return message(buf, next, rest, has_headers, most);
        }
    }
    let said = match word.to_ascii_uppercase().as_str() {
        "INFO" => Said::Info(rest.to_owned()),
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "+OK" => Said::Ok,
        "-ERR" => Said::Err(rest.trim_matches('\'').to_owned()),
        _ => return Err(format!("it says {:?}", word.chars().take(40).collect::<String>())),
    };
    Ok(Some((said, next)))
}

/// `MSG subject sid [reply] size` and `HMSG subject sid [reply] headers size`, and what follows.
fn message(
    buf: &[u8],
    at: usize,
    line: &str,
    has_headers: bool,
    most: usize,
) -> Result<Option<(Said, usize)>, String> {
    let bad = || format!("a message begins with {:?}", line.chars().take(80).collect::<String>());
    let number = |text: &str| text.parse::<usize>().map_err(|_| bad());
    let (mut parts, mut count) = ([""; 5], 0);
    for part in line.split_ascii_whitespace() {
        *parts.get_mut(count).ok_or_else(bad)? = part;
        count += 1;
    }
    let (head, sizes) = match (has_headers, count) {
        (false, 3 | 4) => parts[..count].split_at(count - 1),
        (true, 4 | 5) => parts[..count].split_at(count - 2),
        _ => return Err(bad()),
    };
    let total = number(sizes[sizes.len() - 1])?;
    let headers = if has_headers { number(sizes[0])? } else { 0 };
    if total > most {
        return Err(format!("a message has {total} bytes, the most is {most}"));
    }
    if headers > total {
        return Err(bad());
    }
    let rest = &buf[at..];
    if rest.len() < 2 || rest.len() - 2 < total {
        return Ok(None);
    }
    let end = at + total;
    if &buf[end..end + 2] != b"\r\n" {
        return Err("a message does not end where it should".into());
    }
    let mut message = Message {
        subject: head[0].to_owned(),
        subscription: number(head[1])? as u64,
        reply: head.get(2).map(|reply| (*reply).to_owned()),
        payload: buf[at + headers..end].to_vec(),
        ..Message::default()
    };
    if has_headers {
        read_headers(&buf[at..at + headers], &mut message).ok_or_else(bad)?;
    }
    Ok(Some((Said::Message(message), end + 2)))
}

/// `NATS/1.0 [status [words]]`, then a header a line.
fn read_headers(bytes: &[u8], message: &mut Message) -> Option<()> {
    let mut lines = std::str::from_utf8(bytes).ok()?.split("\r\n");
    let first = lines.next()?.strip_prefix("NATS/1.0")?.trim();
    message.status = first.split(' ').next().and_then(|status| status.parse().ok());
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        message.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{Said, take};

    #[test]
    fn what_is_cut_anywhere_waits_for_the_rest() {
        let all = b"HMSG a.b 7 r 25 30\r\nNATS/1.0\r\nNats-X: yes\r\n\r\nhello\r\nPING\r\n";
        let whole = all.len() - b"PING\r\n".len();
        for cut in 0..whole {
            assert_eq!(take(&all[..cut], 100), Ok(None), "at {cut}");
        }
        let Ok(Some((Said::Message(message), end))) = take(all, 100) else { panic!("no message") };
        assert_eq!((message.header("nats-x"), &*message.payload), (Some("yes"), &b"hello"[..]));
        assert_eq!((message.subscription, message.reply.as_deref()), (7, Some("r")));
        assert_eq!(take(&all[end..], 100), Ok(Some((Said::Ping, 6))));
    }

    #[test]
    fn without_a_limit_any_size_is_waited_for() {
        let size = usize::MAX;
        assert_eq!(take(format!("MSG a 1 {size}\r\nabc\r\n").as_bytes(), size), Ok(None));
        assert_eq!(take(format!("HMSG a 1 {size} {size}\r\n").as_bytes(), size), Ok(None));
    }

    #[test]
    fn nonsense_is_an_error_and_takes_no_memory() {
        for bad in [
            "MSG a 1 99999999999999999999\r\n",
            "MSG a 1 101\r\n",
            "MSG a x 1\r\n?\r\n",
            "MSG a 1 -1\r\n",
            "MSG 1\r\n",
            "MSG a 1 1\r\nabc\r\n",
            "HMSG a 1 9 5\r\nabcde\r\n",
            "HMSG a 1 5 5\r\nabcde\r\n",
            "HTTP/1.1 200 OK\r\n",
            "\u{0}\r\n",
        ] {
            assert!(take(bad.as_bytes(), 100).is_err(), "{bad:?}");
        }
        assert!(take(&[b'x'; 70_000], 100).is_err());
        assert!(take(b"MSG \xff 1 1\r\n", 100).is_err());
    }
}
