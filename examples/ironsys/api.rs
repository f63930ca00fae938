//! Shape 1, the public API: which path does what, and who may.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ironsys::Context;
use ironsys::export::trace::Spans;
use ironsys::limit::TryRateError;
use ironsys::session::AskError;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Verdict;
use crate::cart::{Msg, Refused, View};
use crate::http::{self, Handler, Method, Request, Response};
use crate::{ingest, metrics, view};

const PAGE: &str = include_str!("page.html");
/// Events in one request.
const BATCH: usize = 10_000;
/// The most bytes of a name: of a user, an item.
const NAME: usize = 64;
/// How long one who is shed waits for the word: if it came at once, and the client again at once, the
/// refused would take the cores from those who are at work.
const PAUSE: Duration = Duration::from_millis(250);

impl Handler for App {
    fn at_once(&self, request: &Request<'_>) -> Option<Response> {
        // The hello of load generators, and what watches the process: in front of all limits.
        match (request.path, request.method) {
            ("/ping", Method::Get | Method::Head) => Some(Response::text("hello, world!")),
            ("/" | "/index.html", Method::Get | Method::Head) => Some(Response::html(PAGE)),
            ("/health/live", Method::Get | Method::Head) => Some(healthy(&self.health.live())),
            ("/health/ready", Method::Get | Method::Head) => Some(healthy(&self.health.ready())),
            _ => None,
        }
    }

    fn answer(&self, ctx: &Context, request: &Request<'_>) -> Response {
        if let Some(response) = self.at_once(request) {
            return response;
        }
        let began = Instant::now();
        let response = self.known(ctx, request);
        self.meters.count(response.status, began.elapsed());
        response
    }

    fn refused(&self, refused: &http::Refused) {
        self.meters.count(refused.status, Duration::ZERO);
    }
}

fn not_to_look() -> Response {
    Response::not_allowed("GET, HEAD")
}

fn healthy(status: &ironsys::service::Status) -> Response {
    match status.is_fine() {
        true => Response::text("ok\n"),
        false => Response::later(503, status.to_string(), Duration::from_secs(1)),
    }
}

impl App {
    /// Everything behind the token.
    fn known(&self, ctx: &Context, request: &Request<'_>) -> Response {
        if let Some(token) = &self.token
            && !request.token.is_some_and(|given| is_same(given, token))
        {
            return Response::error(401, "a bearer token is needed here");
        }
        let looks = matches!(request.method, Method::Get | Method::Head);
        if request.foreign && !looks {
            // Any page that somebody looks at may send a form to this address.
            return Response::error(403, "a page of another site may not");
        }
        match request.path {
            "/ping" | "/" | "/index.html" | "/health/live" | "/health/ready" => not_to_look(),
            // Looking on is possible under any load.
            "/metrics" if looks => Response::text(metrics::text(self)),
            "/api/state" if looks => Response::json(200, &view::state(self)),
            "/api/waits" if looks => Response::text(self.eyes.waits.report().to_string()),
            "/api/tasks.json" if looks => {
                let tasks = ironsys::export::json::tasks(&ironsys::observe::tasks());
                Response::json_text(tasks)
            }
            "/api/tasks" if looks => Response::text(ironsys::observe::tasks().to_string()),
            "/metrics" | "/api/state" | "/api/waits" | "/api/tasks.json" | "/api/tasks" => {
                not_to_look()
            }
            path if path.starts_with("/api/faults/") => self.fault(request),
            path if path.starts_with("/api/") => self.limited(ctx, request),
            _ => Response::error(404, "there is nothing of that name"),
        }
    }

