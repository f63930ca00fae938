//! Which operation sites of the seam has a model reached?
//!
//! Loom builds only; elsewhere `hit` is an empty inline function. With `IRONSYS_CENSUS=<file>` every
//! site is appended once a thread; `loom-tests/census` compares the file with the compiler's own
//! inventory of sites.

#[cfg(any(loom, ironsys_loom))]
pub(crate) use on::hit;

#[cfg(any(loom, ironsys_loom))]
mod on {
    use std::cell::RefCell;
    use std::collections::HashSet;
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::panic::Location;
    use std::sync::OnceLock;

    static FILE: OnceLock<Option<File>> = OnceLock::new();
    std::thread_local! {
        static SEEN: RefCell<HashSet<(usize, usize)>> = RefCell::new(HashSet::new());
    }

    pub(crate) fn hit(kind: &'static str, at: &'static Location<'static>) {
        let file = FILE.get_or_init(|| {
            let path = std::env::var_os("IRONSYS_CENSUS")?;
            OpenOptions::new().create(true).append(true).open(path).ok()
        });
        let Some(mut file) = file.as_ref() else { return };
        let key = (kind.as_ptr() as usize, std::ptr::from_ref(at) as usize);
        let new = SEEN.try_with(|seen| seen.borrow_mut().insert(key)).unwrap_or(false);
        if new {
            // One write a line: O_APPEND keeps the lines of parallel models whole.
            let line = format!("{}:{}:{} {kind}\n", at.file(), at.line(), at.column());
            let _ = file.write_all(line.as_bytes());
        }
    }
}
