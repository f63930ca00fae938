//! The HTTP front of the example `ironsys`, under wrk with 64 connections that stay open.

use std::error::Error;
use std::process::Command;

use crate::harness::{Bar, Case, Row, Settings};
use crate::{versions, web};

pub(super) fn hello(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    hellos("http_hello", settings, true)
}

/// The same with a handler that may wait, as those of the peers may.
pub(super) fn hello_waiting(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    hellos("http_hello_may_wait", settings, false)
}

fn hellos(
    name: &'static str,
    settings: &Settings,
    at_once: bool,
) -> Result<Vec<Row>, Box<dyn Error>> {
    if let Err(error) = Command::new("wrk").arg("-v").output() {
        eprintln!("{name}: NO WRK ({error}): ITS ROWS ARE MISSING.");
        eprintln!("{name}: put wrk on the PATH: apt-get install wrk");
        return Ok(Vec::new());
    }
    let seconds = settings.iterations(3);
    let (ours, khttp, tiny) = (web::ours(at_once)?, web::khttp()?, web::tiny_http()?);
    Ok(Case::new(name, "answers/s, more is better", || web::load(ours, seconds))
        .peer("khttp", versions::KHTTP, Bar::AtLeast(0.8), || web::load(khttp, seconds))
        .peer("tiny_http", versions::TINY_HTTP, Bar::AtLeast(1.5), || web::load(tiny, seconds))
        .measure(settings))
}

pub(super) fn fairness(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let seconds = settings.iterations(2);
    let (ours, khttp, tiny) = (web::ours(true)?, web::khttp()?, web::tiny_http()?);
    Ok(Case::new("http_fairness", "most/least served", || web::unfairness(ours, seconds))
        .absolute(Bar::AtMost(2.0))
        .peer("khttp", versions::KHTTP, Bar::None, || web::unfairness(khttp, seconds))
        .peer("tiny_http", versions::TINY_HTTP, Bar::None, || web::unfairness(tiny, seconds))
        .measure(settings))
}
