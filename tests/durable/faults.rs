//! Errors of the disk: nothing acknowledged is lost, and the error says what and where.

use crate::{rest, root, small};
use ironsys::durable::{
    AppendError, Durability, Fault, FaultAt, Memory, ReadError, StorageError, SubmitError,
    WaitError,
};
use std::io::ErrorKind;
use std::path::Path;

fn fault(at: FaultAt, times: u64, error: ErrorKind) -> Fault {
    Fault { at, skip: 0, times, error }
}

#[test]
fn a_full_disk_keeps_the_event_and_says_so() {
    for at in [FaultAt::Write, FaultAt::ShortWrite(17)] {
        let (ctx, _cancel) = root();
        let memory = Memory::new();
        let outbox = small(&memory).open().unwrap();
        outbox.append(&ctx, b"a").unwrap();
        memory.fail(fault(at, u64::MAX, ErrorKind::StorageFull));
        let AppendError::Unconfirmed { ticket, why } = outbox.append(&ctx, b"b").unwrap_err()
        else {
            panic!("it was accepted")
        };
        let WaitError::Unwritten(e) = &why else { panic!("{why}") };
        assert!(e.is_disk_full() && why.is_open());
        assert_eq!(e.path(), Path::new("memory:/00000000000000000001.seg"));
        // Header, one event, its marker; and what the short write did.
        let done = if at == FaultAt::Write { 0 } else { 17 };
        assert_eq!(e.offset(), Some(32 + 24 + 20 + done));
        assert!(ticket.wait(&ctx).unwrap_err().is_open());
        let later = outbox.submit(&ctx, b"c").unwrap();
        assert!(outbox.stats().ledger.is_balanced());
        memory.heal();
        ticket.wait(&ctx).unwrap();
        assert!(later.is_safe(), "they are one group now");
        assert_eq!(rest(&mut outbox.reader("r").unwrap()), ["a", "b", "c"]);
        drop(outbox);
        let outbox = small(&memory).open().unwrap();
        assert_eq!(rest(&mut outbox.reader("s").unwrap()), ["a", "b", "c"]);
    }
}

#[test]
fn a_full_disk_is_back_pressure_for_who_only_submits() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    memory.fail(fault(FaultAt::Write, u64::MAX, ErrorKind::StorageFull));
    let mut taken = 0;
    let e = loop {
        match outbox.submit(&ctx, &[1; 100]) {
            Ok(_) => taken += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(&e, SubmitError::Storage(e) if e.is_disk_full()), "{e}");
    assert_eq!(taken, 2048 / 120);
    memory.heal();
    outbox.close(&ctx).unwrap();
    assert_eq!(outbox.len(), taken);
}

#[test]
fn a_failed_sync_ends_the_log_for_good() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    outbox.append(&ctx, b"a").unwrap();
    memory.fail(fault(FaultAt::Sync, 1, ErrorKind::Other));
    let before = memory.syncs();
    let AppendError::Unconfirmed { ticket, why } = outbox.append(&ctx, b"b").unwrap_err() else {
        panic!("it was accepted")
    };
    assert!(matches!(&why, WaitError::Failed(StorageError::Io { call: "sync", .. })), "{why}");
    assert!(!why.is_open());
    // The disk would say yes now; it is not asked again.
    assert!(!ticket.wait(&ctx).unwrap_err().is_open());
    assert!(matches!(outbox.submit(&ctx, b"c"), Err(SubmitError::Storage(_))));
    assert!(!outbox.flush(&ctx).unwrap_err().is_open());
    assert_eq!(memory.syncs(), before + 1);
    // What was acknowledged can be read, and nothing else.
    let mut reader = outbox.reader("r").unwrap();
    assert_eq!(rest(&mut reader), ["a"]);
    assert!(matches!(reader.next(&ctx), Err(ReadError::Storage(_))));
    drop((reader, outbox));
    let again = small(&memory.after_power_cut(1)).open().unwrap();
    let found = rest(&mut again.reader("s").unwrap());
    assert!(found == ["a"] || found == ["a", "b"], "{found:?}");
}

#[test]
fn errors_while_a_segment_is_begun() {
    for (at, fatal) in [(FaultAt::Create, false), (FaultAt::SyncNames, true)] {
        let (ctx, _cancel) = root();
        let memory = Memory::new();
        let outbox = small(&memory).open().unwrap();
        memory.fail(fault(at, 1, ErrorKind::StorageFull));
        let mut acked = Vec::new();
        let mut n = 0;
        let open = loop {
            n += 1;
            match outbox.append(&ctx, format!("{n:0300}").as_bytes()) {
                Ok(id) => acked.push(id),
                Err(AppendError::Unconfirmed { ticket, why }) => {
                    assert_eq!(why.is_open(), !fatal, "{why}");
                    if why.is_open() {
                        ticket.wait(&ctx).unwrap();
                        acked.push(ticket.id());
                    }
                    break why.is_open();
                }
                Err(e) => panic!("{e}"),
            }
        };
        assert_eq!(open, !fatal);
        drop(outbox);
        let outbox = small(&memory.after_power_cut(n)).open().unwrap();
        let found = rest(&mut outbox.reader("r").unwrap());
        assert!(found.len() >= acked.len());
        for (i, text) in found.iter().enumerate() {
            assert_eq!(*text, format!("{:0300}", i + 1));
        }
    }
}

#[test]
fn a_place_that_may_not_be_written_to() {
    let memory = Memory::new();
    memory.fail(fault(FaultAt::Create, 1, ErrorKind::ReadOnlyFilesystem));
    let e = small(&memory).open().unwrap_err();
    assert!(e.storage().unwrap().is_read_only(), "{e}");
    assert!(e.to_string().contains("memory:/tail"), "{e}");
}

#[cfg(unix)]
#[test]
fn a_read_only_directory() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(dir.path().join("x"), "").is_ok() {
        return; // This user may write anywhere.
    }
    let e = ironsys::durable::Outbox::open(dir.path()).unwrap_err();
    assert!(e.storage().unwrap().is_read_only(), "{e}");
}

#[test]
fn an_error_while_reading_keeps_the_place() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).open().unwrap();
    outbox.append_many(&ctx, ["a", "b"]).unwrap();
    let mut reader = outbox.reader("r").unwrap();
    memory.fail(fault(FaultAt::Read, 1, ErrorKind::Other));
    let e = reader.next(&ctx).unwrap_err();
    assert!(e.storage().is_some_and(|e| e.offset().is_some()), "{e}");
    assert_eq!(rest(&mut reader), ["a", "b"]);
}

#[test]
fn an_error_in_a_cursor_delivers_again_and_loses_nothing() {
    let (ctx, _cancel) = root();
    let memory = Memory::new();
    let outbox = small(&memory).durability(Durability::Always).open().unwrap();
    outbox.append_many(&ctx, ["a", "b"]).unwrap();
    let mut reader = outbox.reader("r").unwrap();
    assert_eq!(rest(&mut reader), ["a", "b"]);
    memory.fail(fault(FaultAt::Write, 1, ErrorKind::StorageFull));
    let e = reader.ack(1).unwrap_err();
    assert!(e.path().ends_with("r.cursor"), "{e}");
    drop((reader, outbox));
    let outbox = small(&memory).open().unwrap();
    assert_eq!(rest(&mut outbox.reader("r").unwrap()).len(), 2);
}
