//! The endpoints of routes that an organization defines for itself.

pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod put;

use std::sync::Arc;

use ::api::{Code, ETag, Operations, Origin, Path, Problem, Query};
use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use config::section::{Choice, Hedge, Route, Sticky, Target};
use database::Database;
use serde::{Deserialize, Serialize};
use types::{Clock, Id, Permission, id};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::pipeline::Settings;
use crate::route::own::store::Stored;

/// What the endpoints work with; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Routing {
    /// The database.
    pub(crate) database: Database,
    /// Tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Knows the providers and their prices.
    pub(crate) settings: Arc<ArcSwap<Settings>>,
}

/// Every operation with its permission.
pub(crate) fn operations(routing: Routing) -> Operations<Routing> {
    Operations::new(routing)
        .add(Permission::RoutesRead, routes!(list::list_routes))
        .add(Permission::RoutesRead, routes!(find::find_route))
        .add(Permission::RoutesWrite, routes!(put::put_route))
        .add(Permission::RoutesWrite, routes!(delete::delete_route))
}

/// A route and its name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RouteView {
    /// The name that callers use as a model.
    #[schema(example = "fast")]
    alias: String,
    /// What it means.
    #[serde(flatten)]
    setting: RouteSetting,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
}

/// What a name means; as `[routes.NAME]` of the configuration, which `config/default.toml` explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteSetting {
    /// The deployments, at most 64.
    deployments: Vec<RouteDeployment>,
    /// How one is chosen among those of the same priority.
    #[serde(default)]
    choice: RouteChoice,
    /// Whether the requests of one conversation go to the same deployment.
    #[serde(default)]
    sticky: RouteSticky,
    /// Whether a second deployment is asked when the first is slower than usual.
    #[serde(default)]
    hedge: RouteHedge,
    /// Attempts of one request at most, the first included; 0: as the operator configured.
    #[serde(default)]
    attempts_max: u32,
    /// How long a request may be attempted, in milliseconds; 0: as the operator configured.
    #[serde(default)]
    request_timeout_ms: u64,
}

/// A model of a provider, with its place in the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteDeployment {
    /// `provider/model`, by the provider's name in the configuration.
    #[schema(example = "openai/gpt-4o-mini")]
    target: String,
    /// Its share of the requests among those of its priority; 0: only in need.
    #[serde(default = "one")]
    #[schema(default = 1, required = false)]
    weight: u32,
    /// Lower ones are tried first.
    #[serde(default)]
    priority: u32,
    /// Requests at once; 0: no limit.
    #[serde(default)]
    concurrent_requests_max: u32,
    /// Requests per minute; 0: no limit.
    #[serde(default)]
    requests_per_minute: u32,
}

const fn one() -> u32 {
    1
}

/// Declares a choice of words that the configuration has too, so that neither can have one more.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident of $config:ident { $($(#[$word:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($(#[$word])* $variant),* }

        impl From<$name> for $config {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant),* }
            }
        }
    };
}

words! {
    /// How one is chosen among those of the same priority.
    RouteChoice of Choice {
        /// By their weights alone.
        #[default]
        Weight,
        /// Of two drawn by weight, the one that answers sooner.
        Latency,
    }
}
words! {
    /// Whether the requests of one conversation go to the same deployment.
    RouteSticky of Sticky {
        /// They need not.
        #[default]
        Off,
        /// Those with the same header `x-flowpilot-session` do.
        Session,
        /// Those without it, too: by their first messages and their user.
        Conversation,
    }
}
words! {
    /// Whether a second deployment is asked when the first is slower than usual.
    RouteHedge of Hedge {
        /// No.
        #[default]
        Off,
        /// After the time in which 95 of 100 answers have begun.
        P95,
    }
}

/// One route, in a path.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AliasPath {
    /// The name that callers use as a model.
    alias: String,
}

/// Whose route is meant.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActingFor {
    /// For the operator: whose route it is. Others leave it out; it is their own organization's.
    #[param(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
}

/// A route, whose it is, and from where it is asked for.
#[derive(Debug, FromRequestParts)]
pub(crate) struct Meant {
    #[from_request(via(Path))]
    path: AliasPath,
    #[from_request(via(Query))]
    acting_for: ActingFor,
    origin: Origin,
}

/// The longest name, in bytes: as wide as the ledger's columns of models.
const ALIAS_BYTES_MAX: usize = 255;

/// A name that can stand in a path and in a body without further ado.
fn check_alias(alias: &str) -> Result<(), Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let is_fit = !alias.is_empty() && alias.len() <= ALIAS_BYTES_MAX && alias.chars().all(allowed);
    is_fit.then_some(()).ok_or_else(|| {
        Problem::invalid_field("alias", "is made of 1 to 255 letters, digits and -_.:")
    })
}

impl RouteSetting {
    /// Checks that every deployment can be asked and billed.
    fn check(
        &self,
        settings: &Settings,
        organization: Id<id::Organization>,
        at: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let wrong = |message: String| Problem::invalid_field("deployments", message);
        if self.deployments.is_empty() || self.deployments.len() > Route::DEPLOYMENTS_MAX {
            let most = Route::DEPLOYMENTS_MAX;
            return Err(wrong(format!("must be 1 to {most}")));
        }
        let mut seen = std::collections::BTreeSet::new();
        for deployment in &self.deployments {
            let text = &deployment.target;
            let target = Target::parse(text);
            let target =
                target.ok_or_else(|| wrong(format!("`{text}` names no model: provider/model")))?;
            settings
                .check_target(organization, &target, at)
                .map_err(wrong)?;
            if !seen.insert(text) {
                return Err(wrong(format!("`{text}` is there twice")));
            }
        }
        Ok(())
    }
}

impl TryFrom<Stored> for RouteView {
    type Error = Problem;

    fn try_from(stored: Stored) -> Result<Self, Problem> {
        Ok(Self {
            setting: serde_json::from_value(stored.definition).map_err(Problem::internal)?,
            alias: stored.alias,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        })
    }
}

fn tag(view: &RouteView) -> Result<ETag, Problem> {
    ETag::of(&(&view.setting, view.created_at, view.updated_at))
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound).detail("the organization has no such route")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored here is read by gateways as the configuration's section.
    #[test]
    fn what_is_stored_is_what_the_configuration_reads() {
        let setting: RouteSetting = serde_json::from_value(serde_json::json!({
            "deployments": [{ "target": "demo/demo", "weight": 3 }],
            "sticky": "conversation",
        }))
        .unwrap();
        let stored = serde_json::to_value(&setting).unwrap();
        let route: Route = serde_json::from_value(stored).unwrap();
        assert_eq!(route.deployments.len(), 1);
        assert_eq!(route.deployments[0].weight, 3);
        assert_eq!(route.sticky, setting.sticky.into());
        assert_eq!(route.choice, setting.choice.into());
        assert_eq!(route.hedge, setting.hedge.into());
        assert_eq!((route.attempts_max, route.request_timeout), (None, None));
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for good in ["fast", "gpt-4o", "team:a_b.c"] {
            assert!(check_alias(good).is_ok(), "{good}");
        }
        for bad in ["", "*", "a/b", "a b", "ä", &"x".repeat(256)] {
            assert!(check_alias(bad).is_err(), "{bad}");
        }
    }
}
