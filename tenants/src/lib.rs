//! People, organizations, roles, keys and audit.
