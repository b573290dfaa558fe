//! Collects what is wrong, so that all of it is told at once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::problem::{Origin, Problem, Problems};

/// What was found so far, and where each key was set.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    origins: BTreeMap<String, Origin>,
}

impl Report {
    /// Remembers where a key was set.
    pub(crate) fn set_at(&mut self, path: String, origin: Origin) {
        self.origins.insert(path, origin);
    }

    /// Forgets where a key was set, because its value is the default again.
    pub(crate) fn unset(&mut self, path: &str) {
        self.origins.remove(path);
    }

    /// Where a key was set; nowhere if it has its default.
    pub(crate) fn origin(&self, path: &str) -> Option<&Origin> {
        self.origins.get(path)
    }

    /// Something is wrong with a key, or with all that is under it.
    pub(crate) fn problem(&mut self, path: &str, message: impl Into<String>) {
        let problem = self.describe(path, message.into());
        self.problems.push(problem);
    }

    /// Something is wrong at a place that is no known key.
    pub(crate) fn problem_at(&mut self, path: &str, message: impl Into<String>, origin: Origin) {
        self.problems.push(Problem {
            path: path.to_owned(),
            message: message.into(),
            origin: Some(origin),
        });
    }

    /// Something is worth knowing.
    pub(crate) fn warning(&mut self, path: &str, message: impl Into<String>) {
        let warning = self.describe(path, message.into());
        self.warnings.push(warning);
    }

    /// A number that must not be 0.
    pub(crate) fn positive<T: Copy + Default + PartialEq>(&mut self, path: &str, value: T) {
        if value == T::default() {
            self.problem(path, "must be more than 0");
        }
    }

    /// A time that must not be 0.
    pub(crate) fn duration(&mut self, path: &str, value: Duration) {
        self.positive(path, value);
    }

    /// The warnings, if nothing is wrong.
    pub(crate) fn finish(mut self) -> Result<Vec<Problem>, Problems> {
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        self.problems.sort_by(|a, b| a.path.cmp(&b.path));
        self.problems.dedup();
        Err(Problems(self.problems))
    }

    fn describe(&self, path: &str, message: String) -> Problem {
        Problem {
            path: path.to_owned(),
            message,
            origin: self.origins.get(path).cloned(),
        }
    }
}
