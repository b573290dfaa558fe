//! Reloads on SIGHUP and when a file changes.
//!
//! Folders are watched, not files: an editor's rename and Kubernetes' exchange of a symbolic link put another file in the
//! place of the watched one. Whatever happens in such a folder, only changed contents cause a reload; reading them causes none.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Live;

/// How long to wait after the first sign of a change, so that several files can be replaced together.
const SETTLE: Duration = Duration::from_millis(200);

/// Why the files cannot be followed.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The operating system refuses to tell about changes of files.
    #[error("watch the files of the configuration")]
    Files(#[source] notify::Error),
    /// The operating system refuses to tell about signals.
    #[error("listen for SIGHUP")]
    Signal(#[source] std::io::Error),
}

/// What one task follows.
struct Follower {
    live: Live,
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<()>,
    hangups: Signal,
    /// Of the contents that were read last.
    fingerprint: u64,
}

impl Live {
    /// Reloads on SIGHUP and when a file changes, until `stop`. Changes after the return are noticed.
    pub fn watch(&self, tasks: &TaskTracker, stop: CancellationToken) -> Result<(), WatchError> {
        let follower = Follower::new(self.clone())?;
        tasks.spawn(follower.run(stop));
        Ok(())
    }
}

impl Follower {
    fn new(live: Live) -> Result<Self, WatchError> {
        // One place is enough: a sign that waits to be read says all that a second one would.
        let (sender, changes) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full means that a sign waits; closed means that we are stopping.
                let _ = sender.try_send(());
            }
        });
        let mut follower = Self {
            fingerprint: fingerprint(&live.current().files),
            live,
            watcher: watcher.map_err(WatchError::Files)?,
            folders: BTreeSet::new(),
            changes,
            hangups: signal(SignalKind::hangup()).map_err(WatchError::Signal)?,
        };
        follower.watch_folders()?;
        Ok(follower)
    }

    /// Safe to drop at every `await`: a reload that has begun ends on its own thread.
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                hangup = self.hangups.recv() => hangup.is_some(),
                change = self.changes.recv() => match change {
                    Some(()) => false,
                    None => return,
                },
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SETTLE) => {}
            }
            self.reload(asked).await;
        }
    }

    /// Reloads if somebody asked for it, or if a file has other contents than before.
    async fn reload(&mut self, asked: bool) {
        let live = self.live.clone();
        let before = self.fingerprint;
        let reload = move || {
            let now = fingerprint(&live.current().files);
            // The outcome is logged and counted where it arises.
            let applied = (asked || now != before) && live.reload().is_ok();
            let files = &live.current().files;
            if applied { fingerprint(files) } else { now }
        };
        if let Ok(fingerprint) = tokio::task::spawn_blocking(reload).await {
            self.fingerprint = fingerprint;
        }
        if let Err(error) = self.watch_folders() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a file of the configuration is not followed"
            );
        }
    }

    /// Watches the folders of all files, and of what they link to.
    fn watch_folders(&mut self) -> Result<(), WatchError> {
        for file in &self.live.current().files {
            let target = fs_err::canonicalize(file).ok();
            for path in [Some(file.clone()), target].into_iter().flatten() {
                let folder = folder_of(&path);
                if self.folders.contains(&folder) {
                    continue;
                }
                self.watcher
                    .watch(&folder, RecursiveMode::NonRecursive)
                    .map_err(WatchError::Files)?;
                self.folders.insert(folder);
            }
        }
        Ok(())
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A number that changes with the contents of any of the files.
fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs_err::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}
