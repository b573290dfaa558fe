//! What commands say: the only place that writes to standard output and standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// A line on standard output. A reader that has gone is no reason to fail.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Text on standard output, as it is.
pub(crate) fn raw(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Bytes on standard output, as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let _ = io::stdout().lock().write_all(bytes);
}

/// A complaint on standard error.
pub(crate) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
