//! Lays the sources over each other: default, file, environment, command line.
//!
//! Every value remembers where it was set. A key nobody knows is a problem with a suggestion, wherever it stands.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::environment::Environment;
use crate::key::Key;
use crate::problem::Origin;
use crate::reference::Reference;
use crate::report::Report;

/// What every variable of ours begins with.
const PREFIX: &str = "FLOWPILOT__";
/// What stands between section and key in the name of a variable.
const SEPARATOR: &str = "__";

/// The sources, laid over each other.
pub(crate) struct Layers<'r> {
    reference: &'r Reference,
    /// What was set and, once filled, the defaults for the rest. Holds secrets as text: never show it.
    pub(crate) table: Table,
    /// What is wrong so far, and where each key was set.
    pub(crate) report: Report,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

impl<'r> Layers<'r> {
    /// The defaults alone.
    pub(crate) fn new(reference: &'r Reference) -> Self {
        Self {
            reference,
            table: reference.table().clone(),
            report: Report::default(),
            files: Vec::new(),
        }
    }

    /// Lays a file over what is there.
    pub(crate) fn file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
        match fs_err::read_to_string(path) {
            Ok(text) => self.text(path, &text),
            Err(error) => self.report.problem("", format!("cannot be read: {error}")),
        }
    }

    /// Lays the text of a file over what is there. The parser's own message would quote the line, which may hold a key.
    pub(crate) fn text(&mut self, path: &Path, text: &str) {
        let origin = |offset| Origin::File {
            path: path.to_owned(),
            line: line_of(text, offset),
        };
        let places = match DeTable::parse(text) {
            Ok(places) => places,
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                return self.report.problem_at("", error.message(), origin(offset));
            }
        };
        let Ok(values) = text.parse::<Table>() else {
            return;
        };
        let mut leaves = Vec::new();
        collect(&Key::new::<&str>([]), places.get_ref(), &mut leaves);
        for (key, offset) in leaves {
            if let Some(value) = key.get(&values) {
                self.set(&key, value.clone(), origin(offset));
            }
        }
    }

    /// Lays the environment's `FLOWPILOT__SECTION__KEY` over what is there.
    pub(crate) fn environment(&mut self, environment: &Environment) {
        if let Some(url) = environment.get("DATABASE_URL") {
            let key = Key::new(["database", "url"]);
            self.set(&key, url.into(), Origin::Variable("DATABASE_URL".into()));
        }
        for (name, rest, value) in environment.under(PREFIX) {
            let key = self.key_of(rest);
            let origin = Origin::Variable(name.to_owned());
            match self.reference.find(&key) {
                Some(entry) => match typed(value, &entry.default) {
                    Ok(value) => self.set(&key, value, origin),
                    Err(message) => self.report.problem_at(&key.to_string(), message, origin),
                },
                None => self.unknown(&key, origin),
            }
        }
    }

    /// Sets a key. A secret and its file displace each other, when one comes from a higher layer than the other.
    pub(crate) fn set(&mut self, key: &Key, value: Value, origin: Origin) {
        let empty_section = matches!(&value, Value::Table(table) if table.is_empty());
        if !(empty_section && self.reference.is_section(key)) {
            if self.reference.find(key).is_none() {
                return self.unknown(key, origin);
            }
            self.displace(key, &origin);
        }
        if empty_section && key.get(&self.table).is_some() {
            return;
        }
        key.put(&mut self.table, value);
        self.report.set_at(key.to_string(), origin);
    }

    /// Sets a key that nobody has set to anything.
    pub(crate) fn fill(&mut self, key: &Key, value: Value) {
        let empty = match key.get(&self.table) {
            None => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        };
        if empty {
            key.put(&mut self.table, value);
        }
    }

    /// Whether somebody set a key to something.
    pub(crate) fn is_set(&self, key: &Key) -> bool {
        self.report.origin(&key.to_string()).is_some() && key.text(&self.table).is_some()
    }

    /// The names under a section.
    pub(crate) fn names(&self, section: &Key) -> Vec<String> {
        let table = section.get(&self.table).and_then(Value::as_table);
        table.map_or_else(Vec::new, |table| table.keys().cloned().collect())
    }

    /// A section as `default.toml` has it.
    pub(crate) fn defaults(&self, section: &Key) -> Table {
        let table = section
            .get(self.reference.table())
            .and_then(Value::as_table);
        table.cloned().unwrap_or_default()
    }

    /// The default of a key that stands in `default.toml` under this very name.
    pub(crate) fn default(&self, key: &Key) -> Option<Value> {
        key.get(self.reference.table()).cloned().or_else(|| {
            let entry = self.reference.find(key)?;
            let first = key.names().first()?;
            (entry.key.names().len() == 3 && matches!(&**first, "providers" | "routes"))
                .then(|| entry.default.clone())
        })
    }

    fn unknown(&mut self, key: &Key, origin: Origin) {
        let message = if self.reference.is_section(key) {
            "is a section, not a value".to_owned()
        } else {
            match self.reference.nearest(key) {
                Some(nearest) => format!("unknown key; did you mean {nearest}?"),
                None => "unknown key".to_owned(),
            }
        };
        self.report.problem_at(&key.to_string(), message, origin);
    }

    /// Takes away the other form of a secret, `x` for `x_file` and the reverse, if a lower layer set it.
    fn displace(&mut self, key: &Key, origin: &Origin) {
        let other = partner(key);
        let path = other.to_string();
        let Some(earlier) = self.report.origin(&path) else {
            return;
        };
        if std::mem::discriminant(earlier) != std::mem::discriminant(origin) {
            other.put(&mut self.table, "".into());
            self.report.unset(&path);
        }
    }

    /// `PROVIDERS__MY_GEMINI__API_KEY` is `providers.my-gemini.api_key` if the file has such a provider.
    fn key_of(&self, name: &str) -> Key {
        let mut key = Key::new::<&str>([]);
        for part in name.split(SEPARATOR) {
            let part = part.to_lowercase();
            let known = self.names_under(&key).into_iter().find(|known| {
                *known != part && known.to_lowercase().replace(['-', '.'], "_") == part
            });
            let exact = key.child(&part);
            key = match known {
                Some(known) if exact.get(&self.table).is_none() => key.child(&known),
                _ => exact,
            };
        }
        key
    }

    fn names_under(&self, key: &Key) -> Vec<String> {
        if key.names().is_empty() {
            return self.table.keys().cloned().collect();
        }
        self.names(key)
    }
}

