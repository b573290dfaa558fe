//! The one place that prints. Standard error, so that a task's result can be piped.

use std::io::Write;

/// Prints a line. A closed terminal is no reason to fail.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// Prints the heading of a step.
pub(crate) fn heading(title: &str) {
    say(&format!("\n=== {title}"));
}
