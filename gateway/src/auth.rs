//! From a presented key to a caller: in memory first, and never more than one look into the database.

use std::sync::Arc;

use tenants::keys::Keys;
use types::Caller;

use crate::error::Error;

/// Knows callers by their keys.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    keys: Arc<Keys>,
}

impl Auth {
    /// Asks these keys.
    pub(crate) const fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }

    /// The caller who presents a key.
    pub(crate) async fn authenticate(&self, presented: &str) -> Result<Caller, Error> {
        self.keys
            .find(presented)
            .await
            .map_err(|refusal| match refusal {
                api::Refusal::Unknown | api::Refusal::Expired => Error::BadKey,
                api::Refusal::Unavailable => Error::Unavailable {
                    reason: "the key cannot be checked",
                },
            })
    }
}
