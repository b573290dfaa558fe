//! `[templates]`: how large prompt templates may be, and how much work one may make.

use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// How large prompt templates may be, and how much work one may make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// Templates of one organization.
    pub per_organization_max: u32,
    /// The largest source, in bytes.
    pub source_bytes_max: usize,
    /// The variables of one call, in bytes of JSON.
    pub variables_bytes_max: usize,
    /// What one template renders to at most, in bytes.
    pub output_bytes_max: usize,
    /// Steps of work of one render; see `docs/templates.md`.
    pub fuel: u64,
    /// How deep macros and loops may call each other.
    pub recursion_max: usize,
    /// The memory of one worker, in bytes, enforced by the operating system.
    pub memory_bytes_max: u64,
    /// How long one render may take.
    #[serde(rename = "deadline_ms", deserialize_with = "unit::milliseconds")]
    pub deadline: Duration,
    /// Processes that render.
    pub workers: usize,
    /// Renders waiting for a worker; more are refused.
    pub queue_max: usize,
    /// Renders of one organization waiting or running at once; more are refused.
    pub queue_per_organization_max: usize,
    /// The memory for stored templates, in bytes.
    pub stored_bytes_max: u64,
}

/// A worker cannot start in less: the program's own data takes some of it.
const MEMORY_BYTES_MIN: u64 = 16 * 1024 * 1024;

impl Templates {
    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("templates.per_organization_max", self.per_organization_max);
        report.positive("templates.source_bytes_max", self.source_bytes_max);
        report.positive("templates.variables_bytes_max", self.variables_bytes_max);
        report.positive("templates.output_bytes_max", self.output_bytes_max);
        report.positive("templates.fuel", self.fuel);
        report.positive("templates.recursion_max", self.recursion_max);
        report.duration("templates.deadline_ms", self.deadline);
        report.positive("templates.workers", self.workers);
        report.positive("templates.queue_max", self.queue_max);
        report.positive(
            "templates.queue_per_organization_max",
            self.queue_per_organization_max,
        );
        report.positive("templates.stored_bytes_max", self.stored_bytes_max);
        if self.memory_bytes_max < MEMORY_BYTES_MIN {
            report.problem(
                "templates.memory_bytes_max",
                format!("must be at least {MEMORY_BYTES_MIN}: a worker does not start in less"),
            );
        }
    }
}
