//! A server that outlived its gateway: found by its lock file, and ended before a new one starts.
//!
//! The lock file itself is never touched. PostgreSQL removes a stale one, after checks of its own
//! that protect the data.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Error;

/// How long a fast shutdown may take: it writes a checkpoint.
const FAST_SHUTDOWN_MAX: Duration = Duration::from_secs(30);

/// How long an immediate shutdown may take.
const IMMEDIATE_SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// How often to look whether something happened.
const POLL: Duration = Duration::from_millis(10);

/// The lock file of a data folder, as far as we use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockFile {
    pub(super) process: Pid,
    started: String,
    pub(super) ready: bool,
}

impl LockFile {
    /// Reads it; none when it is not there or not yet complete.
    pub(super) fn read(data: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            process: Pid::from_raw(lines.first()?.parse().ok()?),
            started: (*lines.get(2)?).to_owned(),
            ready: lines.get(7).is_some_and(|status| *status == "ready"),
        })
    }

    /// Whether both tell of the same run of the server.
    pub(super) fn same_run(&self, other: &Self) -> bool {
        self.process == other.process && self.started == other.started
    }
}

/// Ends a server that still runs on a data folder, and waits for its end.
pub(super) fn end(data: &Path) -> Result<(), Error> {
    let Some(lock) = LockFile::read(data) else {
        return Ok(());
    };
    if !runs_on(lock.process, data) {
        return Ok(());
    }
    tracing::warn!(
        process_id = lock.process.as_raw(),
        "ending a database server that a killed gateway left behind"
    );
    let steps = [
        (Signal::SIGINT, FAST_SHUTDOWN_MAX),
        (Signal::SIGQUIT, IMMEDIATE_SHUTDOWN_MAX),
    ];
    for (signal, limit) in steps {
        // It may end by itself at this moment.
        let _ = kill(lock.process, signal);
        if wait(limit, || !runs_on(lock.process, data)) {
            return Ok(());
        }
    }
    Err(Error::Orphan {
        process_id: lock.process.as_raw(),
    })
}

/// Waits for a condition; whether it came true in time.
pub(super) fn wait(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > limit {
            return false;
        }
        sleep(POLL);
    }
    true
}

/// Whether a process is a PostgreSQL that works in this data folder; its number alone says nothing.
#[cfg(target_os = "linux")]
fn runs_on(process: Pid, data: &Path) -> bool {
    let process = Path::new("/proc").join(process.to_string());
    let folder = std::fs::read_link(process.join("cwd")).ok();
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim() == "postgres" && folder.is_some() && folder == std::fs::canonicalize(data).ok()
}

/// Without `/proc` it cannot be told; PostgreSQL's own check of its lock file decides.
#[cfg(not(target_os = "linux"))]
fn runs_on(_: Pid, _: &Path) -> bool {
    false
}
