#![allow(missing_docs, clippy::all)]
use ironsys::Context;
use ironsys::brokers::{nats, redis};
use ironsys::durable::{Event, Publisher, Source};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use std::time::{Duration, Instant};

fn serve(f: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> (u16, Arc<AtomicU64>) {
    let l = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = l.local_addr().unwrap().port();
    let n = Arc::new(AtomicU64::new(0));
    let m = n.clone();
    let f = Arc::new(f);
    std::thread::spawn(move || {
        for s in l.incoming().flatten() {
            let k = m.fetch_add(1, SeqCst);
            let f = f.clone();
            std::thread::spawn(move || f(s, k));
        }
    });
    (port, n)
}
fn redis_says(what: &'static [u8]) -> u16 {
    serve(move |mut s, _| {
        let mut b = [0; 65536];
        let _ = s.read(&mut b);
        let _ = s.write_all(what);
        std::thread::sleep(Duration::from_secs(3));
    })
    .0
}
fn try_redis(what: &'static [u8]) {
    let port = redis_says(what);
    let (ctx, _c) = Context::root();
    let ctx = ctx.with_timeout(Duration::from_secs(2));
    let server = redis::Server::new(format!("redis://127.0.0.1:{port}"))
        .unwrap()
        .timeout(Duration::from_millis(500));
    let mut source = redis::StreamSource::builder(&server, "s", "g", "c").build().unwrap();
    let t = Instant::now();
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        source.recv(&ctx).map(|d| d.is_some())
    }));
    println!(
        "{:?} -> {:?} in {:?}",
        String::from_utf8_lossy(&what[..what.len().min(40)]),
        r.map_err(|_| "PANIC"),
        t.elapsed()
    );
}
#[test]
fn redis_huge() {
    for what in [
        &b"*1000000000\r\n"[..],
        b"*9223372036854775807\r\n",
        b"$9223372036854775807\r\nabc",
        b"$9223372036854775806\r\nabc",
        b"%4611686018427387903\r\n",
        b"|9223372036854775807\r\n",
        b"~9223372036854775807\r\n",
        b">9223372036854775807\r\n",
        b"=9223372036854775807\r\n",
        b"=-1\r\n",
        b"!-1\r\n",
        b"!9223372036854775807\r\n",
        b"$-9\r\n",
        b"*1\r\n*1\r\n*1\r\n",
        b":99999999999999999999\r\n",
        b"(\r\n",
        b"+\xff\r\n",
        b"-\r\n",
        b"_\r\n",
        b"*-1\r\n",
        b"|0\r\n",
        b">0\r\n:1\r\n",
        b"*2\r\n$1\r\n0\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
        b"-NOGROUP x\r\n",
    ] {
        try_redis(what);
    }
}
#[test]
fn redis_max() {
    let (port, _) = serve(|_, _| {});
    let server =
        redis::Server::new(format!("redis://127.0.0.1:{port}")).unwrap().timeout(Duration::MAX);
    let r = redis::StreamSource::builder(&server, "s", "g", "c")
        .max_pending(usize::MAX)
        .batch(usize::MAX)
        .claim_idle(Duration::MAX)
        .claim_every(Duration::MAX)
        .build();
    println!("{:?}", r.is_ok());
    let (ctx, _c) = Context::root();
    let ctx = ctx.with_timeout(Duration::from_millis(300));
    println!("{:?}", r.map(|mut s| s.recv(&ctx).map(drop)));
}

