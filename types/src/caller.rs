//! Who is asking: the organization comes from the credential alone.

use crate::Id;
use crate::id::{ApiKey, Department, Organization, User};
use crate::permission::{Permission, Permissions};

/// An authenticated caller. Nothing else in the program may say which organization a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The tenant that pays and whose rows may be seen.
    pub organization: Id<Organization>,
    /// Who inside it is asking.
    pub principal: Principal,
    /// What the principal may do.
    pub permissions: Permissions,
    /// The department that the key or user belongs to, for reports.
    pub department: Option<Id<Department>>,
}

/// Who is asking inside an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A program with a key. `user` is the person who made the key.
    Key {
        /// The key.
        id: Id<ApiKey>,
        /// Who made it.
        user: Id<User>,
    },
    /// A person with a session.
    User(Id<User>),
    /// The operator of the platform, who may act for any organization.
    Operator {
        /// The operator's key.
        id: Id<ApiKey>,
        /// The person behind it.
        user: Id<User>,
    },
}

impl Caller {
    /// Whether the caller may do it.
    pub const fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Whether this is the platform's operator.
    pub const fn is_operator(&self) -> bool {
        matches!(self.principal, Principal::Operator { .. })
    }

    /// The key that was presented, if it was one.
    pub const fn api_key(&self) -> Option<Id<ApiKey>> {
        match self.principal {
            Principal::Key { id, .. } | Principal::Operator { id, .. } => Some(id),
            Principal::User(_) => None,
        }
    }

    /// The person behind the credential; what `created_by` columns get.
    pub const fn user(&self) -> Id<User> {
        match self.principal {
            Principal::Key { user, .. }
            | Principal::Operator { user, .. }
            | Principal::User(user) => user,
        }
    }
}
