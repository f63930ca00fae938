//! A board as text, one line for each thing: what is on disk can be read by people, too.
//!
//! ```text
//! 12 8617350912 3          version, trail, how many notes
//! put 7 -3 40 milk         the notes, then the edits that undo, oldest first
//! ```

use ironsys::session::Snapshot;

use crate::board::{Board, Edit, Note};

const VERSION: u32 = 1;

pub(crate) fn edit(edit: &Edit) -> String {
    match edit {
        Edit::Put(id, Note { x, y, text }) => format!("put {id} {x} {y} {text}\n"),
        Edit::Move(id, x, y) => format!("move {id} {x} {y}\n"),
        Edit::Remove(id) => format!("remove {id}\n"),
    }
}

pub(crate) fn snapshot(board: &Board) -> Snapshot {
    let mut text = format!("{} {} {}\n", board.version, board.trail, board.notes.len());
    for (id, note) in &board.notes {
        text += &edit(&Edit::Put(*id, note.clone()));
    }
    board.undo.iter().for_each(|back| text += &edit(back));
    Snapshot::new(VERSION, text)
}

/// The board, or what is wrong with its text.
pub(crate) fn board(snapshot: &Snapshot) -> Result<Board, String> {
    if snapshot.version != VERSION {
        return Err(format!("layout {} is not known, only {VERSION}", snapshot.version));
    }
    let text = str::from_utf8(&snapshot.bytes).map_err(|e| e.to_string())?;
    let mut lines = text.lines();
    let head: Vec<u64> = lines
        .next()
        .into_iter()
        .flat_map(|head| head.split(' '))
        .map_while(|number| number.parse().ok())
        .collect();
    let [version, trail, notes] = head[..] else { return Err("no head".into()) };
    let mut board = Board { version, trail, ..Board::default() };
    for (n, line) in lines.enumerate() {
        let edit = parse(line).ok_or_else(|| format!("line {}: {line:?} is no edit", n + 2))?;
        match edit {
            Edit::Put(id, note) if (n as u64) < notes => drop(board.notes.insert(id, note)),
            edit => board.undo.push_back(edit),
        }
    }
    Ok(board)
}

fn parse(line: &str) -> Option<Edit> {
    let mut words = line.splitn(5, ' ');
    let (what, id) = (words.next()?, words.next()?.parse().ok()?);
    let mut place = || Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?));
    match what {
        "put" => {
            let (x, y) = place()?;
            Some(Edit::Put(id, Note { x, y, text: words.next()?.to_owned() }))
        }
        "move" => place().map(|(x, y)| Edit::Move(id, x, y)),
        "remove" => Some(Edit::Remove(id)),
        _ => None,
    }
}
