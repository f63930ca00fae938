//! Whether what was answered is there: every change in its cart, every use in the books, once.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use ironsys::Context;
use ironsys::durable::{DiskStore, Outbox};
use ironsys::session::Store;

use crate::billing;
use crate::cart;

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) answered: u64,
    pub(crate) carts: usize,
    /// Uses that are still in the outbox, for the next start.
    pub(crate) waiting: u64,
    /// Lines of the books.
    pub(crate) billed: u64,
    /// What is not as it should be.
    pub(crate) lost: Vec<String>,
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Looks for all that the lines say.
pub(crate) fn check(ctx: &Context, dir: &Path, answers: &Path) -> Result<Found, Box<dyn Error>> {
    let mut found = Found::default();
    let input: Box<dyn BufRead> = match answers.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(answers).map_err(|e| named(answers, &e))?)),
    };
    // The last change of each cart, and every use.
    let (mut last, mut uses) = (HashMap::<String, (u64, u64)>::new(), HashMap::new());
    for (i, line) in input.lines().enumerate() {
        let line = line.map_err(|e| named(answers, &e))?;
        let parts: Vec<&str> = line.split(' ').collect();
        let parsed = match parts[..] {
            [user, version, trail, usage] => {
                let number = |text: &str| text.parse::<u64>().ok();
                number(version).zip(number(trail)).zip(number(usage)).map(|n| (user, n.0, n.1))
            }
            _ => None,
        };
        let Some((user, (version, trail), usage)) = parsed else {
            // The last line may have been cut by a kill.
            found.lost.push(format!("line {} of the answers says nothing: {line:?}", i + 1));
            continue;
        };
        found.answered += 1;
        let newest = last.entry(user.to_owned()).or_default();
        *newest = (*newest).max((version, trail));
        if uses.insert(usage, user.to_owned()).is_some() {
            found.lost.push(format!("use {usage} was answered twice"));
        }
    }
    found.carts = last.len();
    carts(ctx, dir, &last, &mut found)?;
    books(ctx, dir, &uses, &mut found)?;
    Ok(found)
}

/// A cart may be ahead of the last answer, never behind.
fn carts(
    ctx: &Context,
    dir: &Path,
    last: &HashMap<String, (u64, u64)>,
    found: &mut Found,
) -> Result<(), Box<dyn Error>> {
    let path = dir.join("carts.redb");
    // Who only looks makes no store.
    File::open(&path).map_err(|e| named(&path, &e))?;
    let store = DiskStore::<String>::open(path)?;
    for (user, (version, trail)) in last {
        let view = match store.load(ctx, user)? {
            Some(snapshot) => cart::read(&snapshot)?.1,
            None => {
                found.lost.push(format!("the cart of {user} is not there"));
                continue;
            }
        };
        let same = view.version > *version || (view.version, view.trail) == (*version, *trail);
        if !same {
            let is = format!("version {} ({})", view.version, view.trail);
            found.lost.push(format!("the cart of {user}: {is}, answered {version} ({trail})"));
        }
    }
    Ok(())
}

/// A use is in the books once, or still in the outbox.
fn books(
    ctx: &Context,
    dir: &Path,
    uses: &HashMap<u64, String>,
    found: &mut Found,
) -> Result<(), Box<dyn Error>> {
    let path = dir.join("billing.log");
    let mut billed = HashSet::new();
    let file = File::open(&path).map_err(|e| named(&path, &e))?;
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| named(&path, &e))?;
        let Some((id, account, _)) = billing::entry(&line) else {
            found.lost.push(format!("line {} of the books is no entry: {line:?}", i + 1));
            continue;
        };
        if !billed.insert(id) {
            found.lost.push(format!("use {id} is billed twice"));
        }
        if uses.get(&id).is_some_and(|user| user != account) {
            found.lost.push(format!("use {id} is billed to {account}"));
        }
    }
    found.billed = billed.len() as u64;
    let outbox = Outbox::open(dir.join("usage"))?;
    let mut reader = outbox.reader("billing")?;
    while let Some(event) = reader.try_next()? {
        ctx.check()?;
        if billed.insert(event.id) {
            found.waiting += 1;
        }
    }
    for (id, user) in uses {
        if !billed.contains(id) {
            found.lost.push(format!("use {id} of {user} is in no book"));
        }
    }
    Ok(())
}
