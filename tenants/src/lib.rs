//! People, organizations, departments, keys and audit.

pub mod keys;
pub mod scopes;
