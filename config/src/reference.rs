//! What may be configured: every key of `default.toml`, with its sentence, its default, and when a change takes effect.
//!
//! `default.toml` is the only list of keys. From it come the defaults, the types that variables of the environment are read
//! as, the suggestion for a misspelt key, and which keys a running gateway follows.

use toml::{Table, Value};

use crate::key::Key;
use crate::problem::{Problem, Problems};

/// The file that every key, its default and its comment stand in.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");

/// A key that may be configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub(crate) key: Key,
    /// The dotted key; a name that the user chooses stands as in `default.toml`: `providers.demo.base_url`.
    pub path: String,
    /// What it is for, in a sentence.
    pub comment: String,
    /// When a change of the file takes effect.
    pub effect: Effect,
    /// The default.
    pub default: Value,
}

/// When a change of a key takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// At once.
    Live,
    /// At the next start.
    Restart,
}

/// Every key that may be configured.
#[derive(Debug, Clone)]
pub struct Reference {
    entries: Vec<Entry>,
    table: Table,
}

impl Reference {
    /// The keys of this version.
    pub fn embedded() -> Result<Self, Problems> {
        let table = DEFAULT_TOML.parse::<Table>().map_err(|error| {
            Problems(vec![Problem {
                path: String::new(),
                message: format!("default.toml: {}", error.message()),
                origin: None,
            }])
        })?;
        Ok(Self {
            entries: entries(DEFAULT_TOML, &table),
            table,
        })
    }

    /// The keys, in the order of `default.toml`.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The defaults, as one table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What is known of a key.
    pub(crate) fn find(&self, key: &Key) -> Option<&Entry> {
        let key = template(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Whether the name is that of a section, so that keys may stand under it.
    pub(crate) fn is_section(&self, key: &Key) -> bool {
        let template = template(key);
        let names = template.names();
        template.get(&self.table).is_some_and(Value::is_table)
            || matches!(names, [first, _] if first == "providers" || first == "routes")
    }

    /// The known key that an unknown one is most likely meant to be.
    pub(crate) fn nearest(&self, key: &Key) -> Option<String> {
        /// Below this likeness (0 to 1) a suggestion would rather mislead.
        const LIKENESS_MIN: f64 = 0.8;
        let wanted = template(key);
        let likeness = |entry: &Entry| strsim::jaro_winkler(&wanted.to_string(), &entry.path);
        let best = self
            .entries
            .iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        if likeness(best) < LIKENESS_MIN {
            return None;
        }
        let same_section = best.key == wanted.sibling(best.key.last());
        Some(if same_section {
            key.sibling(best.key.last()).to_string()
        } else {
            best.path.clone()
        })
    }
}

/// The key as `default.toml` has it: with its example in place of a name that the user chose.
fn template(key: &Key) -> Key {
    match key.names() {
        [first, _, rest @ ..] if matches!(&**first, "providers" | "routes") && !rest.is_empty() => {
            let names = [first.as_str(), "demo"].into_iter();
            Key::new(names.chain(rest.iter().map(String::as_str)))
        }
        [models, aliases, _] if models == "models" && aliases == "aliases" => {
            Key::new(["models", "aliases", "default"])
        }
        _ => key.clone(),
    }
}

/// Reads the comments above each key; TOML parsers drop them.
fn entries(text: &str, table: &Table) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = Vec::new();
    let mut comment = String::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix('#') {
            comment.push_str(words);
        } else if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').split('.').collect();
            comment.clear();
        } else if let Some((name, _)) = line.split_once(" = ") {
            let names = section.iter().copied().chain([name]);
            entries.extend(entry(Key::new(names), &comment, table));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    entries
}

fn entry(key: Key, comment: &str, table: &Table) -> Option<Entry> {
    let live = comment.trim_end().ends_with("(live)");
    let sentence = comment
        .trim()
        .trim_end_matches("(live)")
        .trim_end_matches("(restart)");
    Some(Entry {
        path: key.to_string(),
        comment: sentence.trim().to_owned(),
        effect: if live { Effect::Live } else { Effect::Restart },
        default: key.get(table)?.clone(),
        key,
    })
}

#[cfg(test)]
mod tests;
