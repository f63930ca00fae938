//! A log made up on the spot, so that the example runs on a bare machine.
//!
//! It is the same on every run (seeded), a few clients and paths make most of the requests as in real
//! life, and one line in 10,000 is cut short, as happens when a disk fills up.

use std::io::{self, Read, Write};

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0";
const STATUSES: [u16; 16] =
    [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 304, 304, 301, 404, 500];

/// Reads as about `size` bytes of log, spread over four weeks of May 2015.
#[derive(Debug)]
pub(crate) struct Sample {
    size: u64,
    made: u64,
    dice: u64,
    /// Lines made but not yet read, from `read` on.
    lines: Vec<u8>,
    read: usize,
}

impl Sample {
    pub(crate) fn new(size: u64) -> Self {
        Sample { size, made: 0, dice: 17_052_015, lines: Vec::new(), read: 0 }
    }

    /// SplitMix64, cut down to `0..below`.
    fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// Small numbers far more often than large ones.
    fn roll_skewed(&mut self, below: u64) -> u64 {
        let below = self.roll(below) + 1;
        let below = self.roll(below) + 1;
        self.roll(below)
    }

    fn write_line(&mut self) -> io::Result<()> {
        let second = (u128::from(self.made) * 28 * 86_400 / u128::from(self.size)) as u64;
        let (day, hour) = (1 + second / 86_400, second / 3_600 % 24);
        let (minute, second) = (second / 60 % 60, second % 60);
        let (client, path) = (self.roll_skewed(5_000), self.roll_skewed(2_000));
        let status = STATUSES[self.roll(16) as usize];
        let size = if status == 304 { "-".into() } else { self.roll(60_000).to_string() };
        let (cut, start) = (self.roll(10_000) == 0, self.lines.len());
        write!(
            self.lines,
            "10.{}.{}.{} - - [{day:02}/May/2015:{hour:02}:{minute:02}:{second:02} +0000] \
             \"GET /articles/{}/{path}.html HTTP/1.1\" {status} {size} \
             \"https://example.org/articles/{}\" \"{AGENT}\"",
            client % 7,
            client / 250,
            client % 250,
            path % 9,
            path % 9,
        )?;
        if cut {
            self.lines.truncate(start + (self.lines.len() - start) / 2);
        }
        self.lines.push(b'\n');
        self.made += (self.lines.len() - start) as u64;
        Ok(())
    }
}

impl Read for Sample {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.lines.len() {
            self.lines.clear();
            self.read = 0;
            while self.made < self.size && self.lines.len() < 64 * 1024 {
                self.write_line()?;
            }
        }
        let n = (&self.lines[self.read..]).read(into)?;
        self.read += n;
        Ok(n)
    }
}
