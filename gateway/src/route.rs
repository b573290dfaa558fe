//! Which deployments may answer for a model's name, and which of them does.
//!
//! A name is looked for as an alias, then as `provider/model`, then among the priced models of every configured
//! provider, then under the alias `*`. What comes out is a [`Plan`]: one deployment or several, each a provider and the
//! model in its own words. [`Choice`] is the way of one request through its plan.
//!
//! Plans are made once and remembered, so that a request's costs one look into a map.

mod breaker;
mod budget;
mod choice;
mod deployment;
mod dice;
mod endpoint;
mod failure;
mod latency;
pub(crate) mod own;
mod plan;
pub(crate) mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use config::Config;
use config::section::{Alias, Models, Routing, Target};
use metering::{Price, PriceBook};
use parking_lot::Mutex;
use types::Id;
use types::id::Organization;

use crate::error::Error;
use endpoint::Endpoint;
use own::OwnRoutes;

pub(crate) use budget::Budget;
pub(crate) use choice::{Choice, Wish};
pub(crate) use deployment::{Deployment, Running};
pub(crate) use endpoint::Transport;
pub(crate) use failure::Failure;
pub(crate) use plan::Plan;

/// Names beyond the aliases whose plans are remembered, a count: clients may ask for any name, and memory has an end.
const NAMES_MAX: usize = 1_000;
/// Deployments whose health is remembered, a count; the health of others lasts for one request.
const DEPLOYMENTS_MAX: usize = 4_000;

/// All providers, aliases, routes and prices of one configuration.
#[derive(Debug)]
pub(crate) struct Routes {
    providers: BTreeMap<String, Arc<Endpoint>>,
    aliases: HashMap<String, Arc<Plan>>,
    /// The plans of other names, as they were asked for.
    named: ArcSwap<HashMap<String, Arc<Plan>>>,
    known: Known,
    /// What organizations say themselves, which changes by itself.
    own: OwnRoutes,
    /// The one source of prices, which changes by itself.
    prices: Arc<ArcSwap<PriceBook>>,
    routing: Arc<Routing>,
    budget: Arc<Budget>,
}

/// The deployments by `provider/model`, so that all names that lead to one share its health.
#[derive(Debug, Default)]
struct Known(Mutex<HashMap<String, Arc<Deployment>>>);

/// A name that `GET /v1/models` offers, and who serves it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offer {
    /// What to ask for.
    pub(crate) name: String,
    /// The provider's name.
    pub(crate) provider: String,
}

impl Routes {
    /// Builds the routes of a checked configuration; what did not change keeps its connections and its health.
    pub(crate) fn new(
        config: &Config,
        prices: Arc<ArcSwap<PriceBook>>,
        before: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let mut providers = BTreeMap::new();
        for (name, section) in &config.providers {
            let unchanged = before.and_then(|before| before.providers.get(name));
            let unchanged = unchanged.filter(|endpoint| endpoint.is_of(section));
            let endpoint = match unchanged {
                Some(endpoint) => Arc::clone(endpoint),
                None => Arc::new(Endpoint::new(name, section)?),
            };
            providers.insert(name.clone(), endpoint);
        }
        let routing = Arc::new(config.routing.clone());
        let unchanged = before.filter(|before| before.routing == routing);
        let mut routes = Self {
            known: before.map_or_else(Known::default, |before| before.known.of(&providers)),
            own: before.map_or_else(OwnRoutes::default, |before| before.own.clone()),
            providers,
            aliases: HashMap::new(),
            named: ArcSwap::default(),
            prices,
            budget: unchanged.map_or_else(
                || Arc::new(Budget::new(&routing)),
                |before| Arc::clone(&before.budget),
            ),
            routing,
        };
        let aliases = config.models.aliases.iter();
        let aliases = aliases.filter_map(|(alias, meaning)| {
            let plan = routes.meaning(config, meaning)?;
            Some((alias.clone(), Arc::new(plan)))
        });
        routes.aliases = aliases.collect();
        Ok(routes)
    }

    /// Begins a request's way: its plan, and its share for retries.
    pub(crate) fn begin(
        &self,
        organization: Id<Organization>,
        model: &str,
        at: DateTime<Utc>,
    ) -> Result<Arc<Plan>, Error> {
        self.budget.earn(&self.routing);
        self.plan_for(organization, model, at)
    }

    /// What a model leads to, as a client of an organization names it.
    fn plan_for(
        &self,
        organization: Id<Organization>,
        model: &str,
        at: DateTime<Utc>,
    ) -> Result<Arc<Plan>, Error> {
        let own = self.own.plan(organization, model, self);
        own.map_or_else(|| self.plan(model, at), Ok)
    }

    /// What the configuration says that a model leads to.
    fn plan(&self, model: &str, at: DateTime<Utc>) -> Result<Arc<Plan>, Error> {
        if let Some(plan) = self.aliases.get(model)
            && model != Models::WILDCARD
        {
            return Ok(Arc::clone(plan));
        }
        if let Some(plan) = self.named.load().get(model) {
            return Ok(Arc::clone(plan));
        }
        if let Some(target) = self.by_provider(model).or_else(|| self.by_price(model, at)) {
            return self.learn(model, &target);
        }
        let wildcard = self.aliases.get(Models::WILDCARD).map(Arc::clone);
        wildcard.ok_or_else(|| Error::UnknownModel(model.to_owned()))
    }

