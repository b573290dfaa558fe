//! Generated files that are committed: replaced by what is generated now, or compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::output::say;

/// What to do with files that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Replace them.
    Replace,
    /// Fail.
    Check,
}

/// The files of a folder by name.
pub(crate) type Files = BTreeMap<String, String>;

impl Mode {
    pub(crate) const fn from_flag(check: bool) -> Self {
        if check { Self::Check } else { Self::Replace }
    }
}

/// The text files of a folder whose names end so; none when there is no such folder.
pub(crate) fn read(folder: &Path, ending: &str) -> Result<Files> {
    let mut files = Files::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(ending) {
            let text = fs::read_to_string(&path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name.into_owned(), text);
        }
    }
    Ok(files)
}

/// Makes the committed files the same as the generated ones, or fails when they are not.
pub(crate) fn settle(
    folder: &Path,
    committed: &Files,
    generated: &Files,
    mode: Mode,
) -> Result<()> {
    let differing = differing(committed, generated);
    if differing.is_empty() {
        return Ok(());
    }
    for name in &differing {
        let change = match (committed.contains_key(*name), generated.contains_key(*name)) {
            (true, true) => "changed",
            (true, false) => "no longer generated",
            _ => "missing",
        };
        say(&format!("{change}: {}", folder.join(name).display()));
    }
    if mode == Mode::Check {
        bail!("{} files differ from what is generated", differing.len());
    }
    fs::create_dir_all(folder)?;
    for name in differing {
        let path = folder.join(name);
        match generated.get(name) {
            Some(text) => fs::write(&path, text),
            None => fs::remove_file(&path),
        }
        .with_context(|| format!("cannot change {}", path.display()))?;
    }
    Ok(())
}

fn differing<'a>(committed: &'a Files, generated: &'a Files) -> BTreeSet<&'a String> {
    let names = committed.keys().chain(generated.keys());
    names
        .filter(|name| committed.get(*name) != generated.get(*name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        files.iter().map(owned).collect()
    }

    #[test]
    fn changed_missing_and_surplus_files_differ() {
        let committed = files(&[("same", "1"), ("changed", "1"), ("surplus", "1")]);
        let generated = files(&[("same", "1"), ("changed", "2"), ("missing", "1")]);
        let differing: Vec<_> = differing(&committed, &generated).into_iter().collect();
        assert_eq!(differing, ["changed", "missing", "surplus"]);
    }
}
