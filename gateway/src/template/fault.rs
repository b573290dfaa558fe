//! What is wrong with a template or a render of it, said so that its author finds the place.
//!
//! A message may quote the template's source, never a variable's value: errors are seen by more people than prompts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a template is no template, or why a render of it ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) struct Fault {
    /// Whose fault it is.
    pub(crate) kind: FaultKind,
    /// What is wrong.
    pub(crate) message: String,
    /// Where in the source.
    pub(crate) place: Option<Place>,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FaultKind {
    /// The source cannot be read, or does what cannot be done.
    Template,
    /// It would take more than a limit allows.
    Limit,
}

/// A place in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The character in the line, from 1.
    pub(crate) column: usize,
}

impl Fault {
    /// The author's mistake.
    pub(crate) fn template(message: impl Into<String>) -> Self {
        Self {
            kind: FaultKind::Template,
            message: message.into(),
            place: None,
        }
    }

    /// More than a limit allows.
    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self {
            kind: FaultKind::Limit,
            message: message.into(),
            place: None,
        }
    }

    /// At a place.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.place {
            Some(Place { line, column }) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}