    /// Everything that has to be admitted.
    fn limited(&self, ctx: &Context, request: &Request<'_>) -> Response {
        match self.gate.clients.try_acquire(&request.peer, 1) {
            Ok(()) => {}
            Err(TryRateError::TooManyKeys) => {
                return Response::later(503, "too many clients", Duration::from_secs(1));
            }
            Err(refused) => {
                let wait = refused.retry_after().unwrap_or(Duration::from_secs(1));
                return Response::later(429, "you ask too often", wait);
            }
        }
        // Who waits for the peer has no place among those who are at work.
        let who =
            match request.path.strip_prefix("/api/carts/").and_then(|path| path.split_once('/')) {
                Some((user, _)) if request.method == Method::Post => self.may(ctx, user),
                _ => Ok(()),
            };
        if let Err(refusal) = who {
            return refusal;
        }
        let admitted = match self.gate.all.enter(ctx) {
            Ok(admitted) => admitted,
            Err(error) => {
                let _ = ctx.sleep(PAUSE);
                return Response::later(503, error.to_string(), Duration::from_secs(1));
            }
        };
        let response = self.route(ctx, request);
        match response.status {
            503 | 504 => admitted.dropped(),
            400..=499 => admitted.ignore(),
            _ => admitted.success(),
        }
        response
    }

    /// Asks who the user is, and what they may.
    fn may(&self, ctx: &Context, user: &str) -> Result<(), Response> {
        if !is_name(user) {
            return Err(bad_name());
        }
        let _span = ctx.span("auth");
        match self.auth.check(ctx, user) {
            Ok(Verdict::Granted) => Ok(()),
            Ok(Verdict::Denied) => Err(Response::error(403, "you may not")),
            Err(unknown) => {
                let why = format!("who you are cannot be found out: {}", unknown.why);
                Err(Response::later(503, why, unknown.retry_after))
            }
        }
    }

    fn route(&self, ctx: &Context, request: &Request<'_>) -> Response {
        let mut parts = request.path["/api/".len()..].split('/');
        let (first, second, third) = (parts.next().unwrap_or(""), parts.next(), parts.next());
        let looks = matches!(request.method, Method::Get | Method::Head);
        let posts = request.method == Method::Post;
        match (first, second, third, parts.next()) {
            ("carts", Some(user), None, None) => match request.method {
                Method::Get | Method::Head => self.see(ctx, user),
                Method::Delete => self.crash(ctx, user),
                _ => Response::not_allowed("GET, HEAD, DELETE"),
            },
            ("carts", Some(user), Some("items"), None) if posts => self.add(ctx, user, request),
            ("carts", Some(user), Some("undo"), None) if posts => self.undo(ctx, user),
            ("carts", Some(_), Some("items" | "undo"), None) => Response::not_allowed("POST"),
            ("events", None, ..) if posts => self.ingest(request.body),
            ("events", None, ..) => Response::not_allowed("POST"),
            ("rollups", None, ..) if looks => match self.rollups.latest() {
                Some(rollup) => Response::json(200, &rollup.json()),
                None => Response::error(404, "nothing has been rolled up yet"),
            },
            ("rollups", None, ..) if posts => match self.rollups.run(ctx) {
                Ok(rollup) => Response::json(200, &rollup.json()),
                Err(error) => Response::error(504, error.to_string()),
            },
            ("rollups", None, ..) => Response::not_allowed("GET, HEAD, POST"),
            _ => Response::error(404, "there is nothing of that name"),
        }
    }

    fn see(&self, ctx: &Context, user: &str) -> Response {
        if !is_name(user) {
            return bad_name();
        }
        match self.carts.ask(ctx, &user.to_owned(), Msg::View) {
            Ok(view) => Response::json(200, &cart(&view)),
            Err(error) => not_asked(&error),
        }
    }

    fn add(&self, ctx: &Context, user: &str, request: &Request<'_>) -> Response {
        let body: Value = match serde_json::from_slice(request.body) {
            Ok(body) => body,
            Err(error) => return Response::error(400, format!("the body is no JSON: {error}")),
        };
        let item = body["item"].as_str().filter(|item| is_name(item));
        let n = if body["n"].is_null() { Some(1) } else { body["n"].as_u64() };
        let (Some(item), Some(n @ 1..=1_000)) = (item, n) else {
            return Response::error(
                422,
                "give an `item` of 1 to 64 letters and `n` from 1 to 1000",
            );
        };
        let item = item.to_owned();
        self.change(ctx, user, n, |reply| Msg::Add(item, n, reply))
    }

