//! The organizations of a run: each with keys, and with another kind of quota.

use uuid::Uuid;

use crate::cluster::manage::{Limit, Operator};

/// An organization's quotas: of tokens and of calls.
type Quotas = (Option<Limit>, Option<Limit>);

/// By organization: nothing, plenty, too little for what is asked, and what only counts.
const QUOTAS: [Quotas; 4] = [
    (None, None),
    (Some(Limit::Hard(10_000_000)), Some(Limit::Counted)),
    (Some(Limit::Hard(9_000)), Some(Limit::Hard(40))),
    (Some(Limit::Counted), Some(Limit::Hard(100_000))),
];

/// The organizations.
#[derive(Debug, Clone)]
pub struct Tenants {
    organizations: Vec<Uuid>,
    keys: Vec<Vec<String>>,
}

impl Tenants {
    /// Keys of an organization.
    pub const KEYS: usize = 2;

    /// Makes them; their names begin so.
    pub async fn make(operator: &mut Operator, prefix: &str) -> anyhow::Result<Self> {
        let mut tenants = Self {
            organizations: Vec::new(),
            keys: Vec::new(),
        };
        for (number, (tokens, calls)) in QUOTAS.into_iter().enumerate() {
            let organization = operator.organization(&format!("{prefix}-{number}")).await?;
            for (resource, limit) in [("ai_tokens", tokens), ("api_calls", calls)] {
                if let Some(limit) = limit {
                    operator.quota(organization, resource, limit).await?;
                }
            }
            let mut keys = Vec::new();
            for key in 0..Self::KEYS {
                keys.push(operator.key(organization, &key.to_string()).await?);
            }
            tenants.organizations.push(organization);
            tenants.keys.push(keys);
        }
        Ok(tenants)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.organizations.len()
    }

    /// Their ids.
    pub fn organizations(&self) -> &[Uuid] {
        &self.organizations
    }

    /// A key of one of them.
    pub fn key(&self, tenant: usize, key: usize) -> &str {
        let keys = self.keys.get(tenant);
        keys.and_then(|keys| keys.get(key))
            .map_or("", String::as_str)
    }

    /// Whether nobody limits its tokens.
    pub fn is_unlimited(&self, tenant: usize) -> bool {
        let tokens = QUOTAS.get(tenant).and_then(|(tokens, _)| *tokens);
        !matches!(tokens, Some(Limit::Hard(_)))
    }
}
