//! Answers again what was answered before.

pub mod control;
pub mod key;

pub use control::Control;
pub use key::Key;
