//! The repository's text files, read once for whoever looks at all of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const FOREIGN_FOLDERS: [&str; 3] = ["target", "node_modules", "dist"];

/// Kinds of files that rules look at.
const ENDINGS: [&str; 7] = [".rs", ".sql", ".toml", ".md", ".lock", ".txt", ".sh"];

/// A file, by its path from the root with forward slashes.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// A tree of one file, for tests of rules.
    #[cfg(test)]
    pub(crate) fn of(path: &str, text: &str) -> Self {
        let (path, text) = (path.to_owned(), text.to_owned());
        Self {
            files: vec![File { path, text }],
        }
    }

    pub(crate) fn find(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder);
        for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            // A link could lead anywhere; what it leads to inside the repository is read there.
            let kind = entry.file_type()?;
            let ours = !name.starts_with('.') && !FOREIGN_FOLDERS.contains(&name.as_str());
            if kind.is_dir() && ours {
                self.add_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(entry.path());
                let text = text.with_context(|| format!("cannot read {path}"))?;
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|own| own == extension)
    }

    /// The folder at the root, which is the crate's name.
    pub(crate) fn folder(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Whether it is test code as a whole: an integration test, a test module's file, a fuzz target.
    pub(crate) fn is_test(&self) -> bool {
        let named = |part: &str| {
            matches!(
                part,
                "tests" | "tests.rs" | "testing" | "testing.rs" | "fuzz" | "benches"
            )
        };
        self.path.split('/').any(named)
    }

    /// The lines that are not comments, with their numbers from 1, up to the file's test module.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self
            .text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line));
        numbered
            .take_while(|(_, line)| !line.starts_with("mod tests {"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}
