//! A cluster: servers that tell of others, and what these have to show.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ironsys::Stop;
use ironsys::brokers::nats::{Client, Options};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::nats::server;
use crate::root;

/// Lets one client in, tells it of others, and is gone.
fn passing(urls: &[String], tls: Option<Arc<ServerConfig>>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let info = serde_json::json!({"max_payload": 1000, "connect_urls": urls});
    let serves = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        drop(listener);
        write!(socket, "INFO {info}\r\n").unwrap();
        match tls {
            None => lets_in(socket),
            Some(config) => {
                lets_in(StreamOwned::new(ServerConnection::new(config).unwrap(), socket));
            }
        }
    });
    (port, serves)
}

fn lets_in(stream: impl Read + Write) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("PING") {
        line.clear();
        if stream.read_line(&mut line).map_or(true, |n| n == 0) {
            return; // The client does not like what it was shown.
        }
    }
    let _ = stream.get_mut().write_all(b"PONG\r\n").and_then(|()| stream.get_mut().flush());
}

#[test]
fn who_is_told_of_is_gone_to_when_the_given_are_gone() {
    let Some(real) = server(&[]) else { return };
    let (ctx, _cancel) = root();
    let told = ["no address", "127.0.0.1:1", "127.0.0.1:1"].map(str::to_owned);
    let told = [&told[..], &[format!("127.0.0.1:{}", real.port)]].concat();
    let (given, gone) = passing(&told, None);
    let options = Options::new([format!("127.0.0.1:{given}")]).unwrap();
    let mut client = Client::connect(&ctx, options).unwrap();
    let news = client.subscribe("news").unwrap();
    gone.join().unwrap();
    let error = client.next(&ctx, &news).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    client.publish("news", &vec![b'x'; 2_000]).unwrap_err(); // The first had said 1,000.
    client.publish("news", b"here").unwrap();
    assert_eq!(client.next(&ctx, &news).unwrap().payload, b"here");
    assert_eq!(client.connects(), 2);
}

#[test]
fn who_is_told_of_has_to_show_the_name_of_the_server_that_was_given() {
    let (ctx, _cancel) = root();
    let mut roots = RootCertStore::empty();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let mut config = |name: &str| {
        let key = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        roots.add(key.cert.der().clone()).unwrap();
        let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], secret);
        Arc::new(config.unwrap())
    };
    let (given, other) = (config("127.0.0.1"), config("localhost"));
    let trusts = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let trusts = Arc::new(trusts);
    for (shows, is_let) in [(given.clone(), true), (other, false)] {
        let (told, _) = passing(&[], Some(shows));
        let (first, gone) = passing(&[format!("localhost:{told}")], Some(given.clone()));
        let options = Options::new([format!("tls://127.0.0.1:{first}")]).unwrap();
        let mut client = Client::connect(&ctx, options.tls(trusts.clone())).unwrap();
        let never = client.subscribe("never").unwrap();
        gone.join().unwrap();
        client.next(&ctx, &never).unwrap_err();
        let short = ctx.with_timeout(Duration::from_millis(500));
        let error = client.next(&short, &never).unwrap_err();
        assert_eq!(client.connects(), if is_let { 2 } else { 1 }, "{error}");
        assert_eq!(error.stop() == Some(&Stop::DeadlineExceeded), !is_let, "{error}");
        // Nobody is left who waits for a client.
        let _ = TcpStream::connect(("127.0.0.1", told));
    }
}
