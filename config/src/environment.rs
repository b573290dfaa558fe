//! The variables of the process's environment, captured once; the only place of the product that reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::dotenv;

/// The variables of the environment, and whether the process runs as root.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    root: bool,
}

impl Environment {
    /// What the process was started with; a variable that is not UTF-8 is none of ours and left out.
    pub fn capture() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(text).collect(),
            root: nix::unistd::geteuid().is_root(),
        }
    }

    /// An environment of these variables, not as root: for tests.
    pub fn of<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let text = |(name, value): (N, V)| (name.into(), value.into());
        Self {
            variables: variables.into_iter().map(text).collect(),
            root: false,
        }
    }

    /// Adds the variables of an `--env-file`; one that the process was started with wins.
    pub fn with_file(mut self, path: &Path) -> Result<Self, dotenv::Error> {
        for (name, value) in dotenv::read(path)? {
            self.variables.entry(name).or_insert(value);
        }
        Ok(self)
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.as_str();
        (!value.is_empty()).then_some(value)
    }

    /// All variables whose name begins so, without that beginning.
    pub(crate) fn under<'e>(
        &'e self,
        prefix: &'e str,
    ) -> impl Iterator<Item = (&'e str, &'e str, &'e str)> {
        self.variables.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(prefix)?;
            Some((name.as_str(), rest, value.as_str()))
        })
    }

    /// The folder for data where none is configured: a system folder for root and for users without a home.
    pub(crate) fn data_dir(&self) -> PathBuf {
        /// Where the file hierarchy standard puts what a program keeps.
        const SYSTEM: &str = "/var/lib/flowpilot";
        if self.root {
            return SYSTEM.into();
        }
        let absolute = |name| {
            self.get(name)
                .map(Path::new)
                .filter(|path| path.is_absolute())
        };
        let xdg = absolute("XDG_DATA_HOME").map(|folder| folder.join("flowpilot"));
        xdg.or_else(|| absolute("HOME").map(|home| home.join(".local/share/flowpilot")))
            .unwrap_or_else(|| SYSTEM.into())
    }
}

/// Names only: the values are keys and passwords.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("names", &self.variables.keys())
            .field("root", &self.root)
            .finish()
    }
}
