//! `[database]`: where PostgreSQL is, who logs in, and the bulkheads between kinds of work.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::secret::{self, Secret};
use crate::unit;

/// Where PostgreSQL is, who logs in, and the bulkheads between kinds of work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The PostgreSQL to use; none: an embedded one.
    #[serde(deserialize_with = "secret::optional")]
    pub url: Option<Secret>,
    /// The login for migrations; none: [`Database::url`].
    #[serde(deserialize_with = "secret::optional")]
    pub owner_url: Option<Secret>,
    /// The login for tenants' transactions; none: [`Database::url`].
    #[serde(deserialize_with = "secret::optional")]
    pub app_url: Option<Secret>,
    /// The login for background work; none: [`Database::url`].
    #[serde(deserialize_with = "secret::optional")]
    pub worker_url: Option<Secret>,
    /// A connection past any pooler, for LISTEN and migrations; none: [`Database::url`].
    #[serde(deserialize_with = "secret::optional")]
    pub direct_url: Option<Secret>,
    /// The folder of a system PostgreSQL's programs for the embedded server; none: the fetched build.
    #[serde(deserialize_with = "unit::path")]
    pub binaries: Option<PathBuf>,
    /// The connections for requests on the way to a model.
    pub hot: Pool,
    /// The connections for the management API and the control plane.
    pub control: Pool,
    /// The connections for background work.
    pub worker: Pool,
}

/// The limits of one bulkhead.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The most connections.
    pub connections_max: u32,
    /// How long to wait for a connection.
    #[serde(rename = "acquire_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub acquire_timeout: Duration,
    /// The longest statement.
    #[serde(
        rename = "statement_timeout_ms",
        deserialize_with = "unit::milliseconds"
    )]
    pub statement_timeout: Duration,
    /// The longest wait for a lock.
    #[serde(rename = "lock_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub lock_timeout: Duration,
}

impl Database {
    pub(crate) fn check(&self, report: &mut Report) {
        self.check_urls(report);
        let pools = [
            ("hot", &self.hot),
            ("control", &self.control),
            ("worker", &self.worker),
        ];
        for (name, pool) in pools {
            pool.check(&format!("database.{name}"), report);
        }
        if let Some(folder) = &self.binaries
            && !folder.is_dir()
        {
            report.problem("database.binaries", "is not a folder");
        }
    }

    fn check_urls(&self, report: &mut Report) {
        let others = [
            ("database.owner_url", &self.owner_url),
            ("database.app_url", &self.app_url),
            ("database.worker_url", &self.worker_url),
            ("database.direct_url", &self.direct_url),
        ];
        for (path, url) in others {
            if url.is_some() && self.url.is_none() {
                report.problem(path, "needs database.url as well");
            }
            check_url(path, url.as_ref(), report);
        }
        check_url("database.url", self.url.as_ref(), report);
    }
}

impl Pool {
    fn check(&self, path: &str, report: &mut Report) {
        report.positive(&format!("{path}.connections_max"), self.connections_max);
        report.duration(&format!("{path}.acquire_timeout_ms"), self.acquire_timeout);
        report.duration(
            &format!("{path}.statement_timeout_ms"),
            self.statement_timeout,
        );
        let lock = format!("{path}.lock_timeout_ms");
        report.duration(&lock, self.lock_timeout);
        if self.lock_timeout > self.statement_timeout {
            report.problem(
                &lock,
                "is longer than statement_timeout_ms, which would end the wait first",
            );
        }
    }
}

/// The message never repeats the address, which has the password in it.
fn check_url(path: &str, url: Option<&Secret>, report: &mut Report) {
    let Some(url) = url else { return };
    match url::Url::parse(url.expose()) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => {}
        Ok(_) => report.problem(path, "must begin with postgres:// or postgresql://"),
        Err(error) => report.problem(path, format!("is not a URL: {error}")),
    }
}
