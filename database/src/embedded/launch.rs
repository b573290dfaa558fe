//! Starts the server so that it ends when we end, even when we are killed.
//!
//! Linux sends a signal to a child whose parent thread ended, if the child asked for it. A change of
//! user clears the request, and asking between fork and exec would need unsafe code. So our own
//! program is run once more: it drops its rights, asks for the signal, and becomes the server.
//! Where that is not to be had, a shell waits for the end of a pipe that we hold open.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::Durability;
use super::cluster::Cluster;
use super::identity::Identity;

/// The hidden sub-command of our own binary that calls [`main`].
pub const SUBCOMMAND: &str = "__postgres";

/// How the server's process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launcher {
    /// Through our own binary's hidden sub-command [`SUBCOMMAND`].
    OwnBinary(PathBuf),
    /// Through a shell that watches a pipe.
    Watched,
}

/// Runs the server until it ends or standard input does; then removes what was a test's.
const WATCH: &str = r#"
scratch=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -INT "$server"; } &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
[ -z "$scratch" ] || rm -rf "$scratch" 2>/dev/null
exit "$status"
"#;

/// The body of the hidden sub-command: `PARENT UID GID PROGRAM ARGUMENT…`, with `-` for "as we are".
///
/// Returns only when the server could not be started.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let reason = match become_server(arguments.into_iter().collect()) {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    // There is no subscriber here yet; standard error is the server's log.
    let _ = writeln!(std::io::stderr(), "could not start the database: {reason}");
    ExitCode::FAILURE
}

impl Launcher {
    /// The command that starts the server; its standard input is to be held open.
    pub(super) fn command(&self, cluster: &Cluster) -> Command {
        let program = cluster.options.binaries.program("postgres");
        let mut command = match self {
            Self::OwnBinary(own) if cfg!(target_os = "linux") => {
                let (uid, gid) = match cluster.identity {
                    Identity::Ourselves => ("-".to_owned(), "-".to_owned()),
                    Identity::Other { uid, gid } => (uid.to_string(), gid.to_string()),
                };
                let mut command = bare_command(own);
                command.arg(SUBCOMMAND);
                command.args([std::process::id().to_string(), uid, gid]);
                command
            }
            _ => {
                let mut command = bare_command(Path::new("/bin/sh"));
                command.args(["-c", WATCH, "flowpilot-postgres"]);
                command.arg(match cluster.options.durability {
                    Durability::Durable => OsString::new(),
                    Durability::Throwaway => cluster.data().into_os_string(),
                });
                cluster.identity.apply(&mut command);
                command
            }
        };
        command
            .arg(program)
            .args(cluster.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // A Ctrl-C in the terminal is for the gateway, which stops the server last.
            .process_group(0);
        command
    }
}

/// A command without our environment, which may hold provider keys.
pub(super) fn bare_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

#[cfg(target_os = "linux")]
fn become_server(arguments: Vec<OsString>) -> Result<std::convert::Infallible, String> {
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;
    use nix::unistd::{Gid, Uid, getppid, setgid, setgroups, setuid};

    let mut arguments = arguments.into_iter();
    let mut number = || -> Result<Option<u32>, String> {
        let word = arguments.next().ok_or("an argument is missing")?;
        let word = word.to_str().ok_or("an argument is not text")?;
        if word == "-" {
            return Ok(None);
        }
        let number = word.parse();
        number.map(Some).map_err(|_| format!("{word} is no number"))
    };
    let (parent, uid, gid) = (number()?, number()?, number()?);
    let program = arguments.next().ok_or("the program is missing")?;

    if let (Some(uid), Some(gid)) = (uid, gid) {
        let gid = Gid::from_raw(gid);
        setgroups(&[gid])
            .and_then(|()| setgid(gid))
            .and_then(|()| setuid(Uid::from_raw(uid)))
            .map_err(|error| format!("rights could not be dropped: {error}"))?;
    }
    set_pdeathsig(Signal::SIGINT)
        .map_err(|error| format!("the parent cannot be watched: {error}"))?;
    // It may have ended before the request was made.
    if u32::try_from(getppid().as_raw()).ok() != parent {
        return Err("the gateway is gone".to_owned());
    }
    let error = Command::new(program).args(arguments).exec();
    Err(error.to_string())
}

#[cfg(not(target_os = "linux"))]
fn become_server(_: Vec<OsString>) -> Result<std::convert::Infallible, String> {
    Err("this is for Linux only".to_owned())
}
