//! A reload applies as a whole or not at all; files are followed.

use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Live;
use crate::load::Sources;

/// Far more than a reload takes; only a broken one waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Folder(TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write(text);
        folder
    }

    /// Replaces the file at once, as careful editors do.
    fn write(&self, text: &str) {
        let draft = self.0.path().join("draft");
        fs_err::write(&draft, text).unwrap();
        fs_err::rename(draft, self.0.path().join("flowpilot.toml")).unwrap();
    }

    fn live(&self) -> Live {
        Live::start(Sources {
            file: Some(self.0.path().join("flowpilot.toml")),
            ..Sources::default()
        })
        .unwrap()
    }
}

#[test]
fn a_bad_reload_keeps_the_running_configuration() {
    let folder = Folder::new("[limits]\nrequests_per_minute_per_key = 5\n");
    let live = folder.live();
    folder.write("[limits]\nrequests_per_minute_per_key = -1\n[cache]\nmode = \"exakt\"\n");

    let problems = live.reload().unwrap_err();

    let paths: Vec<_> = problems
        .0
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths, ["cache.mode", "limits.requests_per_minute_per_key"]);
    let limit = live.current().limits.requests_per_minute_per_key.unwrap();
    assert_eq!(limit.get(), 5);
}

#[test]
fn a_key_that_needs_a_restart_keeps_its_running_value_and_is_named() {
    let folder = Folder::new("");
    let live = folder.live();
    let listen = live.current().server.listen;
    folder.write("[server]\nlisten = \"127.0.0.1:9\"\n[log]\nlevel = \"debug\"\n");

    let reload = live.reload().unwrap();

    assert_eq!(reload.needs_restart, ["server.listen"]);
    assert_eq!(reload.config.server.listen, listen);
    assert_eq!(reload.config.log.level, "debug");
}

#[test]
fn a_mistake_in_a_key_that_needs_a_restart_is_told_at_the_reload() {
    let folder = Folder::new("");
    let live = folder.live();
    let level = live.current().log.level.clone();
    folder.write("[server]\nlisten = \"nowhere\"\n[log]\nlevel = \"debug\"\n");

    let problems = live.reload().unwrap_err();

    assert_eq!(problems.0[0].path, "server.listen");
    assert_eq!(live.current().log.level, level);
}

#[tokio::test]
async fn a_replaced_file_is_followed_until_the_stop() {
    let folder = Folder::new("");
    let live = folder.live();
    let mut news = live.subscribe();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    live.watch(&tasks, stop.clone()).unwrap();

    folder.write("[log]\nlevel = \"debug\"\n");
    let changed = news.wait_for(|config| config.log.level == "debug");
    drop(
        tokio::time::timeout(PATIENCE, changed)
            .await
            .unwrap()
            .unwrap(),
    );

    stop.cancel();
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.unwrap();
}

/// Kubernetes exchanges the link `..data`; the path of the file itself never changes.
#[tokio::test]
async fn a_file_behind_an_exchanged_link_is_followed() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, level) in [("..1", "info"), ("..2", "warn")] {
        fs_err::create_dir(at(version)).unwrap();
        let text = format!("[log]\nlevel = \"{level}\"\n");
        fs_err::write(at(version).join("flowpilot.toml"), text).unwrap();
    }
    std::os::unix::fs::symlink("..1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/flowpilot.toml", at("flowpilot.toml")).unwrap();
    let live = Live::start(Sources {
        file: Some(at("flowpilot.toml")),
        ..Sources::default()
    })
    .unwrap();
    let mut news = live.subscribe();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    live.watch(&tasks, stop.clone()).unwrap();

    std::os::unix::fs::symlink("..2", at("..data_new")).unwrap();
    fs_err::rename(at("..data_new"), at("..data")).unwrap();

    let changed = news.wait_for(|config| config.log.level == "warn");
    drop(
        tokio::time::timeout(PATIENCE, changed)
            .await
            .unwrap()
            .unwrap(),
    );
    stop.cancel();
}

#[tokio::test]
async fn a_hangup_reloads_even_if_no_file_changed() {
    let live = Live::start(Sources::default()).unwrap();
    let mut news = live.subscribe();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    live.watch(&tasks, stop.clone()).unwrap();

    nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();

    tokio::time::timeout(PATIENCE, news.changed())
        .await
        .unwrap()
        .unwrap();
    stop.cancel();
}
