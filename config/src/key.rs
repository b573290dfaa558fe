//! The place of a value in the configuration: `providers.gemini.base_url`.

use std::fmt;

use toml::{Table, Value};

/// The names from the section down to the value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<String>);

impl Key {
    /// A key of these names.
    pub(crate) fn new<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The names, outermost first.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// The innermost name.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// One level further down.
    pub(crate) fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// Further down, by another key.
    pub(crate) fn join(&self, inside: &Self) -> Self {
        Self([self.0.as_slice(), inside.0.as_slice()].concat())
    }

    /// The same place under another innermost name.
    pub(crate) fn sibling(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.pop();
        names.push(name.to_owned());
        Self(names)
    }

    /// The value there.
    pub(crate) fn get<'t>(&self, table: &'t Table) -> Option<&'t Value> {
        let (last, sections) = self.0.split_last()?;
        let mut table = table;
        for name in sections {
            table = table.get(name)?.as_table()?;
        }
        table.get(last)
    }

    /// The text there, if there is one that is not empty.
    pub(crate) fn text<'t>(&self, table: &'t Table) -> Option<&'t str> {
        self.get(table)?.as_str().filter(|text| !text.is_empty())
    }

    /// Puts a value there, making the sections on the way.
    pub(crate) fn put(&self, table: &mut Table, value: Value) {
        let Some((last, sections)) = self.0.split_last() else {
            return;
        };
        let mut table = table;
        for name in sections {
            let section = table
                .entry(name.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = section else { return };
            table = inner;
        }
        table.insert(last.clone(), value);
    }

    /// Takes the value away.
    pub(crate) fn remove(&self, table: &mut Table) -> Option<Value> {
        let (last, sections) = self.0.split_last()?;
        let mut table = table;
        for name in sections {
            table = table.get_mut(name)?.as_table_mut()?;
        }
        table.remove(last)
    }
}

/// Names that TOML wants in quotes are shown in quotes: `models.aliases."gpt-4.1"`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "." };
            let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if name.chars().all(bare) {
                write!(f, "{separator}{name}")?;
            } else {
                write!(f, "{separator}\"{name}\"")?;
            }
        }
        Ok(())
    }
}
