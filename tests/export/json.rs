//! The task tree as JSON, read back by somebody else's reader.

use crate::until;
use ironsys::export::json;
use ironsys::observe::{Registry, WaitKind};
use ironsys::{Context, Stop, channel, scope};
use serde_json::Value;

fn read(registry: &Registry) -> Vec<Value> {
    let text = json::tasks(&registry.tasks());
    match serde_json::from_str(&text) {
        Ok(Value::Array(tasks)) => tasks,
        other => panic!("{other:?}: {text}"),
    }
}

#[test]
fn nothing_is_an_empty_list() {
    assert_eq!(read(&Registry::new()), Vec::<Value>::new());
}

#[test]
fn tasks_say_who_they_are_and_what_they_wait_for() {
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    let hostile = "a\"b\\c\n\r\t\u{1}\u{7f}\u{2028}é\u{1f980}</script>";
    let (tx, rx) = channel::builder::<u32>(1).name(hostile).build().unwrap();
    scope(&ctx, |s| {
        let _ = s
            .named(hostile)
            .spawn(|ctx| rx.recv(ctx).map(drop).map_err(|e| e.stop().cloned().unwrap()));
        let waits = |on| {
            registry
                .tasks()
                .as_slice()
                .iter()
                .any(|t| t.waiting.as_ref().is_some_and(|w| w.on == on))
        };
        until(|| waits(WaitKind::Recv));
        let tasks = read(&registry);
        let parent = tasks.iter().find(|task| task["kind"] == "scope").unwrap();
        let task = tasks.iter().find(|task| task["kind"] == "task").unwrap();
        assert_eq!(
            (tasks.len(), &parent["parent"], &parent["name"]),
            (2, &Value::Null, &Value::Null)
        );
        assert_eq!(task["parent"], parent["id"]);
        assert_eq!(task["name"], hostile);
        assert!(task["id"].as_str().unwrap().parse::<u64>().is_ok());
        assert!(task["spawned_at"].as_str().unwrap().contains("json.rs:"));
        assert!(parent["age_seconds"].as_f64().unwrap() >= 0.0);
        assert!(!task["thread"].as_str().unwrap().is_empty());
        assert_eq!(
            (&task["waiting"]["on"], &task["waiting"]["name"]),
            (&"recv".into(), &hostile.into())
        );
        assert!(task["waiting"]["at"].as_str().unwrap().contains("json.rs:"));
        assert!(task["waiting"]["for_seconds"].as_f64().unwrap() >= 0.0);
        assert_eq!(parent["waiting"], Value::Null);
        tx.try_send(1).unwrap();
        Ok::<_, Stop>(())
    })
    .unwrap();
}
