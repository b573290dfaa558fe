//! A table is written only by the crate that owns it, as the code map of ARCHITECTURE.md says.
//!
//! A side schema is owned by the crate of its name. Migrations and tests write what they like.

use std::collections::BTreeMap;

use super::Breach;
use crate::tree::{File, Tree};

/// Where the owners are written down, in rows like ``| `cache/` | what it is | `semantic_cache` |``.
const OWNERS_FILE: &str = "ARCHITECTURE.md";

/// Where they stand a second time, in rows like ``| `cache` | semantic_cache |``; the two must agree.
const SCHEMA_FILE: &str = "docs/schema.md";

/// The schema of tables that are named without one.
const DEFAULT_SCHEMA: &str = "public";

/// Folders whose SQL is not the running product's.
const EXEMPT_FOLDERS: [&str; 3] = ["migrations", "xtask", "docs"];

type Owners<'a> = BTreeMap<&'a str, &'a str>;

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let Some(map) = tree.find(OWNERS_FILE) else {
        return vec![Breach::new(
            OWNERS_FILE,
            0,
            "is missing; it says who owns which table",
        )];
    };
    let owners = owners(&map.text);
    let files = tree
        .files
        .iter()
        .filter(|file| holds_sql_of_the_product(file));
    let writes = files.flat_map(|file| check_file(file, &owners));
    writes.chain(disagreements(tree, &owners)).collect()
}

fn disagreements(tree: &Tree, owners: &Owners<'_>) -> Vec<Breach> {
    let Some(schema) = tree.find(SCHEMA_FILE) else {
        return vec![Breach::new(SCHEMA_FILE, 0, "is missing")];
    };
    let is_said = |table: &str, owner: &str| {
        let row = format!("| `{owner}` |");
        let mut rows = schema.text.lines().filter(|line| line.starts_with(&row));
        rows.any(|line| words(line).any(|word| word == table))
    };
    let unsaid = owners
        .iter()
        .filter(|(table, owner)| !is_said(table, owner));
    unsaid
        .map(|(table, owner)| {
            let what = format!("does not say that `{owner}` owns {table}, as {OWNERS_FILE} does");
            Breach::new(SCHEMA_FILE, 0, what)
        })
        .collect()
}

fn holds_sql_of_the_product(file: &File) -> bool {
    let sql = file.is_rust() || file.has_extension("sql");
    sql && !file.is_test() && !EXEMPT_FOLDERS.contains(&file.folder())
}

/// The rows of the code map whose first cell is a folder: the names in the third one are its tables.
fn owners(map: &str) -> Owners<'_> {
    let mut owners = Owners::new();
    for line in map.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, folder, _, tables, ..] = cells.as_slice() else {
            continue;
        };
        let Some(folder) = folder.trim_matches('`').strip_suffix('/') else {
            continue;
        };
        let tables = tables
            .split(',')
            .map(|table| table.trim().trim_matches('`'));
        owners.extend(
            tables
                .filter(|table| !table.is_empty())
                .map(|table| (table, folder)),
        );
    }
    owners
}

fn check_file(file: &File, owners: &Owners<'_>) -> Vec<Breach> {
    let code: Vec<_> = file.code().collect();
    let words: Vec<_> = code
        .iter()
        .flat_map(|(number, line)| words(line).map(move |word| (*number, word)))
        .collect();
    let writes = (0..words.len()).filter_map(|at| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        // `DO UPDATE SET …` and `FOR NO KEY UPDATE` are parts of statements.
        let is_part = before.is_some_and(|(_, word)| ["DO", "FOR", "KEY"].contains(word));
        if is_part {
            None
        } else {
            written_table(words.get(at..)?)
        }
    });
    writes
        .filter_map(|(number, table)| {
            let problem = problem(table, file.folder(), owners)?;
            Some(Breach::new(&file.path, number, problem))
        })
        .collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .filter(|word| !word.is_empty())
}

/// The table that a statement beginning with these words writes, if one begins here.
fn written_table<'a>(words: &[(usize, &'a str)]) -> Option<(usize, &'a str)> {
    let word = |at: usize| words.get(at).map(|(_, word)| *word);
    let at = match (word(0)?, word(1)?) {
        ("INSERT" | "MERGE", "INTO")
        | ("DELETE", "FROM")
        | ("UPDATE" | "TRUNCATE", "ONLY" | "TABLE") => 2,
        ("UPDATE" | "TRUNCATE", _) => 1,
        _ => return None,
    };
    let (number, table) = words.get(at)?;
    let is_name = table.starts_with(|c: char| c.is_ascii_lowercase());
    is_name.then_some((*number, *table))
}

fn problem(table: &str, folder: &str, owners: &Owners<'_>) -> Option<String> {
    let (schema, name) = table.split_once('.').unwrap_or((DEFAULT_SCHEMA, table));
    let owner = if schema == DEFAULT_SCHEMA {
        owners.get(name).copied()
    } else {
        Some(schema)
    };
    match owner {
        Some(owner) if owner == folder => None,
        Some(owner) => Some(format!("writes {table}, which belongs to `{owner}`")),
        None => Some(format!(
            "writes {table}, which has no owner in {OWNERS_FILE}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "| `cache/` | answers again | `semantic_cache` |\n\
                       | `metering/` | books | `usage_events`, `ai_requests` |\n";

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(path, text);
        let breaches = tree
            .files
            .iter()
            .flat_map(|file| check_file(file, &owners(MAP)));
        breaches.map(|breach| breach.what).collect()
    }

    #[test]
    fn writing_another_crates_table_is_found_over_line_ends() {
        let text = "\"INSERT INTO\n   ai_requests (id) VALUES ($1)\"";
        assert_eq!(
            check_text("cache/src/store.rs", text),
            ["writes ai_requests, which belongs to `metering`"]
        );
        assert!(check_text("metering/src/store.rs", text).is_empty());
    }

    #[test]
    fn a_side_schema_belongs_to_its_crate_and_an_unknown_table_to_nobody() {
        assert!(check_text("metering/src/store.rs", "DELETE FROM metering.leases").is_empty());
        assert_eq!(
            check_text("cache/src/store.rs", "DELETE FROM metering.leases").len(),
            1
        );
        assert_eq!(
            check_text("cache/src/store.rs", "UPDATE ONLY stray SET x = 1").len(),
            1
        );
    }

    #[test]
    fn locks_upserts_and_prose_are_no_writes() {
        let text = "// UPDATE stray\n ON CONFLICT DO UPDATE SET a = 1; SELECT 1 FOR UPDATE\", organization.uuid()";
        assert!(check_text("cache/src/store.rs", text).is_empty());
    }
}
