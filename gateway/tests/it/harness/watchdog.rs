//! Cleans up after a test process, even one that was itself killed: no gateway and no folder stays behind.
//!
//! A shell reads the ids of processes that live from a pipe. The pipe ends with us, however we end, and the shell
//! then kills whoever is left. Standard Rust marks our end of the pipe as not to be inherited.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use parking_lot::Mutex;

const WATCH: &str = r#"
ids=
while read -r sign id; do
    left=
    for other in $ids; do [ "$other" = "$id" ] || left="$left $other"; done
    ids=$left
    [ "$sign" = + ] && ids="$ids $id"
done
[ -z "$ids" ] || kill -KILL $ids
rm -rf "$1"
"#;

static WATCHDOG: LazyLock<Watchdog> = LazyLock::new(|| {
    let folder = tempfile::Builder::new()
        .prefix("flowpilot-gateway-test-")
        // The embedded database runs as another user when we are root.
        .permissions(Permissions::from_mode(0o755))
        .tempdir();
    let folder = folder.unwrap().keep();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", WATCH, "watchdog"])
        .arg(&folder)
        .stdin(Stdio::piped())
        // A Ctrl-C at the terminal is for us; the watchdog must outlive us by a moment.
        .process_group(0);
    Watchdog {
        folder,
        shell: Mutex::new(shell.spawn().unwrap()),
    }
});

struct Watchdog {
    folder: PathBuf,
    shell: Mutex<Child>,
}

/// The folder for everything of this process; it goes when the process goes.
pub(super) fn folder() -> &'static Path {
    &WATCHDOG.folder
}

/// It must not outlive this process.
pub(super) fn watch(child: &Child) {
    tell('+', child);
}

/// It has ended, or is about to be ended by us.
pub(super) fn forget(child: &Child) {
    tell('-', child);
}

fn tell(sign: char, child: &Child) {
    let mut shell = WATCHDOG.shell.lock();
    let pipe = shell.stdin.as_mut().unwrap();
    writeln!(pipe, "{sign} {}", child.id()).unwrap();
}