    fn undo(&self, ctx: &Context, user: &str) -> Response {
        self.change(ctx, user, 1, Msg::Undo)
    }

    /// A change: the cart has it on disk, and so has the outbox what it costs. Only
    /// then it is answered.
    fn change(
        &self,
        ctx: &Context,
        user: &str,
        used: u64,
        msg: impl FnOnce(ironsys::channel::Reply<Result<View, Refused>>) -> Msg,
    ) -> Response {
        let changed = {
            let _span = ctx.span("cart");
            self.carts.ask(ctx, &user.to_owned(), msg)
        };
        let view = match changed {
            Ok(Ok(view)) => view,
            Ok(Err(Refused::NotSaved(error))) => {
                return Response::later(503, error.to_string(), Duration::from_secs(1));
            }
            Ok(Err(refused)) => return Response::error(409, refused.to_string()),
            Err(error) => return not_asked(&error),
        };
        let _span = ctx.span("outbox");
        match self.usage.append(ctx, format!("{user} {used}").as_bytes()) {
            Ok(id) => {
                self.meters.changes.fetch_add(1, Relaxed);
                let mut answer = cart(&view);
                answer["usage"] = id.into();
                Response::json(200, &answer)
            }
            Err(error) => {
                let why = format!("the change is made, and not billed: {error}");
                Response::later(503, why, Duration::from_secs(1))
            }
        }
    }

    fn crash(&self, ctx: &Context, user: &str) -> Response {
        if !is_name(user) {
            return bad_name();
        }
        match self.carts.tell(ctx, &user.to_owned(), Msg::Crash) {
            Ok(()) => Response::json(202, &json!({"crashed": user})),
            Err(error) => Response::later(503, error.to_string(), Duration::from_secs(1)),
        }
    }

    fn ingest(&self, body: &[u8]) -> Response {
        let events = match ingest::events(body, BATCH) {
            Ok(events) => events,
            Err(why) => return Response::error(400, why),
        };
        let all = events.len();
        match self.ingest.offer(events) {
            taken if taken == all => Response::json(202, &json!({"accepted": taken})),
            taken => {
                let why =
                    format!("the queue is full: {taken} of {all} events were taken, in order");
                Response::later(429, why, Duration::from_secs(1))
            }
        }
    }

    /// `POST` presses a button, `DELETE` lets it go.
    fn fault(&self, request: &Request<'_>) -> Response {
        let name = &request.path["/api/faults/".len()..];
        let on = match request.method {
            Method::Post => true,
            Method::Delete => false,
            _ => return Response::not_allowed("POST, DELETE"),
        };
        match self.faults.by_name(name) {
            Some(switch) => {
                switch.store(on, Relaxed);
                Response::json(200, &json!({"fault": name, "on": on}))
            }
            None => Response::error(404, "there is no such button"),
        }
    }
}

fn cart(view: &View) -> Value {
    json!({"version": view.version, "trail": view.trail.to_string(), "items": view.items})
}

fn not_asked(error: &AskError<Msg>) -> Response {
    match error.stop() {
        Some(_) => Response::error(504, "the cart did not answer in time"),
        None => Response::later(503, error.to_string(), Duration::from_secs(1)),
    }
}

/// Letters, digits and a few signs: nothing that would have to be escaped anywhere.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    (1..=NAME).contains(&name.len()) && name.bytes().all(fits)
}

fn bad_name() -> Response {
    Response::error(422, "a name has 1 to 64 letters, digits or any of - _ . @")
}

/// Compares all bytes, however many are the same: the time it takes tells nothing.
fn is_same(given: &str, token: &str) -> bool {
    let differ = given.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == token.len() && differ == 0
}
