//! Ends the gateways of a test process that was itself killed.
//!
//! A shell reads the ids of processes that live from a pipe. The pipe ends with us, however we end, and the shell
//! then kills whoever is left. Standard Rust marks our end of the pipe as not to be inherited.

use std::io::Write;
use std::os::unix::process::CommandExt;
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
"#;

static WATCHDOG: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WATCH]).stdin(Stdio::piped());
    // A Ctrl-C at the terminal is for us; the watchdog must outlive us by a moment.
    shell.process_group(0);
    Mutex::new(shell.spawn().unwrap())
});

/// It must not outlive this process.
pub(super) fn watch(child: &Child) {
    tell('+', child);
}

/// It has ended, or is about to be ended by us.
pub(super) fn forget(child: &Child) {
    tell('-', child);
}

fn tell(sign: char, child: &Child) {
    let mut watchdog = WATCHDOG.lock();
    let pipe = watchdog.stdin.as_mut().unwrap();
    writeln!(pipe, "{sign} {}", child.id()).unwrap();
}
