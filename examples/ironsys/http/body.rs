//! Bodies in chunks, decoded where they are.

use super::Refused;

/// The most bytes of a line that gives a chunk's size, and of all trailers.
const LINE: usize = 4 * 1024;

/// How far a body in chunks has been decoded: the plain body grows where the body began, and what is
/// still in chunks stands behind it, at once or a little further.
#[derive(Debug, Default)]
pub(super) struct Dechunk {
    /// Bytes of the plain body.
    pub(super) len: usize,
    /// Where the next chunk begins, counted from where the body began.
    at: usize,
    /// Bytes that were not body.
    around: usize,
    /// The last chunk is here, and the trailers began there.
    trailers: Option<usize>,
}

impl Dechunk {
    /// Goes on with the body that begins at `from`. `None` if it is not complete, or where the next
    /// request begins. `most` bounds the plain body; what stands around it is bounded, too.
    pub(super) fn go_on(
        &mut self,
        buf: &mut Vec<u8>,
        from: usize,
        most: usize,
    ) -> Result<Option<usize>, Refused> {
        let next = self.decode(buf, from, most)?;
        if next.is_none() && self.trailers.is_none() {
            // What stood around the chunks takes no room while the rest is waited for.
            buf.drain(from + self.len..from + self.at);
            self.at = self.len;
        }
        Ok(next)
    }

    fn decode(
        &mut self,
        buf: &mut [u8],
        from: usize,
        most: usize,
    ) -> Result<Option<usize>, Refused> {
        while self.trailers.is_none() {
            let start = from + self.at;
            let Some(line) = line(&buf[start..])? else { return Ok(None) };
            let size = size(&buf[start..start + line])?;
            // A body in chunks of one byte has five bytes around each.
            let around = self.around + line + 4;
            if size > most - self.len || around > most.saturating_mul(8).saturating_add(LINE) {
                return Err(Refused::new(413, "the body is too large"));
            }
            let data = start + line + 2;
            if size == 0 {
                self.at = data - from;
                self.trailers = Some(self.at);
                break;
            }
            if buf.len() < data + size + 2 {
                return Ok(None);
            }
            if &buf[data + size..data + size + 2] != b"\r\n" {
                return Err(Refused::new(400, "a chunk does not end where it should"));
            }
            buf.copy_within(data..data + size, from + self.len);
            self.len += size;
            self.around = around;
            self.at = data + size + 2 - from;
        }
        let trailers = self.trailers.unwrap_or(self.at);
        loop {
            let Some(line) = line(&buf[from + self.at..])? else { return Ok(None) };
            self.at += line + 2;
            if self.at - trailers > LINE {
                return Err(Refused::new(431, "the trailers are too large"));
            }
            if line == 0 {
                return Ok(Some(from + self.at));
            }
        }
    }
}

/// The length of the next line, without its end.
fn line(buf: &[u8]) -> Result<Option<usize>, Refused> {
    match memchr::memchr(b'\n', &buf[..buf.len().min(LINE)]) {
        Some(at) if memchr::memchr(b'\r', &buf[..at]) == Some(at.wrapping_sub(1)) => {
            Ok(Some(at - 1))
        }
        Some(_) => {
            Err(Refused::new(400, "a line does not end with a carriage return and a line feed"))
        }
        None if buf.len() >= LINE => Err(Refused::new(400, "a line of a chunk is too long")),
        None => Ok(None),
    }
}

/// The size that a line gives; what stands behind a semicolon is not for us.
fn size(line: &[u8]) -> Result<usize, Refused> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let bad = Refused::new(400, "the size of a chunk is no number");
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(bad);
    }
    let text = std::str::from_utf8(digits).map_err(|_| bad.clone())?;
    usize::from_str_radix(text, 16).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::Dechunk;

    #[test]
    fn chunks_become_a_body_wherever_they_are_cut_and_the_rest_stays() {
        let sent = b"head4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\nA: b\r\n\r\n";
        for cut in 4..sent.len() {
            let (mut buf, mut body) = (sent[..cut].to_vec(), Dechunk::default());
            assert_eq!(body.go_on(&mut buf, 4, 9), Ok(None), "at {cut}");
            buf.extend_from_slice(&sent[cut..]);
            buf.extend_from_slice(b"GET");
            let end = body.go_on(&mut buf, 4, 9).unwrap().unwrap();
            assert_eq!((&buf[4..4 + body.len], &buf[end..]), (&b"wikipedia"[..], &b"GET"[..]));
        }
    }

    #[test]
    fn what_stands_around_small_chunks_takes_no_room() {
        let (mut buf, mut body) = (b"head".to_vec(), Dechunk::default());
        for n in 1..500 {
            buf.extend_from_slice(b"1\r\nx\r\n1");
            assert_eq!(body.go_on(&mut buf, 4, 1000), Ok(None));
            buf.extend_from_slice(b";ext\r\n");
            assert_eq!(body.go_on(&mut buf, 4, 1000), Ok(None));
            buf.extend_from_slice(b"y\r\n");
            assert_eq!(body.go_on(&mut buf, 4, 2000), Ok(None));
            assert_eq!((buf.len(), body.len), (4 + 2 * n, 2 * n));
        }
        buf.extend_from_slice(b"0\r\n\r\nGET");
        assert_eq!(body.go_on(&mut buf, 4, 2000), Ok(Some(buf.len() - 3)));
    }

    #[test]
    fn what_is_too_large_or_malformed_is_refused() {
        for (sent, status) in [
            (&b"a\r\n"[..], 413),
            (b"ffffffff\r\n", 413),
            (b"fffffffff\r\n", 400),
            (b"+1\r\n", 400),
            (b"\r\n", 400),
            (b"1\n", 400),
            (b"\n", 400),
            (b"1;\r\r\n", 400),
            (b"1\r\nabc", 400),
        ] {
            let refused = Dechunk::default().go_on(&mut sent.to_vec(), 0, 9).unwrap_err();
            assert_eq!(refused.status, status, "{sent:?}");
        }
    }
}
