//! NATS and JetStream.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ironsys::brokers::nats::{
    Client, JetStream, JetStreamPublisher, JetStreamSource, NatsError, Options,
};
use ironsys::durable::{Consumer, Outbox, Source};
use ironsys::schedule::Backoff;
use ironsys::{Context, Stop};

use crate::{PATIENCE, Server, free_port, root, until};

pub(crate) fn server(more: &'static [&'static str]) -> Option<Server> {
    Server::start(move |port, dir| {
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(dir);
        command.args(more);
        command
    })
}

fn options(server: &Server) -> Options {
    Options::new([format!("nats://127.0.0.1:{}", server.port)]).unwrap()
}

/// A stream `S` for subjects below `s`.
pub(crate) fn stream(ctx: &Context, server: &Server) -> JetStream {
    let mut jetstream = JetStream::connect(ctx, options(server)).unwrap();
    jetstream.ensure_stream(ctx, "S", &["s.>"]).unwrap();
    jetstream
}

#[test]
fn what_is_published_reaches_who_has_subscribed_and_requests_are_answered() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut a = Client::connect(&ctx, options(&server)).unwrap();
    let mut b = Client::connect(&ctx, options(&server)).unwrap();
    let news = a.subscribe("news.*").unwrap();
    a.flush(&ctx).unwrap();
    let large = vec![7; 500_000];
    b.send("news.x", Some("back"), &[("Kind", "large")], &large).unwrap();
    b.publish("other", b"not for a").unwrap();
    b.flush(&ctx).unwrap();
    let message = a.next(&ctx, &news).unwrap();
    assert_eq!((message.header("kind"), message.reply.as_deref()), (Some("large"), Some("back")));
    assert!(message.payload == large && message.subject == "news.x");

    let questions = a.subscribe_in("question", "group").unwrap();
    a.flush(&ctx).unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            let question = a.next(&ctx, &questions).unwrap();
            a.publish(&question.reply.unwrap(), &question.payload.repeat(2)).unwrap();
            a.flush(&ctx).unwrap();
        });
        assert_eq!(b.request(&ctx, "question", b"ab").unwrap().payload, b"abab");
    });
    let nobody = b.request(&ctx, "nobody.there", b"").unwrap_err();
    assert!(matches!(nobody, NatsError::NoResponders { .. }), "{nobody}");
    for bad in ["", "a b", "a..b", ".a", "a\r\nPUB x 0"] {
        assert!(matches!(b.publish(bad, b""), Err(NatsError::Misused(_))), "{bad:?}");
    }
    assert!(b.send("a", None, &[("x\r\ny", "z")], b"").is_err());
    assert!(matches!(b.publish("a", &vec![0; 2_000_000]), Err(NatsError::Misused(_))));
}

#[test]
fn every_wait_ends_with_its_context_and_a_deadline_leaves_the_connection() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut client = Client::connect(&ctx, options(&server)).unwrap();
    let never = client.subscribe("never").unwrap();
    let late = client.next(&ctx.with_timeout(Duration::from_millis(20)), &never).unwrap_err();
    assert_eq!(late.stop(), Some(&Stop::DeadlineExceeded));
    assert_eq!(client.connects(), 1);
    client.publish("never", b"after all").unwrap();
    assert_eq!(client.next(&ctx, &never).unwrap().payload, b"after all");
    let (child, cancel) = ctx.with_cancel();
    let cancelled = std::thread::scope(|s| {
        let waits = s.spawn(|| client.next(&child, &never).unwrap_err());
        until("it waits", || child.linked().1 > 0);
        cancel.cancel_with("enough");
        waits.join().unwrap()
    });
    assert!(cancelled.stop().is_some_and(|stop| stop.to_string().contains("enough")));
    // A new connection is made, and the subscription with it.
    client.publish("never", b"again").unwrap();
    assert_eq!(client.next(&ctx, &never).unwrap().payload, b"again");

    // Nobody listens there: it tries for as long as it may.
    let nowhere = Options::new([format!("127.0.0.1:{}", free_port())]).unwrap();
    let error = Client::connect(&ctx.with_timeout(Duration::from_millis(50)), nowhere).unwrap_err();
    assert_eq!(error.stop(), Some(&Stop::DeadlineExceeded));
}

