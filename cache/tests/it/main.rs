//! What the cache promises with a real database: isolation, expiry, sharing, and misses instead of errors.
//!
//! The tests run on several threads: dropping a test's database waits for the server, which waits for connections
//! that are being opened, and those are opened by the cache's background work.

mod failing;
mod isolation;
mod keeping;
mod sharing;
mod support;
