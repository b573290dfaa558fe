//! Processes that this run starts, and stops by their ids, whatever way it ends itself.

pub mod account;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::output;

/// Lines of a log that are shown when its process fails.
const LOG_LINES: usize = 20;
/// How long a process may take to stop when the run failed.
const DROP_MAX: Duration = Duration::from_secs(10);
const DROP_POLL: Duration = Duration::from_millis(20);

/// A process of ours.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    id: u32,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it writes to standard error, and to standard output unless that is piped, goes to `log`.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let id = child.id().context("it ended at once")?;
        Ok(Self {
            name,
            child,
            id,
            log: log.to_owned(),
        })
    }

    /// Its id.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Its standard output, where that is piped.
    pub fn output(&mut self) -> Option<tokio::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether it ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to stop and waits; kills it when it takes too long, which is an error.
    pub async fn stop(mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        if let Ok(status) = timeout(patience, self.child.wait()).await {
            return status.with_context(|| format!("cannot wait for {}", self.name));
        }
        self.child.kill().await?;
        anyhow::bail!(
            "{} did not stop within {patience:?} and was killed",
            self.name
        )
    }

    /// The end of its log, for people.
    pub fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(LOG_LINES);
        let end: Vec<&str> = lines.into_iter().skip(skipped).collect();
        end.join("\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.id) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Process {
    /// It is still there when the run failed; asked to stop, it stops its own children too. This blocks, because
    /// nothing else goes on then, and the folder it uses is about to be removed.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        output::note(&format!("stopping {} ({})", self.name, self.id));
        self.signal(Signal::SIGTERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > DROP_MAX {
                self.signal(Signal::SIGKILL);
                return;
            }
            std::thread::sleep(DROP_POLL);
        }
    }
}
