//! The prices of one moment, arranged for look-ups.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use config::PriceList;
use types::Id;
use types::id::Organization;
use uuid::Uuid;

use super::Price;

/// The price list and the operator's prices of one moment; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    pages: Arc<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    providers: HashMap<String, HashMap<String, Layers>>,
    by_id: HashMap<Uuid, Arc<Price>>,
}

/// A model's prices by who made them; the first layer with a price in force decides.
#[derive(Debug, Default)]
struct Layers {
    /// Of single organizations.
    own: HashMap<Id<Organization>, History>,
    /// The operator's, for all.
    operator: History,
    /// The list's.
    list: History,
}

/// Prices, oldest first.
type History = Vec<Arc<Price>>;

/// A price of the table, as the book needs it.
#[derive(Debug, Clone)]
pub(crate) struct TablePrice {
    pub(crate) price: Arc<Price>,
    /// Whether it prices anything; a list's, or one withdrawn, is only looked up by its id.
    pub(crate) in_force: bool,
}

impl PriceBook {
    /// The book of a list alone.
    pub fn new(list: &PriceList) -> Self {
        Self::with_table(list, &[])
    }

    /// The book of a list and of what stands in the table, which is in order of beginning.
    pub(crate) fn with_table(list: &PriceList, table: &[TablePrice]) -> Self {
        let mut pages = Pages::default();
        for listed in list.iter() {
            let price = Arc::new(Price::of(Arc::clone(listed)));
            pages.layers(&price).list.push(Arc::clone(&price));
            pages.by_id.insert(price.id(), price);
        }
        for TablePrice { price, in_force } in table {
            pages.by_id.insert(price.id(), Arc::clone(price));
            if !in_force {
                continue;
            }
            let layers = pages.layers(price);
            let history = match price.organization() {
                Some(organization) => layers.own.entry(organization).or_default(),
                None => &mut layers.operator,
            };
            history.push(Arc::clone(price));
        }
        Self {
            pages: Arc::new(pages),
        }
    }

    /// The price of an id, in force or not.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Price>> {
        self.pages.by_id.get(&id)
    }

    /// The price that holds at a moment for everybody who has none of their own; `provider` is the name in the price list
    /// (`providers.NAME.price_provider`).
    pub fn find(&self, provider: &str, model: &str, at: DateTime<Utc>) -> Option<Arc<Price>> {
        let layers = self.pages.find(provider, model)?;
        layers.for_all(at).cloned()
    }

    /// The price that holds at a moment for an organization.
    pub fn find_for(
        &self,
        organization: Id<Organization>,
        (provider, model): (&str, &str),
        at: DateTime<Utc>,
    ) -> Option<Arc<Price>> {
        let layers = self.pages.find(provider, model)?;
        let own = layers.own.get(&organization);
        let own = own.and_then(|own| in_force(own, at));
        own.or_else(|| layers.for_all(at)).cloned()
    }

    /// Whether anybody has a price for a model at a moment.
    pub fn knows(&self, provider: &str, model: &str, at: DateTime<Utc>) -> bool {
        self.pages.find(provider, model).is_some_and(|layers| {
            let mut own = layers.own.values();
            layers.for_all(at).is_some() || own.any(|own| in_force(own, at).is_some())
        })
    }

    /// The models of a provider that have a price for anybody, in no order.
    pub fn models<'a>(&'a self, provider: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let models = self.pages.providers.get(provider).into_iter();
        models.flat_map(HashMap::keys).map(String::as_str)
    }
}

impl Pages {
    fn find(&self, provider: &str, model: &str) -> Option<&Layers> {
        self.providers.get(provider)?.get(model)
    }

    fn layers(&mut self, price: &Price) -> &mut Layers {
        let listed = price.listed();
        let models = self.providers.entry(listed.provider.clone()).or_default();
        models.entry(listed.model.clone()).or_default()
    }
}

impl Layers {
    fn for_all(&self, at: DateTime<Utc>) -> Option<&Arc<Price>> {
        in_force(&self.operator, at).or_else(|| in_force(&self.list, at))
    }
}

fn in_force(history: &History, at: DateTime<Utc>) -> Option<&Arc<Price>> {
    history.iter().rfind(|price| price.holds_at(at))
}
