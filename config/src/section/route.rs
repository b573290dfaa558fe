//! `[routes.NAME]`: several deployments behind one name, and how one of them is chosen.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::models::Target;
use crate::key::Key;
use crate::report::Report;
use crate::unit;

/// Several deployments behind one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The deployments.
    pub deployments: Vec<Deployment>,
    /// How one is chosen among those of the same priority.
    pub choice: Choice,
    /// Whether the requests of one conversation go to the same deployment.
    pub sticky: Sticky,
    /// Whether a second deployment is asked when the first is slower than usual.
    pub hedge: Hedge,
    /// Attempts of one request at most, the first included; none: as in `[routing]`.
    #[serde(deserialize_with = "unit::limit")]
    pub attempts_max: Option<NonZeroU32>,
    /// How long a request may be attempted; none: as in `[routing]`.
    #[serde(rename = "request_timeout_ms", deserialize_with = "unit::timeout")]
    pub request_timeout: Option<Duration>,
}

/// A model of a provider, with its place in a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The model and its provider.
    pub target: Target,
    /// Its share of the requests among those of its priority; 0: only in need.
    pub weight: u32,
    /// Lower ones are tried first.
    pub priority: u32,
    /// Requests at once; none: no limit.
    pub concurrent_requests_max: Option<NonZeroU32>,
    /// Requests per minute; none: no limit.
    pub requests_per_minute: Option<NonZeroU32>,
}

/// How one is chosen among those of the same priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// By their weights alone.
    Weight,
    /// Of two drawn by weight, the one that answers sooner.
    Latency,
}

/// Whether the requests of one conversation go to the same deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// They need not.
    Off,
    /// Those with the same header `x-flowpilot-session` do.
    Session,
    /// Those without it, too: by their first messages and their user.
    Conversation,
}

/// Whether a second deployment is asked when the first is slower than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hedge {
    /// No.
    Off,
    /// After the time in which 95 of 100 answers have begun.
    P95,
}

/// A deployment in its long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    target: Target,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    priority: u32,
    #[serde(default, deserialize_with = "unit::limit")]
    concurrent_requests_max: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "unit::limit")]
    requests_per_minute: Option<NonZeroU32>,
}

const fn one() -> u32 {
    1
}

impl Route {
    /// Those tried by one request are remembered as bits of a word.
    pub const DEPLOYMENTS_MAX: usize = 64;

    pub(crate) fn check(&self, path: &Key, report: &mut Report) {
        let path = path.child("deployments").to_string();
        if self.deployments.is_empty() {
            report.problem(&path, "is empty: name at least one \"provider/model\"");
        }
        if self.deployments.len() > Self::DEPLOYMENTS_MAX {
            report.problem(&path, format!("has more than {}", Self::DEPLOYMENTS_MAX));
        }
        let mut seen = BTreeSet::new();
        for deployment in &self.deployments {
            if !seen.insert(&deployment.target) {
                report.problem(&path, format!("names `{}` twice", deployment.target));
            }
        }
    }
}

impl Deployment {
    /// A model with the place that it has if nothing is said.
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            weight: one(),
            priority: 0,
            concurrent_requests_max: None,
            requests_per_minute: None,
        }
    }
}

impl From<Table> for Deployment {
    fn from(table: Table) -> Self {
        Self {
            target: table.target,
            weight: table.weight,
            priority: table.priority,
            concurrent_requests_max: table.concurrent_requests_max,
            requests_per_minute: table.requests_per_minute,
        }
    }
}

/// `"provider/model"`, or a table; written by hand, because an untagged enum would only say that neither fits.
impl<'de> Deserialize<'de> for Deployment {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Deployment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"provider/model\" or { target = \"provider/model\", … }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Deployment, E> {
                let target = Target::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Deployment::new(target))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Deployment, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Deployment::from)
            }
        }

        source.deserialize_any(Either)
    }
}
