//! Laws: what holds for every source, operator and sink, one table row each.
//!
//! A row of [`table`] is put through every law: an error or a panic before it ([`fails`]), a cancel while
//! what stands before it waits and while what stands after it does ([`stops`]), its own closure failing
//! ([`closures`]), and a model on a `Vec` ([`model`], [`sinks`]). [`census`] fails if a public function
//! has no row.

mod census;
mod closures;
mod fails;
mod model;
mod sinks;
mod stops;
mod table;

use ironsys::flow::{Fails, Flow, FlowError, Stage};
use ironsys::{Context, observe, scope};
use std::fmt::Debug;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How long a law may take; each runs in milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a law; one that hangs says what everybody does and ends the process.
pub(crate) fn watched<R>(name: &str, law: impl FnOnce() -> R) -> R {
    let (done, waits) = mpsc::channel::<()>();
    let name = name.to_owned();
    let watch = std::thread::spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let tasks = observe::tasks();
            let _ = writeln!(std::io::stderr(), "{name} hangs, so the run ends here:\n{tasks}");
            std::process::exit(101);
        }
    });
    let out = std::panic::catch_unwind(std::panic::AssertUnwindSafe(law));
    drop(done);
    watch.join().unwrap();
    out.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// How many calls of user code are running now.
#[derive(Default)]
pub(crate) struct Inside(AtomicUsize);

impl Inside {
    fn enter(&self) -> impl Drop + '_ {
        struct Leave<'a>(&'a Inside);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        Leave(self)
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// So many items a source of a law gives before it waits to be stopped.
const FED: u32 = 200;

/// `0..FED`, then says that it waits and does so; stopped, it goes on for ever.
fn feed<'a>(
    inside: &'a Inside,
    waits: &'a mpsc::Sender<()>,
) -> Flow<impl Stage<Item = u32, Fault = Fails<&'static str>> + 'a> {
    let mut next = 0;
    let waits = waits.clone();
    Flow::generate(move |ctx: &Context| {
        let _here = inside.enter();
        if next == FED {
            let _ = waits.send(());
            ctx.wait_stopped();
        }
        next += 1;
        Ok(Some(next - 1))
    })
}

/// Runs `run` on a thread of its own and cancels it once it has said that it waits: then it must return
/// at once, with the stop, and leave nothing behind.
fn cancelled_while_it_waits<T: Debug + Send>(
    run: impl FnOnce(&Context, &Inside, &mpsc::Sender<()>) -> Result<T, FlowError<&'static str>> + Send,
) {
    let (ctx, cancel) = crate::root();
    let (free, _keep) = crate::root();
    let inside = Inside::default();
    let (waits, waiting) = mpsc::channel();
    scope(&free, |s| {
        let (theirs, inside) = (ctx.clone(), &inside);
        let run = s.spawn(move |_| Ok::<_, ironsys::Stop>(run(&theirs, inside, &waits)));
        waiting.recv_timeout(PATIENCE).expect("it never came to wait");
        cancel.cancel();
        let error = run.join(&free)?.expect_err("it was cancelled");
        assert!(error.is_cancelled(), "{error:?}");
        Ok(())
    })
    .unwrap();
    assert_eq!(inside.now(), 0, "somebody still runs");
    assert_eq!(ctx.linked(), (0, 0), "somebody is still linked");
}
