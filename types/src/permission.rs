//! The closed vocabulary of what a caller may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares the vocabulary once: the variant, its word on the wire, and what it allows.
macro_rules! permissions {
    ($($variant:ident $word:literal $meaning:literal $operator_only:literal),* $(,)?) => {
        /// One thing a caller may do; written as `noun:verb`, as in `api_keys.scopes`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Permission {
            $(#[doc = $meaning] #[serde(rename = $word)] $variant),*
        }

        impl Permission {
            /// The whole vocabulary, in the order of `docs/permissions.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// What it allows, one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// Whether only the platform's operator can hold it, never a tenant's key.
            pub const fn is_operator_only(self) -> bool {
                match self { $(Self::$variant => $operator_only),* }
            }
        }
    };
}

permissions! {
    AiInvoke "ai:invoke" "Send AI requests and list models." false,
    ApiKeysRead "api_keys:read" "List the organization's keys; never their secrets." false,
    ApiKeysWrite "api_keys:write" "Create, rotate and revoke the organization's keys." false,
    OrganizationsRead "organizations:read" "See the organization; the operator sees all." false,
    OrganizationsCreate "organizations:create" "Create organizations." true,
    DepartmentsRead "departments:read" "List departments." false,
    DepartmentsWrite "departments:write" "Create departments." false,
    QuotasRead "quotas:read" "See quotas and what is used of them." false,
    QuotasWrite "quotas:write" "Set quotas." true,
    BudgetsRead "budgets:read" "See budgets and what is used of them." false,
    BudgetsWrite "budgets:write" "Make, change and delete budgets of departments, keys, users, workflows and tags." false,
    PricesRead "prices:read" "See prices, mark-ups, and what was used without a price." true,
    PricesWrite "prices:write" "Put prices and mark-ups, and reprice what was booked." true,
    InvoicesRead "invoices:read" "See the organization's invoices." false,
    InvoicesWrite "invoices:write" "Close months, credit invoices and mark them as paid." true,
    UsageRead "usage:read" "Read usage and cost reports." false,
    BillsReconcile "bills:reconcile" "Compare a provider's bill with the books of all organizations." true,
    PromptTemplatesRead "prompt_templates:read" "See and try out prompt templates, the platform's too." false,
    PromptTemplatesWrite "prompt_templates:write" "Create, change and delete the organization's prompt templates." false,
    RoutesRead "routes:read" "See what model names the organization defines." false,
    RoutesWrite "routes:write" "Define what a model's name means to the organization." false,
    CacheRead "cache:read" "Be answered from the cache." false,
    CacheWrite "cache:write" "Have answers stored in the cache." false,
}

/// A set of [`Permission`]s, small enough to copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Everything a tenant's key can hold.
    pub fn all_of_a_tenant() -> Self {
        let tenant = Permission::ALL.iter().filter(|p| !p.is_operator_only());
        tenant.copied().collect()
    }

    /// Everything; the operator's.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether the permission is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    /// The permissions of the set, in the vocabulary's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let bits = permissions
            .into_iter()
            .fold(0, |bits, p| bits | 1 << p as u64);
        Self(bits)
    }
}

/// A word that is not in the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission {0:?}; docs/permissions.md lists all of them")]
pub struct UnknownPermission(pub String);

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|p| p.as_str() == word);
        known
            .copied()
            .ok_or_else(|| UnknownPermission(word.to_owned()))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_back_to_its_permission() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
    }

    #[test]
    fn a_tenant_never_holds_what_belongs_to_the_operator() {
        assert!(!Permissions::all_of_a_tenant().contains(Permission::QuotasWrite));
        assert!(Permissions::all().contains(Permission::QuotasWrite));
    }
}
