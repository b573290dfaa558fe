//! A configured provider: how it is asked, and what it offers.

use config::section::{Provider as Section, ProviderKind as Kind};
use metering::PriceBook;

use crate::provider::anthropic::Anthropic;
use crate::provider::azure::Azure;
use crate::provider::client::Client;
use crate::provider::gemini::Gemini;
use crate::provider::openai::Openai;
use crate::provider::service_account::ServiceAccount;
use crate::provider::vertex::Vertex;
use crate::provider::{Provider, demo};

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
    /// Counts the attempts that it began to answer.
    pub(super) answered: metrics::Counter,
    /// What it was made from.
    section: Section,
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
        /// Whose tokens it wants, if it wants some.
        account: Option<Box<ServiceAccount>>,
    },
    /// In this process.
    Demo,
}

impl Endpoint {
    /// The provider of a section of the configuration.
    pub(super) fn new(name: &str, section: &Section) -> anyhow::Result<Self> {
        let protocol = protocol(section)?;
        let account = section.service_account.as_ref();
        let account = account.map(ServiceAccount::new).transpose()?;
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
                account: account.map(Box::new),
            }),
            answered: metrics::counter!(
                "flowpilot_attempts_total", "provider" => name.to_owned(), "outcome" => "answered"
            ),
            section: section.clone(),
        })
    }

    /// Whether it would be made from this section just the same, so that it can stay with its connections.
    pub(super) fn is_of(&self, section: &Section) -> bool {
        self.section == *section
    }

    /// The models it offers: those it lists, or else those with a price.
    pub(super) fn offered(&self, prices: &PriceBook) -> Vec<String> {
        if !self.models.is_empty() {
            return self.models.clone();
        }
        let own = prices.models(&self.price_provider);
        own.map(str::to_owned).collect()
    }
}

fn protocol(section: &Section) -> anyhow::Result<Option<Box<dyn Provider>>> {
    let key = section.api_key.as_ref().map(config::Secret::expose);
    Ok(match section.kind {
        Kind::Gemini => Some(Box::new(Gemini::new(&section.base_url, key)?)),
        Kind::Anthropic => Some(Box::new(Anthropic::new(&section.base_url, key)?)),
        Kind::Openai => {
            let is_openai = section.price_provider == Kind::Openai.as_str();
            Some(Box::new(Openai::new(&section.base_url, key, is_openai)?))
        }
        Kind::Azure => Some(Box::new(Azure::new(&section.base_url, key)?)),
        Kind::Vertex => Some(Box::new(Vertex::new(&section.base_url)?)),
        Kind::Demo => None,
    })
}
