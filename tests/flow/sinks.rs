//! What sinks do at their edges.

use crate::{root, throw};
use ironsys::channel;
use ironsys::flow::{Flow, FlowError, Never};
use std::io::{self, Write};

type Plain = Result<(), FlowError<Never>>;

#[test]
fn send_to_hands_back_what_found_the_channel_closed() -> Plain {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(2);
    let flow = Flow::range(0..10).inspect(|n| {
        if *n == 2 {
            rx.close();
        }
    });
    let sent = flow.send_to(&ctx, &tx)?;
    assert_eq!((sent.count, sent.undelivered), (2, Some(2)));
    assert_eq!(rx.drain(), [0, 1]);
    Ok(())
}

/// A writer that fails at the third write.
struct Disk(u32);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += 1;
        if self.0 == 3 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn write_to_fails_with_the_index() {
    let (ctx, _cancel) = root();
    let error = Flow::of(["a", "b", "c", "d"]).buffer(1).write_to(&ctx, &mut Disk(0)).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("write_to", Some(2)));
    assert_eq!(error.error().map(|e| e.kind()), Some(io::ErrorKind::StorageFull));
}

#[test]
fn a_panic_inside_an_iterator_is_blamed_on_the_stage_that_panicked() {
    let (ctx, _cancel) = root();
    let flow = Flow::range(0..5).map(|n| if n == 3 { throw("three") } else { n }).named("bad");
    let error = flow.with_iter(&ctx, |items| items.sum::<i32>()).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("bad", Some(3)));
    let error = Flow::range(0..5).with_iter(&ctx, |_| -> () { throw("body") }).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("with_iter", None));
}

#[test]
fn an_iterator_over_a_flow_that_fails_gives_the_error() {
    let (ctx, _cancel) = root();
    let flow = Flow::range(0..50).try_map(|n| if n < 9 { Ok(n) } else { Err("nine") }).buffer(4);
    let mut seen = 0;
    let error = flow.with_iter(&ctx, |items| seen = items.count()).unwrap_err();
    assert_eq!(error.error(), Some(&"nine"));
    assert!(seen <= 9);
}

#[test]
fn folds_of_nothing() -> Plain {
    let (ctx, _cancel) = root();
    let none = || Flow::range(0..0u32).buffer(3);
    assert_eq!(none().fold(&ctx, 7, |a, b| a + b)?, 7);
    assert_eq!((none().min(&ctx)?, none().max(&ctx)?, none().count(&ctx)?), (None, None, 0));
    assert_eq!(none().reduce(&ctx, |a, _| a)?, None);
    assert!(none().all(&ctx, |_| false)? && none().none(&ctx, |_| true)?);
    assert!(!none().any(&ctx, |_| true)?);
    let even = Flow::range(0..9).flat_map(|n| (0..n).map(move |m| (n, m)));
    assert_eq!(even.max_by_key(&ctx, |(n, _)| n % 3)?, Some((8, 7)));
    Ok(())
}
