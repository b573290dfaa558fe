//! What is limited, and for whom: the words that quotas and budgets share.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use types::id::{ApiKey, Budget, Department, User, Workflow};
use types::{Caller, Id, Usd};
use uuid::Uuid;

use crate::record::Attribution;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Requests, answered from the cache or not.
    ApiCalls,
    /// Input and output tokens at providers.
    AiTokens,
    /// Money; of budgets only.
    Usd,
}

/// Which limit, inside an organization. Quotas come first: in this order limits are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Limit {
    /// A row of `usage_quotas`, if there is one.
    Quota(Resource),
    /// A row of `metering.budgets`.
    Budget(Id<Budget>),
}

/// Whose spending a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of the organization's.
    Organization,
    /// A department's.
    Department(Id<Department>),
    /// A key's.
    ApiKey(Id<ApiKey>),
    /// A person's, by session or by a key that the person made.
    User(Id<User>),
    /// A workflow's.
    Workflow(Id<Workflow>),
    /// What carries a label.
    Tag {
        /// The label's name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// Who spends, and what for: that decides which limits apply.
#[derive(Debug, Clone, Copy)]
pub struct Spender<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for.
    pub attribution: &'a Attribution,
}

/// What is for nothing in particular.
static NOTHING: Attribution = Attribution {
    workflow: None,
    execution: None,
    step: None,
    tags: BTreeMap::new(),
};

impl<'a> Spender<'a> {
    /// A caller that spends for nothing in particular.
    pub const fn of(caller: &'a Caller) -> Self {
        Self {
            caller,
            attribution: &NOTHING,
        }
    }
}

impl Limit {
    /// The resource of a quota, as `usage_quotas` has it.
    pub(crate) const fn quota(self) -> Option<&'static str> {
        match self {
            Self::Quota(resource) => Some(resource.as_str()),
            Self::Budget(_) => None,
        }
    }

    /// The id of a budget.
    pub(crate) const fn budget(self) -> Option<Uuid> {
        match self {
            Self::Quota(_) => None,
            Self::Budget(id) => Some(id.uuid()),
        }
    }
}

impl Resource {
    /// What `usage_quotas` can limit and gateways enforce, in the order in which it is taken.
    pub const QUOTAS: [Self; 2] = [Self::ApiCalls, Self::AiTokens];

    /// The word in `usage_quotas.resource_type` and `metering.budgets.resource_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiCalls => "api_calls",
            Self::AiTokens => "ai_tokens",
            Self::Usd => "usd",
        }
    }

    /// The resource of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let all = [Self::ApiCalls, Self::AiTokens, Self::Usd];
        all.into_iter().find(|resource| resource.as_str() == word)
    }

    /// An amount of whole units as people count it: dollars are leased in billionths.
    pub(crate) fn amount(self, units: u64) -> Decimal {
        match self {
            Self::Usd => Decimal::from_i128_with_scale(units.into(), UNIT_SCALE).normalize(),
            Self::ApiCalls | Self::AiTokens => units.into(),
        }
    }
}

/// Leases count in whole units; of a dollar they are billionths. A lease of 64 bits holds nine billion dollars.
const UNIT_SCALE: u32 = 9;

/// An amount of money in units of a lease, rounded against the spender.
pub(crate) fn units_of(amount: Usd) -> u64 {
    let units = amount
        .decimal()
        .checked_mul(Decimal::from(10_u64.pow(UNIT_SCALE)));
    let units = units.and_then(|units| u64::try_from(units.ceil()).ok());
    // More than can be held is more than any budget has.
    units.unwrap_or(u64::MAX)
}

impl Scope {
    /// Whether the spender's spending counts.
    pub(crate) fn covers(&self, spender: &Spender<'_>) -> bool {
        let Spender {
            caller,
            attribution,
        } = spender;
        match self {
            Self::Organization => true,
            Self::Department(id) => caller.department == Some(*id),
            Self::ApiKey(id) => caller.api_key() == Some(*id),
            Self::User(id) => caller.user() == *id,
            Self::Workflow(id) => attribution.workflow == Some(*id),
            Self::Tag { name, value } => attribution.tags.get(name) == Some(value),
        }
    }

    /// The word in `metering.budgets.scope_type`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Department(_) => "department",
            Self::ApiKey(_) => "api_key",
            Self::User(_) => "user",
            Self::Workflow(_) => "workflow",
            Self::Tag { .. } => "tag",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Organization => Ok(()),
            Self::Department(id) => write!(f, " {id}"),
            Self::ApiKey(id) => write!(f, " {id}"),
            Self::User(id) => write!(f, " {id}"),
            Self::Workflow(id) => write!(f, " {id}"),
            Self::Tag { name, value } => write!(f, " {name}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    #[test]
    fn money_is_reserved_in_whole_units_and_never_too_little() {
        assert_eq!(units_of(Usd::new(dec!(1.5))), 1_500_000_000);
        assert_eq!(units_of(Usd::new(dec!(0.000000000001))), 1);
        assert_eq!(units_of(Usd::ZERO), 0);
        assert_eq!(Resource::Usd.amount(1_500_000_000), dec!(1.5));
    }
}
