//! Which version of each peer this binary was built with; `build.rs` reads them from Cargo.lock.

pub(crate) const BACKON: &str = env!("PEER_BACKON");
pub(crate) const ACTIX: &str = env!("PEER_ACTIX");
pub(crate) const CROSSBEAM_CHANNEL: &str = env!("PEER_CROSSBEAM_CHANNEL");
pub(crate) const CROSSBEAM_UTILS: &str = env!("PEER_CROSSBEAM_UTILS");
pub(crate) const FAILSAFE: &str = env!("PEER_FAILSAFE");
#[cfg(feature = "durable")]
pub(crate) const FJALL: &str = env!("PEER_FJALL");
pub(crate) const FLUME: &str = env!("PEER_FLUME");
pub(crate) const GOVERNOR: &str = env!("PEER_GOVERNOR");
pub(crate) const KAMEO: &str = env!("PEER_KAMEO");
pub(crate) const KANAL: &str = env!("PEER_KANAL");
pub(crate) const KHTTP: &str = env!("PEER_KHTTP");
pub(crate) const MOKA: &str = env!("PEER_MOKA");
#[cfg(feature = "durable")]
pub(crate) const OKAYWAL: &str = env!("PEER_OKAYWAL");
pub(crate) const OLYMPIPE_RS: &str = env!("PEER_OLYMPIPE_RS");
pub(crate) const PARITER: &str = env!("PEER_PARITER");
pub(crate) const PARKING_LOT: &str = env!("PEER_PARKING_LOT");
pub(crate) const RACTOR: &str = env!("PEER_RACTOR");
#[cfg(feature = "durable")]
pub(crate) const RAFT_ENGINE: &str = env!("PEER_RAFT_ENGINE");
pub(crate) const RAYON: &str = env!("PEER_RAYON");
pub(crate) const RECLOSER: &str = env!("PEER_RECLOSER");
#[cfg(feature = "durable")]
pub(crate) const REDB: &str = env!("PEER_REDB");
#[cfg(feature = "durable")]
pub(crate) const RUSQLITE: &str = env!("PEER_RUSQLITE");
pub(crate) const RUSTY_POOL: &str = env!("PEER_RUSTY_POOL");
pub(crate) const THREADPOOL: &str = env!("PEER_THREADPOOL");
pub(crate) const TINY_HTTP: &str = env!("PEER_TINY_HTTP");
pub(crate) const XTRA: &str = env!("PEER_XTRA");
/// std has the version of the compiler.
pub(crate) const STD: &str = env!("PEER_RUSTC");
