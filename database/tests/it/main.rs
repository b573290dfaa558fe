//! What the database promises: tenants apart, transactions repeated, data that survive, no server left behind.

mod tenancy;
