//! Which deployment answers for a model's name.
//!
//! A name is looked for as an alias, then as `provider/model`, then in the price list of every configured
//! provider, then under the alias `*`. What comes out is the provider and the model in its own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use config::section::{Models, Provider as Section, ProviderKind as Kind, Target};
use config::{Config, PriceList};
use metering::{Price, PriceBook};

use crate::error::Error;
use crate::provider::anthropic::Anthropic;
use crate::provider::client::Client;
use crate::provider::gemini::Gemini;
use crate::provider::openai::Openai;
use crate::provider::{Provider, demo};

/// A model at a provider.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Who serves it.
    pub(crate) provider: Arc<Endpoint>,
    /// The model, as the provider calls it.
    pub(crate) model: String,
}

/// A configured provider.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// Its name in the price list.
    pub(crate) price_provider: String,
    /// The models it offers on the list.
    pub(crate) models: Vec<String>,
    /// How it is asked.
    pub(crate) transport: Transport,
}

/// How a provider is asked.
#[derive(Debug)]
pub(crate) enum Transport {
    /// Over HTTP, in its protocol.
    Http {
        /// The protocol.
        protocol: Box<dyn Provider>,
        /// The connection.
        client: Box<Client>,
    },
    /// In this process.
    Demo,
}

/// All providers, aliases and prices of one configuration.
#[derive(Debug)]
pub(crate) struct Routes {
    providers: BTreeMap<String, Arc<Endpoint>>,
    aliases: BTreeMap<String, Arc<Deployment>>,
    prices: PriceBook,
}

/// A name that `GET /v1/models` offers, and who serves it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offer {
    /// What to ask for.
    pub(crate) name: String,
    /// The provider's name.
    pub(crate) provider: String,
}

impl Routes {
    /// Builds the routes of a checked configuration.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let mut providers = BTreeMap::new();
        for (name, section) in &config.providers {
            providers.insert(name.clone(), Arc::new(Endpoint::new(name, section)?));
        }
        let aliases = config.models.aliases.iter();
        let aliases = aliases
            .filter_map(|(alias, target)| Some((alias.clone(), deployment(&providers, target)?)));
        Ok(Self {
            aliases: aliases.collect(),
            providers,
            prices: PriceBook::new(&config.prices),
        })
    }

    /// The deployment for a model as a client names it.
    pub(crate) fn resolve(&self, model: &str, at: DateTime<Utc>) -> Result<Arc<Deployment>, Error> {
        let wildcard = || self.aliases.get(Models::WILDCARD).cloned();
        let found = self.by_alias(model).or_else(|| self.by_provider(model));
        let found = found.or_else(|| self.by_price(model, at)).or_else(wildcard);
        found.ok_or_else(|| Error::UnknownModel(model.to_owned()))
    }

    /// The price of a deployment at a moment.
    pub(crate) fn price(&self, deployment: &Deployment, at: DateTime<Utc>) -> Option<Arc<Price>> {
        self.prices
            .find(&deployment.provider.price_provider, &deployment.model, at)
    }

    /// The names that can be asked for: aliases, and every provider's models: those it lists, or else those with a price.
    pub(crate) fn offers(&self, prices: &PriceList) -> Vec<Offer> {
        let aliases = self
            .aliases
            .iter()
            .filter(|(alias, _)| *alias != Models::WILDCARD);
        let aliases = aliases.map(|(alias, deployment)| Offer {
            name: alias.clone(),
            provider: deployment.provider.name.clone(),
        });
        let models = self.providers.values().flat_map(|provider| {
            provider.offered(prices).into_iter().map(|name| Offer {
                name,
                provider: provider.name.clone(),
            })
        });
        let mut offers: Vec<Offer> = aliases.chain(models).collect();
        offers.sort();
        offers.dedup_by(|a, b| a.name == b.name);
        offers
    }

    fn by_alias(&self, model: &str) -> Option<Arc<Deployment>> {
        let alias = self
            .aliases
            .get(model)
            .filter(|_| model != Models::WILDCARD);
        alias.cloned()
    }

    fn by_provider(&self, model: &str) -> Option<Arc<Deployment>> {
        deployment(&self.providers, &Target::parse(model)?)
    }

    fn by_price(&self, model: &str, at: DateTime<Utc>) -> Option<Arc<Deployment>> {
        let serves = |provider: &&Arc<Endpoint>| {
            let priced = self
                .prices
                .find(&provider.price_provider, model, at)
                .is_some();
            priced || provider.models.iter().any(|listed| listed == model)
        };
        let provider = self.providers.values().find(serves)?;
        Some(Arc::new(Deployment {
            provider: Arc::clone(provider),
            model: model.to_owned(),
        }))
    }
}

impl Endpoint {
    fn new(name: &str, section: &Section) -> anyhow::Result<Self> {
        let key = section.api_key.as_ref().map(config::Secret::expose);
        let protocol: Option<Box<dyn Provider>> = match section.kind {
            Kind::Gemini => Some(Box::new(Gemini::new(&section.base_url, key)?)),
            Kind::Anthropic => Some(Box::new(Anthropic::new(&section.base_url, key)?)),
            Kind::Openai => {
                let is_openai = section.price_provider == Kind::Openai.as_str();
                Some(Box::new(Openai::new(&section.base_url, key, is_openai)?))
            }
            Kind::Demo => None,
        };
        Ok(Self {
            name: name.to_owned(),
            price_provider: section.price_provider.clone(),
            models: match protocol {
                None => vec![demo::MODEL.to_owned()],
                Some(_) => section.models.clone(),
            },
            transport: protocol.map_or(Transport::Demo, |protocol| Transport::Http {
                protocol,
                client: Box::new(Client::new(section)),
            }),
        })
    }
}

impl Endpoint {
    fn offered(&self, prices: &PriceList) -> Vec<String> {
        if !self.models.is_empty() {
            return self.models.clone();
        }
        let own = prices
            .iter()
            .filter(|price| price.provider == self.price_provider);
        own.map(|price| price.model.clone()).collect()
    }
}

fn deployment(
    providers: &BTreeMap<String, Arc<Endpoint>>,
    target: &Target,
) -> Option<Arc<Deployment>> {
    let provider = providers.get(&target.provider)?;
    Some(Arc::new(Deployment {
        provider: Arc::clone(provider),
        model: target.model.clone(),
    }))
}