#[test]
fn who_one_is_is_shown_by_token_user_or_nkey() {
    let (ctx, _cancel) = root();
    let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    let Some(by_token) = server(&["--auth", "secret"]) else { return };
    let by_user = server(&["--user", "ada", "--pass", "figs"]).unwrap();
    let by_nkey = Server::start(|port, dir| {
        let config = dir.join("nats.conf");
        let user = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
        let text = format!("authorization {{ users: [ {{ nkey: {user} }} ] }}");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"]).arg(config);
        command
    });
    let by_nkey = by_nkey.unwrap();
    let in_url = |server: &Server, who: &str| {
        Options::new([format!("nats://{who}@127.0.0.1:{}", server.port)]).unwrap()
    };
    for good in [
        options(&by_token).token("secret"),
        in_url(&by_token, "secret"),
        options(&by_user).user("ada", "figs"),
        in_url(&by_user, "ada:figs"),
        options(&by_nkey).nkey(seed).unwrap().name("nkey"),
    ] {
        let mut client =
            Client::connect(&ctx, good.clone()).unwrap_or_else(|e| panic!("{e}: {good:?}"));
        client.flush(&ctx).unwrap();
    }
    let other = "SUAMK2FG4MI6UE3ACF3FK3OIQBCEIEZV7NSWFFEW63UXMRLFM2XLAXK4GY";
    for bad in [
        options(&by_token),
        options(&by_token).token("wrong"),
        options(&by_user).user("ada", "plums"),
        options(&by_nkey),
        options(&by_nkey).nkey(other).unwrap(),
    ] {
        assert!(!format!("{bad:?}").contains("plums"));
        let error = Client::connect(&ctx, bad).unwrap_err();
        assert!(matches!(error, NatsError::Refused { .. }), "{error}");
    }
    assert_eq!(options(&by_nkey).nkey("SUA").unwrap_err().field(), "nkey");
}

#[test]
fn tls_shows_the_server_and_hides_what_is_said() {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, pem) = (key.cert.der().clone(), key.cert.pem());
    let secret = key.signing_key.serialize_pem();
    let server = Server::start(move |port, dir| {
        std::fs::write(dir.join("cert.pem"), &pem).unwrap();
        std::fs::write(dir.join("key.pem"), &secret).unwrap();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "--tls", "--tlscert"]);
        command.arg(dir.join("cert.pem")).arg("--tlskey").arg(dir.join("key.pem"));
        command
    });
    let Some(server) = server else { return };
    let (ctx, _cancel) = root();
    let trusting = |roots: rustls::RootCertStore| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Options::new([format!("tls://127.0.0.1:{}", server.port)]).unwrap().tls(Arc::new(config))
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).unwrap();
    let mut client = Client::connect(&ctx, trusting(roots)).unwrap();
    let news = client.subscribe("news").unwrap();
    client.publish("news", &vec![1; 300_000]).unwrap();
    assert_eq!(client.next(&ctx, &news).unwrap().payload.len(), 300_000);
    // Whom nobody vouches for is not talked to.
    let short = ctx.with_timeout(Duration::from_millis(300));
    let error = Client::connect(&short, trusting(rustls::RootCertStore::empty())).unwrap_err();
    assert!(!matches!(error, NatsError::Refused { .. }), "{error}");
    assert_eq!(error.stop(), Some(&Stop::DeadlineExceeded));
}

#[test]
fn a_server_that_talks_nonsense_is_an_error() {
    let (ctx, _cancel) = root();
    for nonsense in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"INFO {not json}\r\n",
        b"+OK\r\n",
        b"-ERR 'Authorization Violation'\r\n",
        b"INFO {}\r\nMSG a 1 99999999999\r\n",
        b"INFO {}\r\n\xff\xfe\r\n",
        &[b'x'; 100_000],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = Options::new([listener.local_addr().unwrap().to_string()]).unwrap();
        let talks = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(nonsense);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = Client::connect(&ctx, at).unwrap_err();
        let known = matches!(error, NatsError::Protocol { .. } | NatsError::Refused { .. });
        assert!(known, "{error}");
        talks.join().unwrap();
    }
}

