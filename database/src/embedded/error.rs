//! Why the embedded server does not run.

use std::io;
use std::path::PathBuf;

/// Why the embedded server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another gateway uses the folder.
    #[error("the database folder {} is in use by another gateway", folder.display())]
    InUse {
        /// The server's folder.
        folder: PathBuf,
    },
    /// The data were written by another major version.
    #[error(
        "the data in {} are of PostgreSQL {data}, the server is {server}; \
         name a server of version {data} in `[database] binaries`, or move the data with pg_dump",
        folder.display()
    )]
    Version {
        /// The server's folder.
        folder: PathBuf,
        /// The major version that wrote the data.
        data: String,
        /// The major version of the server.
        server: String,
    },
    /// There is no usable PostgreSQL in the folder.
    #[error("{} has no usable PostgreSQL: {reason}", folder.display())]
    Binaries {
        /// The folder that was looked into.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Running as root, and there is no other user to run the server as.
    #[error("root must not run PostgreSQL, and neither a user postgres nor nobody exists")]
    NoUser,
    /// The data folder could not be made.
    #[error("initdb failed: {output}")]
    Initdb {
        /// What it said.
        output: String,
    },
    /// The server ended, or was not ready in time.
    #[error("PostgreSQL did not start: {log}")]
    Start {
        /// The last lines of its log.
        log: String,
    },
    /// A server left behind by a killed gateway does not end.
    #[error("process {process_id} still runs on the data folder and does not end")]
    Orphan {
        /// The process.
        process_id: i32,
    },
    /// A path has no form the server can be told.
    #[error("{} is not a usable path for a database", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The roles and the database could not be made.
    #[error("the database could not be prepared")]
    Bootstrap(#[source] crate::Error),
    /// The thread that watches the server is gone.
    #[error("the server is not watched any more")]
    Unwatched,
    /// A file could not be read or written; the source names it.
    #[error("the database folder could not be used")]
    Io(#[from] io::Error),
}
