//! Lines for people and for programs. Nobody there to read them is no failure.

use std::fmt::Arguments;
use std::io::{self, Write};

pub(crate) fn out(line: Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

pub(crate) fn err(line: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
