//! Scale-out over JetStream: two processes share one durable consumer.

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use ironsys::brokers::nats::{JetStreamSource, Options};
use ironsys::durable::{Consumer, Delivery};

use crate::members::{handle, member, one_is_killed_and_the_other_takes_over};
use crate::nats::{server, stream};
use crate::root;

const URL: &str = "IRONSYS_TEST_NATS";
const TOTAL: u64 = 300;

/// Not a test by itself: what each of the two processes does.
#[test]
fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let (ctx, _cancel) = root();
    let at = Options::new([url]).unwrap();
    let wait = Duration::from_secs(2);
    let source = JetStreamSource::open_with(&ctx, at, "S", "all", wait).unwrap().batch(8);
    let consumer = Consumer::builder().workers(2).key_by(|m: &Delivery| m.id.clone());
    let consumer = consumer.in_flight(8).build().unwrap();
    let ran = consumer.run(&ctx, source, |_, m| {
        handle(String::from_utf8_lossy(&m.id).parse().unwrap());
        Ok::<_, Infallible>(())
    });
    panic!("it ended: {ran:?}");
}

#[test]
fn of_two_processes_on_one_durable_consumer_one_is_killed_and_nothing_is_lost() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut jetstream = stream(&ctx, &server);
    for id in 1..=TOTAL {
        jetstream.publish(&ctx, "s.a", &id.to_string(), b"x").unwrap();
    }
    let commands = [(); 2].map(|()| {
        let mut command = member("takeover::child");
        command.env(URL, format!("nats://127.0.0.1:{}", server.port));
        command
    });
    let again = one_is_killed_and_the_other_takes_over(commands, TOTAL, || {
        let client = jetstream.client();
        let info = client.request(&ctx, "$JS.API.CONSUMER.INFO.S.all", b"").unwrap();
        let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
        info["num_pending"] == 0 && info["num_ack_pending"] == 0
    });
    writeln!(std::io::stderr(), "{TOTAL} messages, {again} of them handled twice").unwrap();
}
