//! A mock provider with its own books, and a load generator; loopback only.
fn main() {}