/// The other form of a secret: `api_key_file` for `api_key`, and the reverse.
pub(crate) fn partner(key: &Key) -> Key {
    match key.last().strip_suffix("_file") {
        Some(name) => key.sibling(name),
        None => key.sibling(&format!("{}_file", key.last())),
    }
}

/// Every value of a file with its offset; an empty section counts as a value, as `[providers.groq]` says something.
fn collect(at: &Key, table: &DeTable<'_>, leaves: &mut Vec<(Key, usize)>) {
    for (name, value) in table {
        let key = at.child(name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => collect(&key, inner, leaves),
            _ => leaves.push((key, Spanned::span(name).start)),
        }
    }
}

/// The line of an offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before
        .filter(|byte| **byte == b'\n')
        .count()
        .saturating_add(1)
}

/// Reads the text of a variable as the type that the key's default has.
fn typed(text: &str, like: &Value) -> Result<Value, &'static str> {
    match like {
        Value::Integer(_) => {
            let number = text.trim().replace('_', "").parse().map(Value::Integer);
            number.map_err(|_| "must be a whole number")
        }
        Value::Boolean(_) => {
            let truth = text.trim().parse().map(Value::Boolean);
            truth.map_err(|_| "must be true or false")
        }
        Value::Array(_) => {
            let items = text.split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty()).map(Value::from);
            Ok(Value::Array(items.collect()))
        }
        _ => Ok(text.into()),
    }
}
