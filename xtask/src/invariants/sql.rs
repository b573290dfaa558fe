//! SQL stands only in `store` modules and in `database`, so that who touches a table is seen by the file's name.

use super::Breach;
use crate::tree::{File, Tree};

/// What runs SQL.
const RUNNERS: [&str; 7] = [
    "query!(",
    "query_as!(",
    "query_scalar!(",
    "query_file!(",
    "query_file_as!(",
    "sqlx::query",
    "QueryBuilder",
];

/// The crate that is about nothing but SQL; and this one, whose rules name it.
const SQL_FOLDERS: [&str; 2] = ["database", "xtask"];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let files = tree.rust().filter(|file| !may_hold_sql(file));
    files.flat_map(check_file).collect()
}

fn may_hold_sql(file: &File) -> bool {
    let is_store = |part: &str| part == "store" || part == "store.rs";
    file.is_test() || SQL_FOLDERS.contains(&file.folder()) || file.path.split('/').any(is_store)
}

fn check_file(file: &File) -> Vec<Breach> {
    let running = file.code().filter_map(|(number, line)| {
        let runner = RUNNERS.iter().find(|runner| line.contains(**runner))?;
        Some(Breach::new(
            &file.path,
            number,
            format!("`{runner}` outside of a store module"),
        ))
    });
    running.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_found_outside_of_a_store_module() {
        let text = "//! X.\nsqlx::query!(\"SELECT 1\")\n";
        assert_eq!(check(&Tree::of("cache/src/exact.rs", text)).len(), 1);
        assert!(check(&Tree::of("cache/src/store.rs", text)).is_empty());
        assert!(check(&Tree::of("cache/src/store/write.rs", text)).is_empty());
    }
}
