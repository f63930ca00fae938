//! What the relay is measured beside: publishers that do no more than publish, from memory, with as many
//! under way, the same headers and an answer to each.

use super::{Fallible, SUBJECT, WINDOW, options};
use ironsys::Context;
use ironsys::brokers::nats::Client;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A socket, and no client at all: writes, counts the answers, writes as many more.
pub(super) fn socket(port: u16, prefix: &str, bodies: &[String]) -> Fallible<Duration> {
    let begun = Instant::now();
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    let hello = r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
    write!(socket, "{hello}\r\nSUB _BARE.* 1\r\n")?;
    let (mut out, mut read) = (Vec::with_capacity(256 * 1024), vec![0; 64 * 1024]);
    let (mut sent, mut answered, mut len) = (0, 0, 0);
    while answered < bodies.len() {
        for (i, body) in bodies.iter().enumerate().take(answered + WINDOW).skip(sent) {
            let id = format!("NATS/1.0\r\nNats-Msg-Id: {prefix}-{i}\r\n\r\n");
            let (head, all) = (id.len(), id.len() + body.len());
            write!(out, "HPUB {SUBJECT} _BARE.{i} {head} {all}\r\n{id}{body}\r\n")?;
            sent = i + 1;
        }
        socket.write_all(&out)?;
        out.clear();
        let n = socket.read(&mut read[len..])?;
        if n == 0 {
            return Err("the server hung up".into());
        }
        len += n;
        let mut at = 0;
        while let Some(end) = read[at..len].iter().position(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(&read[at..at + end])?.trim_end();
            let mut next = at + end + 1;
            match line.split_once(' ').map_or(line, |(word, _)| word) {
                "MSG" => {
                    let size: usize = line.rsplit(' ').next().unwrap_or_default().parse()?;
                    next += size + 2;
                    if next > len {
                        break;
                    }
                    let answer: serde_json::Value =
                        serde_json::from_slice(&read[at + end + 1..next])?;
                    if answer["seq"].is_null() {
                        return Err(format!("the stream says {answer}").into());
                    }
                    answered += 1;
                }
                "INFO" => {}
                "PING" => out.extend_from_slice(b"PONG\r\n"),
                _ => return Err(format!("the server says {line}").into()),
            }
            at = next;
        }
        read.copy_within(at..len, 0);
        len -= at;
    }
    Ok(begun.elapsed())
}

/// The plain client, as one would use it: half a window is sent whenever half of it is answered.
pub(super) fn client(ctx: &Context, prefix: &str, bodies: &[String]) -> Fallible<Duration> {
    let begun = Instant::now();
    let mut client = Client::connect(ctx, options()?)?;
    let answers = client.subscribe("_PLAIN.*")?;
    let (mut sent, mut answered) = (0, 0);
    while answered < bodies.len() {
        for (i, body) in bodies.iter().enumerate().take(answered + WINDOW).skip(sent) {
            let id = format!("{prefix}-{i}");
            let headers = [("Nats-Msg-Id", &*id)];
            client.send(SUBJECT, Some(&format!("_PLAIN.{i}")), &headers, body.as_bytes())?;
            sent = i + 1;
        }
        let half = (answered + WINDOW / 2).min(bodies.len());
        while answered < half {
            let answer = client.next(ctx, &answers)?;
            let answer: serde_json::Value = serde_json::from_slice(&answer.payload)?;
            if answer["seq"].is_null() {
                return Err(format!("the stream says {answer}").into());
            }
            answered += 1;
        }
    }
    Ok(begun.elapsed())
}
