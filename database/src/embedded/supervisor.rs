//! The thread that starts the server, starts it again when it dies, and stops it at the end.
//!
//! It lives as long as the process does: the kernel's parent-death signal follows the thread that
//! started a child, not the process. It alone owns the child, so no signal can hit another process.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::cluster::Cluster;
use super::files::create_open_folder;
use super::orphan::{self, LockFile, wait};
use super::{Error, Launcher, ServerOptions, bootstrap};
use crate::Url;

/// How long a start may take: after a crash the log is replayed first.
const START_MAX: Duration = Duration::from_mins(5);

/// How often a start is tried. After a kill, the server's old processes may need a moment to end.
const START_ATTEMPTS_MAX: u32 = 6;

/// The wait before the second attempt; it doubles with each further one.
const START_DELAY: Duration = Duration::from_millis(100);

/// How often to look whether the server still runs.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How long a fast shutdown may take; then follows an immediate one.
const FAST_SHUTDOWN_MAX: Duration = Duration::from_secs(30);

/// How long an immediate shutdown may take; then follows a kill.
const IMMEDIATE_SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// A request to stop, with whom to tell.
pub(super) type Stop = oneshot::Sender<()>;

/// A running server.
struct Running {
    child: Child,
    // For the shell of `Launcher::Watched`: closing it stops the server.
    input: Option<ChildStdin>,
    server: Pid,
}

/// Where the server is reached.
#[derive(Debug)]
pub(super) struct Addresses {
    /// With the gateway's login role.
    pub(super) app: Url,
    /// With the superuser.
    pub(super) admin: Url,
}

/// The thread's body. `started` hears once whether the server runs; then `stops` is obeyed.
pub(super) fn run(
    options: ServerOptions,
    process_id: &AtomicI32,
    started: oneshot::Sender<Result<Addresses, Error>>,
    stops: &Receiver<Stop>,
) {
    match open(options) {
        Err(error) => {
            let _ = started.send(Err(error));
        }
        Ok((lock, cluster, running, addresses)) => {
            process_id.store(running.server.as_raw(), Ordering::Release);
            // Nobody may wait for it any more; then `stops` is closed, and the server ends at once.
            let _ = started.send(Ok(addresses));
            let request = supervise(&cluster, running, process_id, stops);
            drop(lock);
            if let Some(request) = request {
                let _ = request.send(());
            }
        }
    }
}

fn open(options: ServerOptions) -> Result<(File, Cluster, Running, Addresses), Error> {
    create_open_folder(&options.folder)?;
    let folder = fs_err::canonicalize(&options.folder)?;
    let lock = lock(&folder)?;
    let cluster = Cluster::open(ServerOptions { folder, ..options })?;
    let addresses = Addresses {
        app: cluster.door.app()?,
        admin: cluster.door.admin()?,
    };
    let running = start(&cluster)?;
    if let Err(error) = bootstrap::run(&cluster) {
        running.stop();
        return Err(error);
    }
    Ok((lock, cluster, running, addresses))
}

/// Only one gateway may use a folder. The lock ends with the file's handle, so with the process.
fn lock(folder: &Path) -> Result<File, Error> {
    let file = fs_err::File::create(folder.join("lock"))?.into_file();
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Keeps the server running until a stop is asked for or the handle is gone.
fn supervise(
    cluster: &Cluster,
    running: Running,
    process_id: &AtomicI32,
    stops: &Receiver<Stop>,
) -> Option<Stop> {
    let mut running = Some(running);
    loop {
        match stops.recv_timeout(WATCH_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => running = watch(cluster, running, process_id),
            request => {
                if let Some(running) = running {
                    running.stop();
                }
                process_id.store(0, Ordering::Release);
                return request.ok();
            }
        }
    }
}

/// Starts the server again if it ended; without success, the next look tries again.
fn watch(cluster: &Cluster, running: Option<Running>, process_id: &AtomicI32) -> Option<Running> {
    if let Some(mut running) = running {
        match running.child.try_wait() {
            Ok(None) => return Some(running),
            Ok(Some(status)) => {
                tracing::error!(%status, "the database server ended by itself; starting it again");
            }
            Err(error) => tracing::error!(%error, "the database server cannot be watched"),
        }
    }
    process_id.store(0, Ordering::Release);
    let running = start(cluster)
        .inspect_err(|error| tracing::error!(%error, "the database server did not start"))
        .ok()?;
    process_id.store(running.server.as_raw(), Ordering::Release);
    Some(running)
}

fn start(cluster: &Cluster) -> Result<Running, Error> {
    orphan::end(&cluster.data())?;
    let mut delay = START_DELAY;
    for _ in 1..START_ATTEMPTS_MAX {
        if let Ok(running) = attempt(cluster) {
            return Ok(running);
        }
        std::thread::sleep(delay);
        delay *= 2;
    }
    attempt(cluster)
}

fn attempt(cluster: &Cluster) -> Result<Running, Error> {
    let before = LockFile::read(&cluster.data());
    let mut command = cluster.options.launcher.command(cluster);
    let mut child = command.stderr(cluster.open_log()?).spawn()?;
    let mut input = child.stdin.take();
    if matches!(&cluster.options.launcher, Launcher::OwnBinary(_)) && cfg!(target_os = "linux") {
        input = None;
    }

    let mut ready = None;
    let mut ended = false;
    wait(START_MAX, || {
        ended = !matches!(child.try_wait(), Ok(None));
        ready = LockFile::read(&cluster.data()).filter(|lock| {
            let stale = before.as_ref().is_some_and(|old| old.same_run(lock));
            lock.ready && !stale
        });
        ended || ready.is_some()
    });
    match ready {
        Some(lock) if !ended => Ok(Running {
            child,
            input,
            server: lock.process,
        }),
        _ => {
            let server = Pid::from_raw(child.id().cast_signed());
            let running = Running {
                child,
                input,
                server,
            };
            running.stop();
            Err(Error::Start {
                log: cluster.log_tail(),
            })
        }
    }
}

impl Running {
    /// Ends the server: open transactions are rolled back, what is committed is written.
    fn stop(mut self) {
        // The watching shell ends the server when its input ends.
        let watched = self.input.take().is_some();
        if !watched {
            self.signal(Signal::SIGINT);
        }
        if self.ends_within(FAST_SHUTDOWN_MAX) {
            return;
        }
        tracing::warn!("the database server does not shut down; stopping it at once");
        self.signal(Signal::SIGQUIT);
        if !self.ends_within(IMMEDIATE_SHUTDOWN_MAX) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Signals the server, which has not been waited for and so still has its number.
    fn signal(&mut self, signal: Signal) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.server, signal);
        }
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        wait(limit, || !matches!(self.child.try_wait(), Ok(None)))
    }
}
