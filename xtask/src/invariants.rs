//! The rules of ARCHITECTURE.md that a program can check, so that a review need not.
//!
//! # Adding a rule
//! A function from [`Tree`] to breaches in a module here, a line in [`RULES`], a test with a text that breaks it.

mod arrows;
mod environment;
mod form;
mod lockfile;
mod phrases;
mod sql;
mod tables;

use std::fmt;

use anyhow::{Result, bail};

use crate::cargo;
use crate::output::say;
use crate::tree::Tree;

/// A rule in a sentence, and what finds where it is broken.
type Rule = (&'static str, fn(&Tree) -> Vec<Breach>);

const RULES: &[Rule] = &[
    ("only `config` reads the environment", environment::check),
    ("SQL stands in `store` modules", sql::check),
    ("a table is written by its owner", tables::check),
    ("crates depend along the arrows", arrows::check),
    ("every file says what it is for, and is short", form::check),
    ("no C cryptography is linked", lockfile::check),
    ("no phrase of the list is used", phrases::check),
];

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    path: String,
    /// From 1; 0 stands for the whole file.
    line: usize,
    what: String,
}

pub(crate) fn run() -> Result<()> {
    let tree = Tree::read(cargo::root())?;
    let mut count = 0;
    for (rule, check) in RULES {
        let breaches = check(&tree);
        count += breaches.len();
        let verdict = if breaches.is_empty() { "ok" } else { "BROKEN" };
        say(&format!("{rule}: {verdict}"));
        for breach in breaches {
            say(&format!("  {breach}"));
        }
    }
    if count > 0 {
        bail!("the invariants are broken in {count} places");
    }
    Ok(())
}

impl Breach {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}