#[test]
fn a_stream_drops_what_it_has_had() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut jetstream = stream(&ctx, &server);
    jetstream.ensure_stream(&ctx, "S", &["s.>"]).unwrap(); // it is there
    assert_eq!(jetstream.publish(&ctx, "s.a", "1", b"x").unwrap(), (1, true));
    assert_eq!(jetstream.publish(&ctx, "s.a", "1", b"x").unwrap(), (1, false));
    assert_eq!(jetstream.publish(&ctx, "s.a", "2", b"x").unwrap(), (2, true));
    assert_eq!(jetstream.len(&ctx, "S").unwrap(), 2);
    let none = jetstream.publish(&ctx, "elsewhere", "3", b"x").unwrap_err();
    assert!(matches!(none, NatsError::NoResponders { .. }), "{none}");
    let bad = jetstream.ensure_stream(&ctx, "T", &["s.>"]).unwrap_err();
    assert!(matches!(bad, NatsError::JetStream { .. }), "{bad}");
}

/// Everything that a consumer of that name still gets, in order, by body.
fn rest(ctx: &Context, server: &Server, durable: &str, count: usize) -> Vec<String> {
    let mut source = JetStreamSource::open(ctx, options(server), "S", durable).unwrap();
    let next = |_| String::from_utf8(source.recv(ctx).unwrap().unwrap().body).unwrap();
    (0..count).map(next).collect()
}

#[test]
fn a_relay_loses_nothing_and_keeps_the_order_while_the_server_is_killed() {
    let Some(mut server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut jetstream = stream(&ctx, &server);
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    let publisher = JetStreamPublisher::new(options(&server), "s.all", "test");
    let quick = Backoff::exponential(Duration::from_millis(5)).max_delay(Duration::from_millis(50));
    let relay = outbox.relay(publisher).backoff(quick).start(&ctx).unwrap();
    for round in 0..3 {
        let events = (0..500).map(|n| format!("{}", round * 500 + n));
        outbox.append_many(&ctx, events).unwrap();
        if round < 2 {
            until("some have been sent", || relay.stats().ledger.done > round * 500);
            server.kill();
            outbox.append(&ctx, format!("down {round}").as_bytes()).unwrap();
            assert!(server.run());
        }
    }
    let report = relay.drain(&ctx);
    assert!(report.error.is_none() && report.stats.ledger.done == 1_502, "{report:?}");
    assert_eq!(outbox.len(), 0);
    jetstream.client().disconnect(); // its own connection was killed, too
    assert_eq!(jetstream.len(&ctx, "S").unwrap(), 1_502);
    let mut expected: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    expected.push("down 0".into());
    expected.extend((500..1_000).map(|n| n.to_string()));
    expected.push("down 1".into());
    expected.extend((1_000..1_500).map(|n| n.to_string()));
    assert_eq!(rest(&ctx, &server, "all", 1_502), expected);
}

#[test]
fn what_a_server_will_not_take_is_a_dead_letter_and_the_rest_goes_on() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let _jetstream = stream(&ctx, &server);
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path().join("events")).unwrap();
    let letters = Outbox::open(dir.path().join("dead")).unwrap();
    let letters = ironsys::durable::DeadLetters::new(letters);
    let publisher = JetStreamPublisher::new(options(&server), "s.all", "test");
    let quick = Backoff::exponential(Duration::from_millis(1));
    let relay = outbox.relay(publisher).backoff(quick).dead_letters(&letters).start(&ctx).unwrap();
    outbox.append(&ctx, &vec![0; 1_100_000]).unwrap();
    outbox.append(&ctx, b"small").unwrap();
    let report = relay.drain(&ctx);
    assert!(report.error.is_none(), "{report:?}");
    assert_eq!((report.stats.ledger.done, report.stats.ledger.dropped), (1, 1));
    assert_eq!(letters.len(), 1);
}

