//! Shape 2, live sessions: a shopping cart for each user, in memory while it is used, on disk at all times.
//!
//! A change is answered when it is on disk. A cart that nobody uses leaves memory; the next message
//! brings it back. One that crashes starts again with the state that was saved last.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ironsys::channel::Reply;
use ironsys::durable::{DiskStore, DiskStoreError};
use ironsys::service::{Service, StartError};
use ironsys::session::{Cx, Manager, Restore, Session, Sessions, Snapshot, StoreError};
use serde_json::{Value, json};

/// What undo goes back at most.
const UNDO: usize = 16;
/// Different items in a cart.
const ITEMS: usize = 100;
/// What a cart panics with.
pub(crate) const CRASH: &str = "somebody pressed the crash button";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cart {
    version: u64,
    /// A sum over all changes in order: two carts with the same one have seen the same.
    trail: u64,
    items: BTreeMap<String, u64>,
    undo: Vec<(String, u64)>,
}

/// What a cart says of itself, after a change or when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) version: u64,
    pub(crate) trail: u64,
    pub(crate) items: BTreeMap<String, u64>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there are {ITEMS} different items in the cart already")]
    Full,
    #[error("there is nothing to undo")]
    NothingToUndo,
    #[error("that would be too many")]
    TooMany,
    #[error(transparent)]
    NotSaved(#[from] StoreError),
}

type Answer = Reply<Result<View, Refused>>;

pub(crate) enum Msg {
    Add(String, u64, Answer),
    Undo(Answer),
    View(Reply<View>),
    Crash,
}

/// Where the carts save: they find it in their context.
struct Shelf(Arc<DiskStore<String>>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Store(#[from] DiskStoreError),
    #[error(transparent)]
    Build(#[from] ironsys::BuildError),
}

/// Starts the carts as a part of the service.
pub(crate) fn start(
    service: &mut Service,
    store: Arc<DiskStore<String>>,
    live: usize,
) -> Result<Sessions<Cart>, StartError<OpenError>> {
    service.start("carts", |ctx| {
        let ctx = ctx.with_value(Shelf(store.clone()));
        let manager = Manager::<Cart>::builder("carts")
            .sharded(std::thread::available_parallelism().map_or(2, usize::from))
            .mailbox(64)
            .observe_turns(8)
            .live_limit(live)
            .idle_after(Duration::from_secs(30))
            // The crash button is pressed often here.
            .intensity(1_000, Duration::from_secs(1))
            .store(store)
            .context(&ctx)
            .build()?;
        let sessions = manager.sessions();
        Ok((manager, sessions))
    })
}

impl Cart {
    fn view(&self) -> View {
        View { version: self.version, trail: self.trail, items: self.items.clone() }
    }

    fn add(&mut self, item: String, n: u64) -> Result<(), Refused> {
        let before = self.items.get(&item).copied();
        if before.is_none() && self.items.len() >= ITEMS {
            return Err(Refused::Full);
        }
        let before = before.unwrap_or(0);
        let now = before.checked_add(n).filter(|n| *n <= 1_000_000).ok_or(Refused::TooMany)?;
        self.items.insert(item.clone(), now);
        self.undo.push((item.clone(), before));
        if self.undo.len() > UNDO {
            self.undo.remove(0);
        }
        self.count(&item, n);
        Ok(())
    }

    fn go_back(&mut self) -> Result<(), Refused> {
        let (item, before) = self.undo.pop().ok_or(Refused::NothingToUndo)?;
        self.count(&item, u64::MAX);
        match before {
            0 => drop(self.items.remove(&item)),
            n => drop(self.items.insert(item, n)),
        }
        Ok(())
    }

    /// One more change; the trail is FNV-1a over all of them.
    fn count(&mut self, item: &str, n: u64) {
        self.version += 1;
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let bytes = item.bytes().chain(n.to_le_bytes());
        self.trail = bytes.fold(self.trail ^ self.version, mix);
    }

    fn snapshot(&self) -> Snapshot {
        let state = json!({
            "version": self.version, "trail": self.trail, "items": self.items, "undo": self.undo,
        });
        Snapshot::new(1, state.to_string())
    }

    /// Answers when the change is on disk; the cart goes on meanwhile.
    fn keep(&self, reply: Answer, cx: &Cx<'_, Self>) {
        let view = self.view();
        if let Some(Shelf(store)) = cx.context().value::<Shelf>() {
            let answer = move |saved: Result<(), StoreError>| {
                let _ = reply.send(saved.map(|()| view).map_err(Refused::from));
            };
            let _ = store.save_then(cx.context(), cx.id(), &self.snapshot(), answer);
        }
    }
}

/// Reads what [`Cart::snapshot`] wrote.
pub(crate) fn read(snapshot: &Snapshot) -> Result<(Cart, View), String> {
    if snapshot.version != 1 {
        return Err(format!("version {} is not known", snapshot.version));
    }
    let state: Value = serde_json::from_slice(&snapshot.bytes).map_err(|e| e.to_string())?;
    let number = |of: &Value, what| of.as_u64().ok_or(format!("{what} is no number"));
    let mut cart = Cart {
        version: number(&state["version"], "the version")?,
        trail: number(&state["trail"], "the trail")?,
        ..Cart::default()
    };
    for (item, n) in state["items"].as_object().ok_or("there are no items")? {
        cart.items.insert(item.clone(), number(n, item)?);
    }
    for step in state["undo"].as_array().ok_or("there is no undo")? {
        let item = step[0].as_str().ok_or("a step of undo has no item")?;
        cart.undo.push((item.into(), number(&step[1], item)?));
    }
    let view = cart.view();
    Ok((cart, view))
}

impl Session for Cart {
    type Id = String;
    type Msg = Msg;
    type Error = Infallible;

    fn start(_: &String, _: &mut Cx<'_, Self>) -> Result<Self, Infallible> {
        Ok(Cart::default())
    }

    fn handle(&mut self, msg: Msg, cx: &mut Cx<'_, Self>) -> Result<(), Infallible> {
        let (done, reply) = match msg {
            Msg::Add(item, n, reply) => (self.add(item, n), reply),
            Msg::Undo(reply) => (self.go_back(), reply),
            Msg::View(reply) => {
                let _ = reply.send(self.view());
                return Ok(());
            }
            Msg::Crash => panic!("{CRASH}"),
        };
        match done {
            Ok(()) => self.keep(reply, cx),
            Err(refused) => drop(reply.send(Err(refused))),
        }
        Ok(())
    }

    fn save(&self) -> Option<Snapshot> {
        Some(self.snapshot())
    }

    fn restore(
        _: &String,
        snapshot: Snapshot,
        _: &mut Cx<'_, Self>,
    ) -> Result<Self, Restore<Infallible>> {
        read(&snapshot).map(|(cart, _)| cart).map_err(Restore::Corrupt)
    }
}
