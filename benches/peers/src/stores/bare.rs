//! What the disk takes: the next bytes of a file of zeros are overwritten, and synced. One at a time.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;

use super::{EVENT, Event, Store};

pub(crate) struct Bare(Mutex<(File, u64)>);

const SIZE: usize = 64 << 20;
static ZEROS: [u8; 8 << 10] = [0; 8 << 10];

impl Store for Bare {
    fn open(dir: &Path) -> Self {
        let path = dir.join("events");
        if !path.exists() {
            let mut file = File::create(&path).expect("the disk takes it");
            // In small pieces: a sync goes through all of each piece that the system's cache has.
            for _ in 0..SIZE / ZEROS.len() {
                file.write_all(&ZEROS).expect("the disk takes it");
            }
        }
        let file = File::options().read(true).write(true).open(path).expect("the file opens");
        file.sync_all().expect("the disk syncs");
        Bare(Mutex::new((file, 0)))
    }

    fn append(&self, event: &Event) {
        let mut at = self.0.lock();
        at.0.write_all_at(event.bytes(), at.1).expect("the disk takes it");
        at.0.sync_data().expect("the disk syncs");
        at.1 += EVENT as u64;
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        let at = self.0.lock();
        let mut event = [0; EVENT];
        for i in 0.. {
            at.0.read_exact_at(&mut event, i * EVENT as u64).expect("the disk reads");
            if event[EVENT - 1] == 0 {
                break;
            }
            each(&event);
        }
    }
}
