//! What is written to the terminal: JSON lines to standard output, remarks for people to standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

/// Something this run needs is not on the machine (`EX_UNAVAILABLE` of sysexits).
pub const UNAVAILABLE: u8 = 69;

/// How a sub-command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// What it checks holds.
    Holds,
    /// What it checks does not hold.
    Fails,
    /// It could not check: something it needs is missing.
    Unavailable,
}

impl Verdict {
    /// [`Verdict::Holds`] where the condition is true.
    pub const fn when(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Holds => Self::SUCCESS,
            Verdict::Fails => Self::FAILURE,
            Verdict::Unavailable => Self::from(UNAVAILABLE),
        }
    }
}

/// Writes one line of JSON to standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value).context("a result does not serialize")?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Writes a remark to standard error; nobody is helped by failing when that is closed.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
