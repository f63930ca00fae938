//! Servers that only look like NATS: they hang up, do not read, or say what cannot be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ironsys::Stop;
use ironsys::brokers::nats::{Client, JetStreamPublisher, JetStreamSource, NatsError, Options};
use ironsys::durable::{Outbox, PublishError, Publisher, Source};

use crate::{PATIENCE, root, until};

/// A server that treats every connection so; returns its address, and the count of connections.
fn liar(treat: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> (Options, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options::new([listener.local_addr().unwrap().to_string()]).unwrap();
    let (count, treat) = (Arc::new(AtomicU64::new(0)), Arc::new(treat));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (n, treat) = (counted.fetch_add(1, SeqCst), treat.clone());
            std::thread::spawn(move || treat(stream, n));
        }
    });
    (options, count)
}

/// Lets a client in; returns what it sends from then on.
fn let_in(stream: &mut TcpStream) -> BufReader<TcpStream> {
    let _ = stream.write_all(b"INFO {\"max_payload\":1048576}\r\n");
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    line_with(&mut reader, "PING");
    let _ = stream.write_all(b"PONG\r\n");
    reader
}

/// Reads up to a line that begins so; an empty one at the end of all.
fn line_with(reader: &mut impl BufRead, start: &str) -> String {
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 0) && !line.starts_with(start) {
        line.clear();
    }
    line
}

/// Says that there is the consumer that is asked for.
fn make_consumer(stream: &mut TcpStream, reader: &mut impl BufRead) {
    let asked = line_with(reader, "PUB $JS.API.CONSUMER.");
    let reply = asked.split(' ').nth(2).unwrap_or_default();
    let _ = stream.write_all(format!("MSG {reply} 1 2\r\n{{}}\r\n").as_bytes());
}

/// Waits for a pull, and returns what so many messages look like on its way.
fn pulled(reader: &mut impl BufRead, count: usize) -> String {
    let asked = line_with(reader, "PUB $JS.API.CONSUMER.MSG.NEXT.");
    let to = asked.split(' ').nth(2).unwrap_or_default().to_owned();
    let message = |n| format!("MSG {to} 2 $JS.ACK.S.d.1.{n}.{n}.0.0 1\r\nx\r\n");
    (0..count).map(message).collect()
}

/// Keeps a connection until the other side ends it.
fn hold(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

#[test]
fn a_size_that_cannot_be_is_no_panic_without_a_limit() {
    let (options, _) = liar(|mut stream, _| {
        let_in(&mut stream);
        let _ = stream.write_all(b"MSG a 2 18446744073709551615\r\nabc\r\n");
        hold(stream);
    });
    let (ctx, _cancel) = root();
    let mut client = Client::connect(&ctx, options.max_payload(usize::MAX)).unwrap();
    let all = client.subscribe("a").unwrap();
    let late = client.next(&ctx.with_timeout(Duration::from_millis(50)), &all).unwrap_err();
    assert_eq!(late.stop(), Some(&Stop::DeadlineExceeded));
}

#[test]
fn a_server_that_lets_one_in_and_hangs_up_is_not_asked_all_the_time() {
    let (options, count) = liar(|mut stream, n| {
        let mut reader = let_in(&mut stream);
        if n == 0 {
            make_consumer(&mut stream, &mut reader);
        }
    });
    let (ctx, _cancel) = root();
    let mut source = JetStreamSource::open(&ctx, options, "S", "d").unwrap();
    let stopped = source.recv(&ctx.with_timeout(Duration::from_millis(500)));
    assert!(stopped.is_err());
    // The delays grow from 20 ms on, with some dice.
    assert!(count.load(SeqCst) < 60, "{} connections", count.load(SeqCst));
}

#[test]
fn what_goes_back_on_a_new_connection_is_not_sent_there() {
    let (tell, heard) = std::sync::mpsc::channel();
    let (options, _) = liar(move |mut stream, n| {
        if n == 0 {
            let mut reader = let_in(&mut stream);
            make_consumer(&mut stream, &mut reader);
            let two = pulled(&mut reader, 2);
            let _ = stream.write_all(two.as_bytes());
            return; // One of them is here, and not received, as the connection breaks.
        }
        let _ = stream.write_all(b"INFO {\"max_payload\":1048576}\r\n");
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            if line == "PING" {
                let _ = stream.write_all(b"PONG\r\n");
            }
            let _ = tell.send(line);
        }
    });
    let (ctx, _cancel) = root();
    let mut source = JetStreamSource::open(&ctx, options, "S", "d").unwrap();
    assert_eq!(source.recv(&ctx).unwrap().unwrap().body, b"x");
    drop(source);
    let next = || heard.recv_timeout(PATIENCE).ok().filter(|line| !line.starts_with("-NAK"));
    let said: Vec<String> = std::iter::from_fn(next).collect();
    assert!(said.iter().any(|line| line.starts_with("PUB $JS.ACK.S.d.1.1.")), "{said:?}");
    assert!(!said.iter().any(|line| line.starts_with("SUB _PULL.")), "{said:?}");
}

