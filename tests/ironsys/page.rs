//! The page in a real browser, driven over WebDriver.
//!
//! Needs Debian's `chromium-driver`. Without it the test says so and is not run, unless `IRONSYS_CI` is
//! set: then it fails.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::{Server, until};

/// A browser with one window; ended when it is dropped.
struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _home: tempfile::TempDir,
}

impl Browser {
    /// `None` if there is none on this machine.
    fn start(width: u32, height: u32) -> Option<Browser> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
        let mut command = Command::new("chromedriver");
        let command = command.arg(format!("--port={port}"));
        let driver = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let (agent, home) = (config.into(), tempfile::tempdir().unwrap());
        let mut browser =
            Browser { driver, session: format!("http://127.0.0.1:{port}"), agent, _home: home };
        until("the driver answers", || browser.get("/status").is_some());
        let args = [
            "--headless=new".into(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--hide-scrollbars".into(),
            format!("--user-data-dir={}", browser._home.path().display()),
            format!("--window-size={width},{height}"),
        ];
        let wants = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args}, "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.post("/session", &wants);
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}"));
        browser.session = format!("{}/session/{id}", browser.session);
        Some(browser)
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut answer = self.agent.get(format!("{}{path}", self.session)).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        serde_json::from_str::<Value>(&text).ok().map(|mut answer| answer["value"].take())
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        let mut answer = self.agent.post(url).send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["value"].take()
    }

    fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    fn text(&self, id: &str) -> String {
        let text = self.run(&format!("return document.getElementById('{id}').textContent"));
        text.as_str().unwrap_or_default().to_owned()
    }

    fn click(&self, selector: &str) {
        self.run(&format!("document.querySelector('{selector}').click()"));
    }

    /// What the page wrote on its console as an error.
    fn errors(&self) -> Vec<Value> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        let all = log.as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|entry| entry["level"] == "SEVERE").collect()
    }

    /// Kept where `IRONSYS_SHOTS` says.
    fn shoot(&self, name: &str) {
        let Some(folder) = std::env::var_os("IRONSYS_SHOTS").map(PathBuf::from) else { return };
        let shot = self.get("/screenshot").unwrap();
        let bytes = from_base64(shot.as_str().unwrap());
        std::fs::write(folder.join(Path::new(name)), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

#[test]
fn the_page_shows_the_system_bend_and_recover() {
    let Some(browser) = Browser::start(1280, 1150) else {
        assert!(std::env::var_os("IRONSYS_CI").is_none(), "there is no chromedriver");
        crate::say("SKIPPED: the page in a browser (apt-get install chromium-driver)");
        return;
    };
    let server = Server::start_in(tempfile::tempdir().unwrap(), &["--people", "8"], Stdio::null());
    let url = format!("http://{}/", server.address);
    browser.post("/url", &json!({"url": url}));

    let number = |id| browser.text(id).parse::<f64>().unwrap_or(0.0);
    until("requests are counted", || number("rps") > 1.0);
    let before = number("uptime");
    until("the numbers move", || number("uptime") > before + 2.0);
    assert_eq!(browser.text("breaker"), "closed");
    until("there is a rollup", || browser.text("rollup-when").contains("events in"));
    browser.click("#look");
    until("the task tree is there", || browser.text("tasks").contains("worker `ingest-0`"));
    browser.shoot("ironsys.png");

    browser.click("[data-fault=slow-auth]");
    // What is known of the eight people grows old, and the peer is asked.
    until("the breaker opens", || browser.text("breaker") == "open");
    browser.shoot("ironsys-slow-auth.png");
    browser.click("[data-fault=slow-auth]");
    until("the breaker closes", || browser.text("breaker") == "closed");

    browser.click("[data-fault=broker-down]");
    until("the relay is down", || browser.text("m-relay") == "down");
    browser.shoot("ironsys-billing-down.png");
    browser.click("[data-fault=broker-down]");
    until("the outbox is empty", || browser.text("m-outbox") == "0 wait");

    browser.click("#crash");
    until("a session has started again", || browser.run("return last.carts.restarts") != json!(0));
    let errors = browser.errors();
    assert!(errors.is_empty(), "{errors:?}");
    // Nothing reaches beyond the window, on a phone either.
    browser.post("/window/rect", &json!({"width": 500, "height": 900}));
    let wide = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
    assert!(wide.as_i64() <= Some(0), "{wide}");
    browser.shoot("ironsys-phone.png");
}
