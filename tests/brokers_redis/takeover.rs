//! Scale-out over Redis: two processes are members of one group.

use crate::members::{handle, member, one_is_killed_and_the_other_takes_over};
use crate::{Redis, root};
use ironsys::brokers::redis::{Server, StreamSource};
use ironsys::durable::{Consumer, Delivery};
use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

const URL: &str = "IRONSYS_TEST_REDIS";
const NAME: &str = "IRONSYS_TEST_MEMBER";
const TOTAL: u64 = 300;

/// Not a test by itself: what each of the two processes does.
#[test]
fn child() {
    let (Ok(url), Ok(name)) = (std::env::var(URL), std::env::var(NAME)) else { return };
    let (ctx, _cancel) = root();
    let server = Server::new(url).unwrap();
    let source = StreamSource::builder(&server, "s", "g", name).batch(8);
    let source = source.claim_idle(Duration::from_secs(2)).claim_every(Duration::from_millis(100));
    let consumer = Consumer::builder().workers(2).key_by(|m: &Delivery| m.id.clone());
    let consumer = consumer.in_flight(8).build().unwrap();
    let ran = consumer.run(&ctx, source.build().unwrap(), |_, m| {
        handle(String::from_utf8_lossy(&m.id).parse().unwrap());
        Ok::<_, Infallible>(())
    });
    panic!("it ended: {ran:?}");
}

#[test]
fn of_two_processes_in_one_group_one_is_killed_and_nothing_is_lost() {
    let Some(redis) = Redis::start() else { return };
    crate::source::add(&redis, 1..=TOTAL);
    let commands = ["doomed", "survivor"].map(|name| {
        let mut command = member("takeover::child");
        command.env(URL, redis.url()).env(NAME, name);
        command
    });
    let again =
        one_is_killed_and_the_other_takes_over(commands, TOTAL, || redis.pending("s", "g") == 0);
    writeln!(std::io::stderr(), "{TOTAL} messages, {again} of them handled twice").unwrap();
}
