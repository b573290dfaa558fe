//! Routes that organizations define for themselves: what an organization says of a name comes before the configuration.
//!
//! All of them are held in memory and read anew when one changes: a notification says so at once, a counter within a
//! second. While the database is away, what is known holds on.

mod follow;
pub(crate) mod store;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use config::section::Route;
use database::Database;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::Id;
use types::id::Organization;

use super::Routes;
use super::plan::Plan;
use follow::Follower;

/// The routes of all organizations; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnRoutes {
    by_organization: Arc<ArcSwap<ByOrganization>>,
}

type ByOrganization = HashMap<Id<Organization>, HashMap<String, Arc<OwnRoute>>>;

/// One route of one organization.
#[derive(Debug)]
struct OwnRoute {
    route: Route,
    /// Made when it is first used; made anew when the configuration changes.
    plan: ArcSwapOption<Plan>,
}

impl OwnRoutes {
    /// Reads the table, and follows it on a task of the tracker until `stop`.
    pub(crate) async fn start(
        &self,
        database: Database,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<(), database::Error> {
        let mut follower = Follower::new(self.clone(), database);
        follower.read().await?;
        tasks.spawn(follower.follow(stop));
        Ok(())
    }

    /// What a name means to an organization, if it says so itself.
    pub(crate) fn plan(
        &self,
        organization: Id<Organization>,
        model: &str,
        routes: &Routes,
    ) -> Option<Arc<Plan>> {
        let all = self.by_organization.load();
        if all.is_empty() {
            return None;
        }
        all.get(&organization)?.get(model)?.plan(routes)
    }

    /// The names an organization defines.
    pub(crate) fn names(&self, organization: Id<Organization>) -> Vec<String> {
        let all = self.by_organization.load();
        let own = all.get(&organization);
        own.map_or_else(Vec::new, |own| own.keys().cloned().collect())
    }

    /// Takes what the table says; routes that did not change keep what their limits have counted.
    fn replace(&self, rows: Vec<store::Row>) {
        let before = self.by_organization.load();
        let mut all = ByOrganization::new();
        for row in rows {
            let unchanged = before
                .get(&row.organization)
                .and_then(|own| own.get(&row.alias));
            let unchanged = unchanged.filter(|own| own.route == row.route);
            let route = unchanged.cloned().unwrap_or_else(|| {
                Arc::new(OwnRoute {
                    route: row.route,
                    plan: ArcSwapOption::empty(),
                })
            });
            all.entry(row.organization)
                .or_default()
                .insert(row.alias, route);
        }
        self.by_organization.store(Arc::new(all));
    }
}

impl OwnRoute {
    fn plan(&self, routes: &Routes) -> Option<Arc<Plan>> {
        if let Some(plan) = &*self.plan.load()
            && routes.has_made(plan)
        {
            return Some(Arc::clone(plan));
        }
        let plan = Arc::new(routes.plan_of(&self.route)?);
        self.plan.store(Some(Arc::clone(&plan)));
        Some(plan)
    }
}
