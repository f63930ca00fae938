//! Whether everything that was answered is there: the lines of `--say` against the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use ironsys::Context;
use ironsys::durable::DiskStore;
use ironsys::session::Store;

use crate::board::Change;
use crate::codec;

/// What was found.
pub(crate) struct Found {
    pub(crate) answered: u64,
    pub(crate) boards: usize,
    /// In words, a board each.
    pub(crate) lost: Vec<String>,
}

pub(crate) fn check(ctx: &Context, store: &Path, answers: &Path) -> Result<Found, String> {
    let (answered, last) = read(answers)?;
    let store = DiskStore::<u32>::open(store).map_err(|e| e.to_string())?;
    let mut lost = Vec::new();
    for (id, Change { version, trail }) in &last {
        let snapshot = store.load(ctx, id).map_err(|e| e.to_string())?;
        let board = match snapshot.map(|snapshot| codec::board(&snapshot)).transpose() {
            Ok(board) => board.unwrap_or_default(),
            Err(problem) => return Err(format!("board {id}: {problem}")),
        };
        if board.version < *version {
            lost.push(format!(
                "board {id}: change {version} was answered, {} is there",
                board.version
            ));
        } else if board.version == *version && board.trail != *trail {
            lost.push(format!("board {id}: its changes up to {version} are not those answered"));
        }
    }
    Ok(Found { answered, boards: last.len(), lost })
}

/// How many changes were answered, and the last one of each board.
fn read(answers: &Path) -> Result<(u64, BTreeMap<u32, Change>), String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", answers.display());
    let lines: Box<dyn BufRead> = match answers.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(answers).map_err(|e| named(&e))?)),
    };
    let (mut answered, mut last) = (0, BTreeMap::new());
    for (n, line) in lines.lines().enumerate() {
        let line = line.map_err(|e| named(&e))?;
        let Some((id, Change { version, trail })) = parse(&line) else {
            return Err(named(&format_args!("line {}: {line:?} is no answer", n + 1)));
        };
        answered += 1;
        let change = last.entry(id).or_insert(Change { version, trail });
        if version >= change.version {
            *change = Change { version, trail };
        }
    }
    Ok((answered, last))
}

fn parse(line: &str) -> Option<(u32, Change)> {
    let mut words = line.split(' ');
    let mut next = || words.next()?.parse::<u64>().ok();
    let (id, version, trail) = (next()?.try_into().ok()?, next()?, next()?);
    words.next().is_none().then_some((id, Change { version, trail }))
}
