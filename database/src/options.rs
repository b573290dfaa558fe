//! How to reach the database: addresses by role, and the limits of each pool.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::Error;

/// A connection idle for longer is tested before it is used; testing each one every time would
/// cost the request path a round trip.
const UNTESTED_MAX: Duration = Duration::from_secs(1);

/// How long a connection may take to be rolled back and tested before it is closed instead of kept.
const RELEASE_MAX: Duration = Duration::from_secs(1);

/// Where the database is and how much of it may be used.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address everything uses that has none of its own.
    pub url: Url,
    /// The address of tenant transactions.
    pub app_url: Option<Url>,
    /// The address of worker transactions.
    pub worker_url: Option<Url>,
    /// The address migrations are applied with.
    pub owner_url: Option<Url>,
    /// An address that reaches the server itself, past any pooler: LISTEN, session locks.
    pub direct_url: Option<Url>,
    /// The pool of the request path.
    pub hot: Limits,
    /// The pool of the management API.
    pub control: Limits,
    /// The pool of background work.
    pub workers: Limits,
    /// How often a transaction that conflicted with others is run again.
    pub retries_max: u32,
}

/// The limits of one pool; with separate role addresses, of each role's pool.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many connections the pool may hold.
    pub connections_max: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long one statement may run on the server.
    pub statement_timeout: Duration,
    /// How long one statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How long the server keeps a transaction whose client says nothing.
    pub idle_in_transaction_timeout: Duration,
    /// How long one attempt of a transaction may take, measured here: a server that is
    /// reachable and silent enforces none of its own timeouts.
    pub transaction_timeout: Duration,
    /// After how long an unused connection is closed.
    pub idle_timeout: Duration,
    /// After how long a connection is replaced, so that a failover or a new password takes effect.
    pub lifetime_max: Duration,
}

/// A `postgres://` address, with its password: it never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Options {
    /// The defaults, for one address that serves all roles.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            app_url: None,
            worker_url: None,
            owner_url: None,
            direct_url: None,
            hot: Limits::hot(),
            control: Limits::control(),
            workers: Limits::workers(),
            retries_max: 5,
        }
    }

    /// The addresses and limits of a configuration; none when it asks for the embedded server.
    pub fn external(section: &config::section::Database) -> Result<Option<Self>, Error> {
        let Some(url) = parse(section.url.as_ref())? else {
            return Ok(None);
        };
        let options = Self {
            app_url: parse(section.app_url.as_ref())?,
            worker_url: parse(section.worker_url.as_ref())?,
            owner_url: parse(section.owner_url.as_ref())?,
            direct_url: parse(section.direct_url.as_ref())?,
            ..Self::new(url)
        };
        Ok(Some(options.limited_by(section)))
    }

    /// The same addresses with the limits of a configuration.
    #[must_use]
    pub fn limited_by(self, section: &config::section::Database) -> Self {
        Self {
            hot: self.hot.limited_by(&section.hot),
            control: self.control.limited_by(&section.control),
            workers: self.workers.limited_by(&section.worker),
            ..self
        }
    }

    /// The address of tenant transactions.
    pub fn app(&self) -> &Url {
        self.app_url.as_ref().unwrap_or(&self.url)
    }

    /// The address of worker transactions.
    pub fn worker(&self) -> &Url {
        self.worker_url.as_ref().unwrap_or(&self.url)
    }

    /// The address past any pooler.
    pub fn direct(&self) -> &Url {
        self.direct_url.as_ref().unwrap_or(&self.url)
    }

    /// The address migrations are applied with: the owner's, or else the direct one.
    pub fn owner(&self) -> &Url {
        self.owner_url.as_ref().unwrap_or_else(|| self.direct())
    }
}

impl Limits {
    /// The request path: it would rather be refused at once than wait.
    pub fn hot() -> Self {
        Self {
            connections_max: 8,
            acquire_timeout: Duration::from_millis(250),
            statement_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(1),
            idle_in_transaction_timeout: Duration::from_secs(5),
            transaction_timeout: Duration::from_secs(5),
            ..Self::control()
        }
    }

    /// The management API: a person is waiting.
    pub fn control() -> Self {
        Self {
            connections_max: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(30),
            transaction_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(5),
            lifetime_max: Duration::from_mins(30),
        }
    }

    /// Background work: nobody is waiting, but nothing may run for ever.
    pub fn workers() -> Self {
        Self {
            acquire_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_mins(1),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_mins(1),
            transaction_timeout: Duration::from_mins(2),
            ..Self::control()
        }
    }

    fn limited_by(self, pool: &config::section::Pool) -> Self {
        Self {
            connections_max: pool.connections_max,
            acquire_timeout: pool.acquire_timeout,
            statement_timeout: pool.statement_timeout,
            lock_timeout: pool.lock_timeout,
            // Whoever allows longer statements wants transactions with one of them to finish.
            transaction_timeout: self.transaction_timeout.max(pool.statement_timeout * 2),
            ..self
        }
    }

    pub(crate) fn pool(&self) -> PgPoolOptions {
        PgPoolOptions::new()
            .max_connections(self.connections_max)
            .min_connections(0)
            .acquire_timeout(self.acquire_timeout)
            .idle_timeout(self.idle_timeout)
            .max_lifetime(self.lifetime_max)
            .test_before_acquire(false)
            // The driver's own test on release waits for ever for a connection that died silently, and keeps its place meanwhile.
            .after_release(|connection, _| {
                Box::pin(async move {
                    match tokio::time::timeout(RELEASE_MAX, connection.ping()).await {
                        Ok(tested) => tested.map(|()| true),
                        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                    }
                })
            })
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    if metadata.idle_for > UNTESTED_MAX {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
    }
}

impl Url {
    /// The address as the driver wants it.
    pub(crate) fn connect_options(&self) -> Result<PgConnectOptions, Error> {
        let options = PgConnectOptions::from_str(&self.0)
            .map_err(|_| Error::Settings("not a postgres:// address".to_owned()))?;
        // Sent at the start of a connection it would be one more parameter a pooler has to know.
        Ok(options
            .application_name("flowpilot")
            .extra_float_digits(None))
    }

    /// The same address with another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let (start, query) = match self.0.split_once('?') {
            Some((start, query)) => (start, format!("?{query}")),
            None => (self.0.as_str(), String::new()),
        };
        let (scheme, rest) = start.split_once("://").unwrap_or(("postgres", start));
        let authority = rest.split('/').next().unwrap_or(rest);
        Self(format!("{scheme}://{authority}/{database}{query}"))
    }

    /// The address with its password, for handing to another program.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let url = Self(text.to_owned());
        url.connect_options().map(|_| url)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(***)")
    }
}

fn parse(secret: Option<&config::Secret>) -> Result<Option<Url>, Error> {
    secret.map(|secret| secret.expose().parse()).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_the_rest_of_the_address() {
        let check = |url: &str, expected: &str| {
            let url: Url = url.parse().unwrap();
            assert_eq!(url.with_database("b").expose(), expected);
        };
        check(
            "postgres://u:p@h:1/a?host=%2Frun",
            "postgres://u:p@h:1/b?host=%2Frun",
        );
        check("postgres://u@h", "postgres://u@h/b");
    }

    #[test]
    fn an_address_never_shows_its_password() {
        let options = Options::new("postgres://u:hunter2@h/a".parse().unwrap());
        assert!(!format!("{options:?}").contains("hunter2"));
        let error = "postgres://u:hunter2@h:port/a".parse::<Url>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