#[test]
fn a_consumer_acks_in_order_and_goes_on_while_the_server_is_killed() {
    let Some(mut server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut jetstream = stream(&ctx, &server);
    for n in 0..300 {
        jetstream.publish(&ctx, &format!("s.{}", n % 7), &n.to_string(), b"x").unwrap();
    }
    let (child, stop) = ctx.with_cancel();
    let (seen, count) = (Mutex::new(BTreeSet::new()), AtomicU64::new(0));
    std::thread::scope(|s| {
        let source =
            JetStreamSource::open_with(&ctx, options(&server), "S", "all", Duration::from_secs(2));
        let source = source.unwrap();
        let runs = s.spawn(|| {
            let consumer = Consumer::builder().workers(4).build().unwrap();
            consumer.run(&child, source, |_, delivery| {
                count.fetch_add(1, SeqCst);
                seen.lock().unwrap().insert(String::from_utf8(delivery.id.clone()).unwrap());
                Ok::<_, std::convert::Infallible>(())
            })
        });
        until("some are seen", || count.load(SeqCst) > 50);
        server.kill();
        assert!(server.run());
        jetstream.client().disconnect();
        for n in 300..400 {
            jetstream.publish(&ctx, "s.late", &n.to_string(), b"x").unwrap();
        }
        until("all are seen", || seen.lock().unwrap().len() == 400);
        stop.cancel_with("enough");
        let _ = runs.join().unwrap();
    });
}

#[test]
fn a_batch_may_be_of_any_size() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut jetstream = stream(&ctx, &server);
    jetstream.publish(&ctx, "s.a", "1", b"x").unwrap();
    for (batch, durable) in [(0, "a"), (usize::MAX, "b")] {
        let source = JetStreamSource::open(&ctx, options(&server), "S", durable).unwrap();
        let delivery = source.batch(batch).recv(&ctx.with_timeout(PATIENCE)).unwrap();
        assert_eq!(delivery.unwrap().body, b"x");
    }
}

#[test]
fn what_is_in_flight_when_a_consumer_ends_goes_to_the_next() {
    let Some(server) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let mut jetstream = stream(&ctx, &server);
    for n in 0..20 {
        jetstream.publish(&ctx, "s.a", &n.to_string(), n.to_string().as_bytes()).unwrap();
    }
    let (child, stop) = ctx.with_cancel();
    let done = Mutex::new(BTreeSet::new());
    std::thread::scope(|s| {
        let source = JetStreamSource::open(&ctx, options(&server), "S", "all").unwrap();
        s.spawn(|| {
            let consumer = Consumer::builder().workers(1).in_flight(4).build().unwrap();
            let ran = consumer.run(&child, source, |ctx, delivery| {
                let n: u64 = String::from_utf8_lossy(&delivery.body).parse().unwrap();
                if n >= 5 {
                    stop.cancel_with("at the fifth");
                    return Err(ctx.wait_stopped());
                }
                done.lock().unwrap().insert(n);
                Ok::<_, Stop>(())
            });
            assert!(ran.is_err(), "{ran:?}");
        });
    });
    assert_eq!(done.lock().unwrap().len(), 5);
    // Long before the 30 s after which the server would notice by itself.
    let began = Instant::now();
    let mut next = JetStreamSource::open(&ctx, options(&server), "S", "all").unwrap();
    let mut left = BTreeSet::new();
    while left.len() < 15 {
        let body = next.recv(&ctx).unwrap().unwrap().body;
        let n: u64 = String::from_utf8(body).unwrap().parse().unwrap();
        if n >= 5 {
            left.insert(n);
        }
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn of_several_servers_any_will_do() {
    let (Some(a), Some(mut b)) = (server(&[]), server(&[])) else { return };
    let (ctx, _cancel) = root();
    let both = [free_port(), b.port, a.port].map(|port| format!("nats://127.0.0.1:{port}"));
    let mut client = Client::connect(&ctx, Options::new(both).unwrap()).unwrap();
    let news = client.subscribe("news").unwrap();
    b.kill();
    let error = client.next(&ctx, &news).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    client.publish("news", b"from a").unwrap();
    assert_eq!(client.next(&ctx, &news).unwrap().payload, b"from a");
    assert_eq!(client.connects(), 2);
}
