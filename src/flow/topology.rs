//! The plan of a flow, as it is wired, before anything runs.

use super::boundary::Par;
use std::borrow::Cow;
use std::fmt;

/// What [`Flow::explain`](super::Flow::explain) shows: the flow as an architecture. Print it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    lines: Vec<Line>,
    depth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    depth: usize,
    text: Cow<'static, str>,
    boundary: bool,
}

impl Topology {
    /// Adds a source, or a stage fused onto what was added before.
    pub(super) fn stage(&mut self, name: impl Into<Cow<'static, str>>) {
        self.lines.push(Line { depth: self.depth, text: name.into(), boundary: false });
    }

    /// Adds a boundary: what was added before runs on another thread than what comes after.
    pub(super) fn boundary(&mut self, text: impl Into<Cow<'static, str>>) {
        self.lines.push(Line { depth: self.depth, text: text.into(), boundary: true });
    }

    /// Adds a boundary with workers.
    pub(super) fn workers(&mut self, name: &str, par: Par) {
        self.boundary(format!("{name}({par})"));
    }

    /// Adds a flow that runs into this one.
    pub(super) fn branch(&mut self, add: impl FnOnce(&mut Topology)) {
        self.depth += 1;
        add(self);
        self.depth -= 1;
    }

    /// Renames what was added last.
    pub(super) fn rename(&mut self, name: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.text = format!("{} ({name})", line.text).into();
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut opens = [true; 2]; // Whether the next stage begins a segment, per parity of depth.
        let mut depth = 0;
        for line in &self.lines {
            if line.depth > depth {
                opens[line.depth % 2] = true;
            }
            depth = line.depth;
            let indent = "    ".repeat(line.depth);
            let open = &mut opens[line.depth % 2];
            match (line.boundary, std::mem::replace(open, line.boundary)) {
                (true, _) => writeln!(f, "{indent}  ==> {}", line.text)?,
                (false, true) => writeln!(f, "{indent}[thread] {}", line.text)?,
                (false, false) => writeln!(f, "{indent}         {}", line.text)?,
            }
        }
        Ok(())
    }
}
