//! What a tenant's key may do, as its row says it: words of the permission vocabulary.
//!
//! A key made without scopes may use AI, the cache, and see what it used; see [`default`].
//! A row without scopes (written by hand, or by an older program) means the same.

use types::{Permission, Permissions};

/// What a key may do whose maker did not say.
pub fn default() -> Permissions {
    [
        Permission::AiInvoke,
        Permission::CacheRead,
        Permission::CacheWrite,
        Permission::UsageRead,
    ]
    .into_iter()
    .collect()
}

/// Reads `api_keys.scopes`. Words of a newer program are left out, and so is what only the
/// operator may hold: a row in a tenant's table never makes an operator.
pub(crate) fn read(words: &[String]) -> Permissions {
    if words.is_empty() {
        return default();
    }
    let permissions = words.iter().filter_map(|word| word.parse().ok());
    permissions
        .filter(|permission: &Permission| !permission.is_operator_only())
        .collect()
}

/// The words for `api_keys.scopes`.
pub fn words(permissions: Permissions) -> Vec<String> {
    permissions.iter().map(|p| p.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_never_makes_an_operator_and_no_scopes_mean_the_default() {
        let row = ["quotas:write", "ai:invoke", "from:the_future"].map(str::to_owned);
        assert_eq!(words(read(&row)), ["ai:invoke"]);
        assert_eq!(read(&[]), default());
    }
}
