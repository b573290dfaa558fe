//! A folder for one run, removed when the run is over.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use crate::output;

/// A folder under the system's one for temporary files.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    /// Makes a new folder. Others may enter it, because PostgreSQL and nginx run as users of their own.
    pub fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("loadtest-{}", Uuid::now_v7()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, kept: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it behind, for people to look into.
    pub fn keep(mut self) {
        output::note(&format!(
            "logs and data are kept in {}",
            self.path.display()
        ));
        self.kept = true;
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            output::note(&format!("{} is left behind: {error}", self.path.display()));
        }
    }
}