    /// The deployment that stands for a model's name: the first of its plan.
    pub(crate) fn resolve(
        &self,
        organization: Id<Organization>,
        model: &str,
        at: DateTime<Utc>,
    ) -> Result<Arc<Deployment>, Error> {
        let plan = self.plan_for(organization, model, at)?;
        let primary = plan.primary().map(Arc::clone);
        primary.ok_or_else(|| Error::UnknownModel(model.to_owned()))
    }

    /// The price of a deployment at a moment, for an organization.
    pub(crate) fn price(
        &self,
        organization: Id<Organization>,
        deployment: &Deployment,
        at: DateTime<Utc>,
    ) -> Option<Arc<Price>> {
        let model = (&*deployment.provider.price_provider, &*deployment.model);
        self.prices.load().find_for(organization, model, at)
    }

    /// What organizations say themselves.
    pub(crate) const fn own(&self) -> &OwnRoutes {
        &self.own
    }

    /// The plan of a route.
    fn plan_of(&self, route: &config::section::Route) -> Option<Plan> {
        Plan::of_route(route, &self.routing, |target| self.deployment(target))
    }

    /// Whether a plan was made by these routes, and not by those of an earlier configuration.
    fn has_made(&self, plan: &Plan) -> bool {
        Arc::ptr_eq(&plan.routing, &self.routing)
    }

    /// What retries are paid from.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The names that can be asked for: the organization's own, aliases, and every provider's models: those it lists, or else those with a price.
    pub(crate) fn offers(&self, organization: Id<Organization>, at: DateTime<Utc>) -> Vec<Offer> {
        let prices = self.prices.load();
        let own = self.own.names(organization).into_iter();
        let own = own.filter_map(|name| {
            let deployment = self.resolve(organization, &name, at).ok()?;
            let provider = deployment.provider.name.clone();
            Some(Offer { name, provider })
        });
        let aliases = self
            .aliases
            .iter()
            .filter(|(alias, _)| *alias != Models::WILDCARD);
        let aliases = aliases.filter_map(|(alias, plan)| {
            Some(Offer {
                name: alias.clone(),
                provider: plan.primary()?.provider.name.clone(),
            })
        });
        let models = self.providers.values().flat_map(|provider| {
            provider.offered(&prices).into_iter().map(|name| Offer {
                name,
                provider: provider.name.clone(),
            })
        });
        // What an organization says itself comes before what the configuration says of the same name.
        let mut offers: Vec<Offer> = own.chain(aliases).chain(models).collect();
        offers.sort_by(|a, b| a.name.cmp(&b.name));
        offers.dedup_by(|a, b| a.name == b.name);
        offers
    }

    fn meaning(&self, config: &Config, alias: &Alias) -> Option<Plan> {
        match alias {
            Alias::Target(target) => {
                let deployment = self.deployment(target)?;
                Some(Plan::of_one(deployment, &self.routing))
            }
            Alias::Route(name) => self.plan_of(config.routes.get(name)?),
        }
    }

    fn by_provider(&self, model: &str) -> Option<Target> {
        let target = Target::parse(model)?;
        self.providers
            .contains_key(&target.provider)
            .then_some(target)
    }

    fn by_price(&self, model: &str, at: DateTime<Utc>) -> Option<Target> {
        let prices = self.prices.load();
        let serves = |provider: &&Arc<Endpoint>| {
            let is_priced = prices.knows(&provider.price_provider, model, at);
            is_priced || provider.models.iter().any(|listed| listed == model)
        };
        let provider = self.providers.values().find(serves)?;
        Some(Target {
            provider: provider.name.clone(),
            model: model.to_owned(),
        })
    }

    /// Makes the plan of a name and remembers it. A name keeps its meaning, even where its price ends: then its calls
    /// have none.
    fn learn(&self, model: &str, target: &Target) -> Result<Arc<Plan>, Error> {
        let deployment = self.deployment(target);
        let deployment = deployment.ok_or_else(|| Error::UnknownModel(model.to_owned()))?;
        let plan = Arc::new(Plan::of_one(deployment, &self.routing));
        if self.named.load().len() < NAMES_MAX {
            self.named.rcu(|named| {
                let mut named = HashMap::clone(named);
                named.insert(model.to_owned(), Arc::clone(&plan));
                named
            });
        }
        Ok(plan)
    }

    /// The deployment of a configured provider.
    pub(crate) fn deployment(&self, target: &Target) -> Option<Arc<Deployment>> {
        let provider = self.providers.get(&target.provider)?;
        Some(self.known.find_or_add(provider, &target.model))
    }
}

impl Known {
    fn find_or_add(&self, provider: &Arc<Endpoint>, model: &str) -> Arc<Deployment> {
        let mut known = self.0.lock();
        let name = format!("{}/{model}", provider.name);
        if let Some(deployment) = known.get(&name) {
            return Arc::clone(deployment);
        }
        let deployment = Arc::new(Deployment::new(Arc::clone(provider), model.to_owned()));
        if known.len() < DEPLOYMENTS_MAX {
            known.insert(name, Arc::clone(&deployment));
        }
        deployment
    }

    /// Those of them whose providers are still the same.
    fn of(&self, providers: &BTreeMap<String, Arc<Endpoint>>) -> Self {
        let mut known = self.0.lock().clone();
        known.retain(|_, deployment| {
            let now = providers.get(&deployment.provider.name);
            now.is_some_and(|now| Arc::ptr_eq(now, &deployment.provider))
        });
        Self(Mutex::new(known))
    }
}
