//! What the provider's books should cost, by arithmetic of its own: exact fractions, nothing rounded.

mod csv;
pub mod focus;
pub mod price;
pub mod reconcile;
pub mod report;
