//! The database that comes with the gateway: fetched once, started as a child, stopped with it.
//!
//! It listens on a Unix socket in a folder only its user can enter, asks for generated passwords,
//! never runs as root, and ends when the gateway ends, however the gateway ends.

pub mod assets;
mod bootstrap;
mod cluster;
mod door;
mod error;
mod files;
mod identity;
pub mod launch;
mod options;
mod orphan;
mod server;
mod supervisor;

pub use door::attach;
pub use error::Error;
pub use launch::Launcher;
pub use options::{Binaries, Durability, ServerOptions};
pub use server::Server;

/// Ends a server that still runs in a folder although nobody holds the folder's lock.
pub(crate) fn end_leftover(folder: &std::path::Path) -> Result<(), Error> {
    orphan::end(&folder.join("data"))
}
