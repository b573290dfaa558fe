//! `[log]`: what is logged, and how it is written.

use serde::Deserialize;

use crate::report::Report;

/// What is logged, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A level, or a filter such as `info,flowpilot=debug`.
    pub level: String,
    /// How it is written.
    pub format: Format,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one object per line.
    Json,
}

impl Log {
    pub(crate) fn check(&self, report: &mut Report) {
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&self.level) {
            report.problem("log.level", format!("is not a filter: {error}"));
        }
    }
}
