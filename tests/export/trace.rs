//! Files for a trace viewer, read back.

use crate::{ms, until};
use ironsys::export::trace::{Spans, Tracer};
use ironsys::observe::{Registry, WaitKind};
use ironsys::{Context, Stop, channel, scope};
use serde_json::Value;
use std::io;

/// The events of the file, after a look at what every viewer wants of them.
fn events(tracer: &Tracer) -> Vec<Value> {
    let mut file = Vec::new();
    let written = tracer.write(&mut file).unwrap();
    let whole: Value = serde_json::from_slice(&file).unwrap();
    let events = whole["traceEvents"].as_array().unwrap().clone();
    let bars = events.iter().filter(|e| e["ph"] == "X").count();
    assert_eq!(bars, written.bars);
    for event in &events {
        assert!(event["tid"].is_u64() && event["pid"].is_u64() && event["name"].is_string());
        match event["ph"].as_str().unwrap() {
            "M" => assert!(event["args"]["name"].is_string()),
            "X" => assert!(event["ts"].is_number() && event["dur"].as_f64().unwrap() >= 0.0),
            other => panic!("{other}"),
        }
    }
    events
}

fn named<'a>(events: &'a [Value], name: &str) -> &'a Value {
    events.iter().find(|e| e["name"] == name).unwrap_or_else(|| panic!("no {name}: {events:#?}"))
}

/// Beginning and end in nanoseconds.
fn time(event: &Value) -> (u64, u64) {
    let nanos = |key: &str| (event[key].as_f64().unwrap() * 1000.0).round() as u64;
    (nanos("ts"), nanos("ts") + nanos("dur"))
}

fn is_inside(inner: &Value, outer: &Value) -> bool {
    let ((from, to), (first, last)) = (time(inner), time(outer));
    inner["tid"] == outer["tid"] && first <= from && to <= last
}

#[test]
fn spans_nest_and_say_where_they_are_from() {
    let tracer = Tracer::new(100);
    let (ctx, _cancel) = Context::builder().value(tracer.clone()).build();
    let hostile = "a\"b\\c\n\u{0}é";
    {
        let _outer = ctx.span("outer");
        let child = ctx.with_timeout(ms(1000)); // Carries it on.
        let _inner = child.span(hostile.to_owned());
    }
    let events = events(&tracer);
    let (outer, inner) = (named(&events, "outer"), named(&events, hostile));
    assert!(is_inside(inner, outer), "{events:#?}");
    assert_eq!(outer["cat"], "span");
    assert!(outer["args"]["at"].as_str().unwrap().contains("trace.rs:"));
    let thread = events.iter().find(|e| e["ph"] == "M").unwrap();
    assert_eq!(thread["tid"], outer["tid"]);
    assert!(thread["args"]["name"].as_str().unwrap().contains("spans_nest"));
}

#[test]
fn without_a_tracer_a_span_is_nothing() {
    let (ctx, _cancel) = Context::root();
    assert_eq!(format!("{:?}", ctx.span("x")), "Span { name: None, .. }");
}

#[test]
fn the_last_bars_are_kept_and_the_others_counted() {
    let tracer = Tracer::new(3);
    let (ctx, _cancel) = Context::builder().value(tracer.clone()).build();
    (0..10).for_each(|i| drop(ctx.span(i.to_string())));
    let written = tracer.write(&mut io::sink()).unwrap();
    assert_eq!((written.bars, written.dropped), (3, 7));
    let events = events(&tracer);
    let names: Vec<&str> =
        events.iter().filter(|e| e["ph"] == "X").map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["7", "8", "9"]);
}

