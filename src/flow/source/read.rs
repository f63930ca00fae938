//! Anything that is read: lines, and chunks of bytes.

use super::super::cx::{At, Cx};
use super::super::fault::Fails;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{Halt, Head, Stage, Step};
use super::{Origin, Source};
use std::io::{self, BufRead, ErrorKind, Read};

struct Lines<R>(Option<R>);

impl<R: BufRead + Send> Origin for Lines<R> {
    type Item = String;
    type Fault = Fails<io::Error>;
    const HEAD: Head = Head::Opaque;

    fn step(&mut self, at: &At, cx: &Cx, raise: &Raise<io::Error>) -> Result<Step<String>, Halt> {
        let Some(reader) = &mut self.0 else { return Ok(Step::End) };
        let mut line = String::new();
        match at.call(cx, || reader.read_line(&mut line)) {
            Ok(0) => Ok(Step::End),
            Ok(_) => {
                if line.ends_with('\n') {
                    line.pop();
                    if line.ends_with('\r') {
                        line.pop();
                    }
                }
                Ok(Step::Item(line))
            }
            Err(error) => Err(raise.error(at, cx, error)),
        }
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

struct Chunks<R> {
    reader: Option<R>,
    size: usize,
}

impl<R: Read + Send> Origin for Chunks<R> {
    type Item = Vec<u8>;
    type Fault = Fails<io::Error>;
    const HEAD: Head = Head::Opaque;

    fn step(&mut self, at: &At, cx: &Cx, raise: &Raise<io::Error>) -> Result<Step<Vec<u8>>, Halt> {
        let Some(reader) = &mut self.reader else { return Ok(Step::End) };
        let mut chunk = vec![0; self.size];
        loop {
            match at.call(cx, || reader.read(&mut chunk)) {
                Ok(0) => return Ok(Step::End),
                Ok(n) => {
                    chunk.truncate(n);
                    return Ok(Step::Item(chunk));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => cx.check()?,
                Err(error) => return Err(raise.error(at, cx, error)),
            }
        }
    }

    fn close(&mut self) {
        self.reader = None;
    }
}

/// The largest chunk of [`Flow::read`]: it is allocated for every read.
const MAX_CHUNK: usize = 1 << 24;

impl Flow<()> {
    /// Makes a flow of the lines of a reader, without their ends (`\n` or `\r\n`).
    ///
    /// # Cancellation
    /// Looked at before each line. A read that blocks holds the run up until it returns, unless a
    /// [`closer`](Flow::closer) cuts it short.
    ///
    /// # Errors
    /// The reader's, with the number of the line, from 0, as the index; text that is no UTF-8 too.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError}};
    /// # fn main() -> Result<(), FlowError<std::io::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let text = "first\nsecond\r\nthird";
    /// let lines: Vec<String> = Flow::lines(text.as_bytes()).collect(&ctx)?;
    /// assert_eq!(lines, ["first", "second", "third"]);
    /// # Ok(()) }
    /// ```
    pub fn lines<R>(reader: R) -> Flow<impl Stage<Item = String, Fault = Fails<io::Error>>>
    where
        R: BufRead + Send,
    {
        Flow(Source { origin: Lines(Some(reader)), name: "lines" })
    }

    /// Makes a flow of what a reader returns, in chunks of 1 to `size` bytes: one for each read. A
    /// `size` of 0 counts as 1, one above 16 MiB as 16 MiB.
    ///
    /// # Cancellation
    /// As for [`lines`](Flow::lines).
    ///
    /// # Errors
    /// The reader's, with the number of the chunk as the index.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError}};
    /// # fn main() -> Result<(), FlowError<std::io::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let bytes = Flow::read(&b"12345"[..], 2).map(|chunk| chunk.len());
    /// assert_eq!(bytes.collect::<Vec<_>>(&ctx)?, [2, 2, 1]);
    /// # Ok(()) }
    /// ```
    pub fn read<R>(
        reader: R,
        size: usize,
    ) -> Flow<impl Stage<Item = Vec<u8>, Fault = Fails<io::Error>>>
    where
        R: Read + Send,
    {
        let origin = Chunks { reader: Some(reader), size: size.clamp(1, MAX_CHUNK) };
        Flow(Source { origin, name: "read" })
    }
}
