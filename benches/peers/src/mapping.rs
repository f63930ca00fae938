//! A file as a slice of bytes.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// Maps the whole file into memory.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the bytes must not change while they are mapped. The only caller is a child process of
    // the benchmark, which alone knows the file and does not write to it while the child runs.
    unsafe { Mmap::map(&file) }
}