/// It takes the 12 s after which a source no longer believes in the heartbeats that it has asked for.
#[test]
fn a_server_that_forgets_what_it_was_asked_for_is_asked_again() {
    let (options, _) = liar(|mut stream, _| {
        let mut reader = let_in(&mut stream);
        make_consumer(&mut stream, &mut reader);
        pulled(&mut reader, 0);
        let one = pulled(&mut reader, 1);
        let _ = stream.write_all(one.as_bytes());
        hold(stream);
    });
    let (ctx, _cancel) = root();
    let mut source = JetStreamSource::open(&ctx, options, "S", "d").unwrap();
    assert_eq!(source.recv(&ctx).unwrap().unwrap().body, b"x");
}

#[test]
fn who_publishes_does_not_wait_and_a_flush_ends_with_its_context() {
    let (options, _) = liar(|mut stream, _| {
        let _reader = let_in(&mut stream);
        loop {
            std::thread::park(); // It reads no more.
        }
    });
    let (ctx, _cancel) = root();
    let mut client =
        Client::connect(&ctx, options.connect_timeout(Duration::from_secs(60))).unwrap();
    let body = vec![0; 1_000_000];
    let began = Instant::now();
    let mut published = 0;
    let full = loop {
        match client.publish("a", &body) {
            Ok(()) => published += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(full, NatsError::Misused(_)) && published == 9, "{full} after {published}");
    let late = client.flush(&ctx.with_timeout(Duration::from_millis(50))).unwrap_err();
    assert_eq!(late.stop(), Some(&Stop::DeadlineExceeded), "{late}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_host_that_does_not_answer_holds_nobody_up() {
    // A listener that nobody accepts from: what comes when its queue is full gets no answer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
    }
    let options = Options::new([address.to_string()]).unwrap();
    let options = options.connect_timeout(Duration::from_secs(60));
    let (ctx, _cancel) = root();
    let (child, cancel) = ctx.with_cancel();
    let began = Instant::now();
    let error = std::thread::scope(|s| {
        let waits = s.spawn(|| Client::connect(&child, options.clone()).unwrap_err());
        until("it connects", || child.linked().0 > 0);
        cancel.cancel_with("enough");
        waits.join().unwrap()
    });
    assert!(error.stop().is_some_and(|stop| stop.to_string().contains("enough")), "{error}");
    let late = Client::connect(&ctx.with_timeout(Duration::from_millis(50)), options).unwrap_err();
    assert_eq!(late.stop(), Some(&Stop::DeadlineExceeded), "{late}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_is_late_is_not_the_callers_deadline() {
    let (silent, _) = liar(|stream, _| hold(stream));
    let (good, _) = liar(|mut stream, _| {
        let_in(&mut stream);
        hold(stream);
    });
    let (ctx, _cancel) = root();
    let servers = silent.servers().iter().chain(good.servers());
    let both = Options::new(servers).unwrap().connect_timeout(Duration::from_millis(300));
    assert_eq!(Client::connect(&ctx, both).unwrap().connects(), 1);
}

#[test]
fn a_subject_that_is_none_makes_no_dead_letter() {
    let (options, _) = liar(|mut stream, _| {
        let mut reader = let_in(&mut stream);
        let _ = reader.read_to_end(&mut Vec::new());
    });
    let (ctx, _cancel) = root();
    let mut publisher = JetStreamPublisher::new(options, "no subject", "shop");
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    outbox.append(&ctx, b"x").unwrap();
    let event = outbox.reader("r").unwrap().try_next().unwrap().unwrap();
    assert!(matches!(publisher.send(&ctx, &event), Err(PublishError::Down(_))));
}