#[test]
fn tasks_and_waits_are_bars_on_the_track_of_their_thread() {
    let registry = Registry::new();
    let tracer = Tracer::new(100);
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    let (tx, rx) = channel::builder::<u32>(1).name("pages").build().unwrap();
    scope::options()
        .name("whole")
        .run(&ctx, |s| {
            let _ = s
                .named("reader")
                .spawn(|ctx| rx.recv(ctx).map(drop).map_err(|_| ctx.check().unwrap_err()));
            let waits = || {
                registry
                    .tasks()
                    .as_slice()
                    .iter()
                    .any(|t| t.waiting.as_ref().is_some_and(|w| w.on == WaitKind::Recv))
            };
            until(waits);
            tracer.look(&registry);
            let events = events(&tracer); // What goes on is in it, too.
            assert!(is_inside(named(&events, "recv pages"), named(&events, "task reader")));
            tx.try_send(1).unwrap();
            Ok::<_, Stop>(())
        })
        .unwrap();
    tracer.look(&registry);
    let events = events(&tracer);
    let (task, wait) = (named(&events, "task reader"), named(&events, "recv pages"));
    assert!(is_inside(wait, task), "{events:#?}");
    assert_eq!((&task["cat"], &wait["cat"]), (&"task".into(), &"wait".into()));
    assert_eq!(events.iter().filter(|e| e["ph"] == "X").count(), 3);
    let (scope, task) = (time(named(&events, "scope whole")), time(task));
    assert!(scope.0 <= task.0 && task.0 < task.1, "{events:#?}");
}

/// Whatever the looks meet: on one track no two bars cross.
#[test]
fn bars_of_a_thread_do_not_cross() {
    let registry = Registry::new();
    let tracer = Tracer::new(100_000);
    let builder = Context::builder().registry(registry.clone()).value(tracer.clone());
    let (ctx, _cancel) = builder.build();
    let (tx, rx) = channel::bounded::<u32>(1);
    scope(&ctx, |s| {
        s.daemon(|_| {
            // Looks as fast as they go.
            for _ in 0..2000 {
                tracer.look(&registry);
            }
            Ok::<_, Stop>(())
        });
        for i in 0..200 {
            let (tx, rx) = (tx.clone(), rx.clone());
            let _ = s.named(format!("t{i}")).spawn(move |ctx| {
                let _span = ctx.span("work");
                tx.send(ctx, i).map_err(|_| ctx.check().unwrap_err())?;
                scope(ctx, |s| {
                    let child = s.named("child").spawn(|_| Ok::<_, Stop>(()));
                    child.join(ctx)
                })?;
                rx.recv(ctx).map(drop).map_err(|_| ctx.check().unwrap_err())
            });
        }
        Ok(())
    })
    .unwrap();
    tracer.look(&registry);
    let events = events(&tracer);
    let bars: Vec<&Value> = events.iter().filter(|e| e["ph"] == "X").collect();
    assert!(bars.len() >= 200, "{}", bars.len());
    for (i, a) in bars.iter().enumerate() {
        for b in &bars[..i] {
            let ((a0, a1), (b0, b1)) = (time(a), time(b));
            let apart = a["tid"] != b["tid"] || a1 <= b0 || b1 <= a0;
            assert!(apart || is_inside(a, b) || is_inside(b, a), "{a:#} crosses {b:#}");
        }
    }
}

/// A writer that takes so many bytes.
struct Short {
    room: usize,
    flushes: bool,
}

impl io::Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room < bytes.len() {
            return Err(io::Error::other("the disk is full"));
        }
        self.room -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.flushes { Ok(()) } else { Err(io::Error::other("the disk is gone")) }
    }
}

#[test]
fn an_error_of_the_writer_is_returned_and_nothing_is_lost_by_it() {
    let tracer = Tracer::new(100);
    let (ctx, _cancel) = Context::builder().value(tracer.clone()).build();
    drop(ctx.span("kept"));
    for room in [0, 20, 80] {
        let error = tracer.write(&mut Short { room, flushes: true }).unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");
    }
    let error = tracer.write(&mut Short { room: 1 << 20, flushes: false }).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    named(&events(&tracer), "kept");
}

#[test]
fn a_watch_looks_by_itself() {
    let registry = Registry::new();
    let tracer = Tracer::new(100);
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    let watch = tracer.watch(&ctx, ms(1)).unwrap();
    until(|| tracer.write(&mut io::sink()).unwrap().bars > 0);
    named(&events(&tracer), "worker trace-watch");
    drop(watch);
}