fn nats_hello(s: &mut TcpStream) -> BufReader<TcpStream> {
    s.write_all(b"INFO {\"max_payload\":1048576}\r\n").unwrap();
    let mut r = BufReader::new(s.try_clone().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        if r.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
        if line.starts_with("PING") {
            break;
        }
    }
    let _ = s.write_all(b"PONG\r\n");
    r
}
#[test]
fn nats_overflow() {
    let (port, _) = serve(|mut s, _| {
        nats_hello(&mut s);
        let _ = s.write_all(b"MSG a 2 18446744073709551615\r\nabc\r\n");
        std::thread::sleep(Duration::from_secs(1));
    });
    let (ctx, _c) = Context::root();
    let ctx = ctx.with_timeout(Duration::from_secs(1));
    let mut c = nats::Client::connect(
        &ctx,
        nats::Options::new([format!("127.0.0.1:{port}")]).unwrap().max_payload(usize::MAX),
    )
    .unwrap();
    let s = c.subscribe("a").unwrap();
    println!("{:?}", c.next(&ctx, &s));
}
#[test]
fn nats_hot_loop() {
    let (port, n) = serve(|mut s, k| {
        let mut r = nats_hello(&mut s);
        if k == 0 {
            let mut line = String::new();
            // consumer create request
            loop {
                line.clear();
                if r.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                if line.starts_with("PUB $JS.API.CONSUMER") {
                    let reply = line.split(' ').nth(2).unwrap().to_string();
                    let body = "{}";
                    let _ = write!(s, "MSG {reply} 1 {}\r\n{body}\r\n", body.len());
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let (ctx, _c) = Context::root();
    let ctx = ctx.with_timeout(Duration::from_secs(2));
    let o = nats::Options::new([format!("127.0.0.1:{port}")]).unwrap();
    let mut src = nats::JetStreamSource::open(&ctx, o, "S", "d").unwrap();
    println!("{:?} connects {}", src.recv(&ctx).map(drop), n.load(SeqCst));
}
#[test]
fn nats_slow_reader_deadline() {
    let (port, _) = serve(|mut s, _| {
        let mut r = nats_hello(&mut s);
        let mut b = [0; 2048];
        loop {
            std::thread::sleep(Duration::from_millis(100));
            if r.read(&mut b).unwrap_or(0) == 0 {
                break;
            }
        }
    });
    let (ctx, _c) = Context::root();
    let mut c =
        nats::Client::connect(&ctx, nats::Options::new([format!("127.0.0.1:{port}")]).unwrap())
            .unwrap();
    let t = Instant::now();
    let big = vec![0; 1_000_000];
    for i in 0..20 {
        let r = c.publish("a", &big);
        if t.elapsed() > Duration::from_millis(100) || r.is_err() {
            println!("publish {i} took until {:?}: {r:?}", t.elapsed());
            if r.is_err() {
                break;
            }
        }
    }
    let t = Instant::now();
    let r = c.flush(&ctx.with_timeout(Duration::from_millis(100)));
    println!("flush {:?} {r:?}", t.elapsed());
}
#[test]
fn nats_zero_and_max() {
    let (port, n) = serve(|mut s, _| {
        nats_hello(&mut s);
    });
    let (ctx, _c) = Context::root();
    let o = nats::Options::new([format!("127.0.0.1:{port}")]).unwrap();
    let t = Instant::now();
    println!(
        "zero: {:?} {:?}",
        nats::Client::connect(
            &ctx.with_timeout(Duration::from_secs(1)),
            o.clone().connect_timeout(Duration::ZERO)
        )
        .map(drop),
        t.elapsed()
    );
    println!(
        "max: {:?} {:?} {}",
        nats::Client::connect(
            &ctx.with_timeout(Duration::from_secs(1)),
            o.clone().connect_timeout(Duration::MAX)
        )
        .map(drop),
        t.elapsed(),
        n.load(SeqCst)
    );
    println!(
        "max_payload 0: {:?} {:?} {}",
        nats::Client::connect(&ctx.with_timeout(Duration::from_secs(1)), o.clone().max_payload(0))
            .map(drop),
        t.elapsed(),
        n.load(SeqCst)
    );
    let mut p = nats::JetStreamPublisher::new(o.clone(), "bad subject", "x");
    let _ = &mut p;
}
#[test]
fn nats_liars() {
    for (what, f) in [
        (
            "silent",
            (|_s: &mut TcpStream| std::thread::sleep(Duration::from_secs(3))) as fn(&mut TcpStream),
        ),
        ("garbage", |s| {
            let _ = s.write_all(&[0xff; 1000]);
            std::thread::sleep(Duration::from_secs(3))
        }),
        ("flood without newline", |s| while s.write_all(&[b'x'; 10000]).is_ok() {}),
        ("flood of pings, no pong", |s| {
            let _ = s.write_all(b"INFO {}\r\n");
            while s.write_all(&b"PING\r\n".repeat(1000)).is_ok() {}
        }),
        ("drip", |s| {
            for b in b"INFO {\"a\":1}\r\n".iter().cycle() {
                if s.write_all(&[*b]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }),
        ("refused", |s| {
            let _ = s.write_all(b"INFO {}\r\n-ERR 'Authorization Violation'\r\n");
            std::thread::sleep(Duration::from_secs(3))
        }),
        ("close", |_| {}),
        ("info no json", |s| {
            let _ = s.write_all(b"INFO x\r\n");
            std::thread::sleep(Duration::from_secs(3))
        }),
        ("tls required", |s| {
            let _ = s.write_all(b"INFO {\"tls_required\":true}\r\n");
            std::thread::sleep(Duration::from_secs(3))
        }),
        ("nested", |s| {
            let _ = s.write_all(b"INFO ");
            let _ = s.write_all(&[b'['; 60000]);
            let _ = s.write_all(b"\r\n");
            std::thread::sleep(Duration::from_secs(3))
        }),
    ] {
        let (port, n) = serve(move |mut s, _| f(&mut s));
        let (ctx, _c) = Context::root();
        let t = Instant::now();
        let r = nats::Client::connect(
            &ctx.with_timeout(Duration::from_millis(500)),
            nats::Options::new([format!("127.0.0.1:{port}")]).unwrap(),
        );
        println!(
            "{what}: {:?} {:?} connects {}",
            r.map(drop).map_err(|e| e.to_string()),
            t.elapsed(),
            n.load(SeqCst)
        );
    }
}
#[test]
fn saga_large() {
    use ironsys::saga::*;
    let dir = tempfile::tempdir().unwrap();
    let undone = Arc::new(AtomicU64::new(0));
    let u = undone.clone();
    let saga = Saga::builder("s")
        .step(
            "a",
            |_, _| Ok(vec![7; 100]),
            move |_, _| {
                u.fetch_add(1, SeqCst);
                Ok(())
            },
        )
        .step(
            "b",
            |_, t| {
                Err(StepError::permanent("x".repeat(if t.id() == "long" {
                    10_000_000
                } else {
                    10
                })))
            },
            no_undo,
        )
        .build()
        .unwrap();
    let sagas = Sagas::open(dir.path(), [saga]).unwrap();
    let (ctx, _c) = Context::root();
    let short = |r: Result<Vec<u8>, SagaError>| {
        let mut s = format!("{r:?}");
        s.truncate(200);
        s
    };
    println!(
        "long why: {} undone {}",
        short(sagas.run(&ctx, "s", "long", b"")),
        undone.load(SeqCst)
    );
    println!("resume: {} undone {}", short(sagas.resume_one(&ctx, "long")), undone.load(SeqCst));
    let dir = tempfile::tempdir().unwrap();
    let max = (4 << 20) - 100;
    for cut in 0..40 {
        let u = undone.clone();
        let saga = Saga::builder("s")
            .step(
                "a",
                move |_, _| Ok(vec![7; max - cut * 8]),
                move |_, _| {
                    u.fetch_add(1, SeqCst);
                    Ok(())
                },
            )
            .step("b", |_, _| Err(StepError::permanent("no".repeat(50))), no_undo)
            .build()
            .unwrap();
        let dir2 = dir.path().join(cut.to_string());
        let sagas = Sagas::open(dir2, [saga]).unwrap();
        let s = short(sagas.run(&ctx, "s", "big", b""));
        if !s.contains("Undone") {
            println!("big {cut}: {} undone {}", s, undone.load(SeqCst));
        }
    }
}
#[test]
fn saga_bombs() {
    use ironsys::saga::*;
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb")
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let saga = Saga::builder("s")
        .step("a", |_, _| Ok(vec![]), move |_, _| panic!("undo"))
        .step(
            "b",
            |_, t| if t.id() == "bomb" { std::panic::panic_any(Bomb) } else { panic!("x") },
            no_undo,
        )
        .build()
        .unwrap();
    let sagas = Sagas::open(dir.path(), [saga]).unwrap();
    let (ctx, _c) = Context::root();
    println!("{:?}", sagas.run(&ctx, "s", "plain", b""));
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sagas.run(&ctx, "s", "bomb", b"")
    }));
    println!(
        "bomb: {:?}",
        r.map_err(|p| {
            std::mem::forget(p);
            "PANICS OUT"
        })
    );
}
#[test]
fn service_attacks() {
    use ironsys::service::*;
    let (ctx, _c) = Context::root();
    // panics and errors while it is stopped
    for what in ["panic", "error"] {
        let mut s = Service::builder("s").context(&ctx).build().unwrap();
        s.spawn("t", move |ctx| {
            let _ = ctx.wait_stopped();
            if what == "panic" {
                panic!("lost all")
            }
            Err::<(), _>("flush failed: disk full")
        })
        .unwrap();
        s.stopper().request("x");
        let r = s.run(&ctx);
        println!("{what} while ending: clean {} {r}", r.is_clean());
    }
    for within in [Duration::from_nanos(1), Duration::MAX] {
        let mut s = Service::builder("s").context(&ctx).drain_within(within).build().unwrap();
        s.start("p", |_| {
            Ok::<_, String>(((|_: &Context| Ended::clean()).within(Duration::MAX), ()))
        })
        .unwrap();
        s.start("q", |_| {
            Ok::<_, String>(((|_: &Context| Ended::clean()).within(Duration::ZERO), ()))
        })
        .unwrap();
        s.stopper().request("x");
        s.stopper().request("y");
        s.stopper().force("z");
        let r = s.run(&ctx);
        println!("{r}");
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb")
        }
    }
    let s = Service::builder("s").context(&ctx).build().unwrap();
    s.live_if("p", || std::panic::panic_any(Bomb));
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| s.health().live()));
    println!(
        "probe bomb: {:?}",
        r.map_err(|p| {
            std::mem::forget(p);
            "PANICS OUT"
        })
    );
    // start panics
    let mut s = Service::builder("s").context(&ctx).build().unwrap();
    s.spawn("t", |ctx| {
        ctx.wait_stopped();
        Ok::<_, String>(())
    })
    .unwrap();
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        s.start("x", |_| -> Result<(fn(&Context) -> Ended, ()), String> { panic!("start") })
    }));
    println!("start panics: {}", r.is_err());
    drop(s);
}
