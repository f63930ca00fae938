//! Where the servers are, and who one is.

use super::nkey::Seed;
use crate::error::BuildError;
use crate::schedule::Backoff;
use crate::sync::Arc;
use std::fmt;
use std::time::Duration;

/// How to reach a server.
///
/// ```
/// use ironsys::brokers::nats::Options;
/// let options = Options::new(["nats://127.0.0.1:4222", "nats://backup:4222"])?.name("billing");
/// assert_eq!(options.servers()[1], "backup:4222");
/// assert!(Options::new(["http://x"]).is_err());
/// # Ok::<_, ironsys::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(super) servers: Vec<String>,
    pub(super) tls: bool,
    pub(super) name: String,
    pub(super) login: Login,
    pub(super) connect: Duration,
    pub(super) backoff: Backoff,
    pub(super) max_payload: usize,
    pub(super) tls_config: Option<Arc<rustls::ClientConfig>>,
}

/// Who one is.
#[derive(Clone)]
pub(super) enum Login {
    Nobody,
    Token(String),
    User(String, String),
    Nkey(Seed),
}

impl Options {
    /// Takes the addresses of servers, `nats://host:port` or `tls://host:port`; the port is 4222 unless
    /// it is given. They are tried in this order, then the others of the cluster that they tell of: with
    /// TLS these have to show the name of the one that told. `nats://user:password@host` and `nats://token@host`
    /// say who one is.
    ///
    /// # Errors
    /// There is none, or one that is no such address.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://ada:secret@broker", "nats://backup:4333"])?;
    /// assert_eq!(options.servers(), ["broker:4222", "backup:4333"]);
    /// assert!(Options::new(["http://broker"]).is_err());
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn new<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Result<Options, BuildError> {
        let mut options = Options {
            servers: Vec::new(),
            tls: false,
            name: "ironsys".into(),
            login: Login::Nobody,
            connect: Duration::from_secs(2),
            backoff: Backoff::exponential(Duration::from_millis(20))
                .max_delay(Duration::from_secs(2)),
            max_payload: 8 * 1024 * 1024,
            tls_config: None,
        };
        for url in urls {
            options.add(url.as_ref())?;
        }
        if options.servers.is_empty() {
            return Err(wrong("urls", "are none: take at least one server"));
        }
        Ok(options)
    }

    fn add(&mut self, url: &str) -> Result<(), BuildError> {
        let rest = match url.split_once("://") {
            Some(("nats", rest)) => rest,
            Some(("tls", rest)) => {
                self.tls = true;
                rest
            }
            Some((scheme, _)) => {
                return Err(wrong("urls", format!("have `{scheme}://`: take nats:// or tls://")));
            }
            None => url,
        };
        let rest = rest.trim_end_matches('/');
        let host = match rest.rsplit_once('@') {
            Some((who, host)) => {
                self.login = match who.split_once(':') {
                    Some((user, password)) => Login::User(user.into(), password.into()),
                    None => Login::Token(who.into()),
                };
                host
            }
            None => rest,
        };
        let no_address = || wrong("urls", format!("have `{url}`: that is no host and port"));
        self.servers.push(address(host).ok_or_else(no_address)?);
        Ok(())
    }

    /// Sets the name under which the server lists the connection.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://broker"])?.name("billing");
    /// assert!(format!("{options:?}").contains("billing"));
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says who one is by a token.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://broker"])?.token("s3cret");
    /// assert!(!format!("{options:?}").contains("s3cret"));
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.login = Login::Token(token.into());
        self
    }

    /// Says who one is by user and password.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://broker"])?.user("ada", "s3cret");
    /// assert!(!format!("{options:?}").contains("s3cret"));
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Login::User(user.into(), password.into());
        self
    }

    /// Says who one is by an nkey: the seed of a user, which begins with `SU` and never leaves here.
    ///
    /// # Errors
    /// That is no such seed.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://broker"])?;
    /// assert_eq!(options.nkey("no seed").unwrap_err().field(), "nkey");
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn nkey(mut self, seed: &str) -> Result<Self, BuildError> {
        let seed = Seed::parse(seed).ok_or_else(|| wrong("nkey", "is no seed of a user"))?;
        self.login = Login::Nkey(seed);
        Ok(self)
    }

    /// Sets whom TLS trusts and what it shows. Without it `tls://` trusts nobody, and does not connect.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// # use std::sync::Arc;
    /// let trusted = rustls::RootCertStore::empty(); // In earnest with the certificates one trusts.
    /// let config = rustls::ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
    /// let options = Options::new(["broker"])?.tls(Arc::new(config)); // as `tls://broker`
    /// assert_eq!(options.servers(), ["broker:4222"]);
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = true;
        self.tls_config = Some(config);
        self
    }

    /// Sets how long a server may take to let one in, and how long it may read nothing of what is sent; by
    /// default 2 s. Less than a millisecond counts as one; `Duration::MAX` is no limit.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://127.0.0.1"])?.connect_timeout(std::time::Duration::from_millis(300));
    /// assert_eq!(options.servers().len(), 1);
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect = time.max(Duration::from_millis(1));
        self
    }

    /// Sets the delays between the rounds in which all servers are tried; by default from 20 ms to 2 s.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let options = Options::new(["nats://broker"])?.backoff(Backoff::fixed(Duration::from_secs(1)));
    /// assert_eq!(options.servers(), ["broker:4222"]);
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many bytes a message that is received may have; by default 8 MiB. A server that sends more
    /// is hung up on.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://broker"])?.max_payload(64 * 1024);
    /// assert_eq!(options.servers(), ["broker:4222"]);
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Returns the servers, as host and port.
    ///
    /// ```
    /// # use ironsys::brokers::nats::Options;
    /// let options = Options::new(["nats://broker", "backup:4333"])?;
    /// assert_eq!(options.servers(), ["broker:4222", "backup:4333"]);
    /// # Ok::<_, ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.servers
    }
}

/// The host and port that this says, with 4222 if it says none.
pub(super) fn address(host: &str) -> Option<String> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if host.is_empty() || host.contains(['/', ' ', '@']) || (host.contains(':') && !has_port) {
        return None;
    }
    Some(if has_port { host.into() } else { format!("{host}:4222") })
}

fn wrong(field: &'static str, problem: impl Into<String>) -> BuildError {
    BuildError::new("NATS", field, problem)
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not who one is.
        f.debug_struct("Options")
            .field("servers", &self.servers)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
