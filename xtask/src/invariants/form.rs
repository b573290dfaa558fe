//! Every Rust file opens with a sentence of purpose, is short, and is not called `mod.rs`.

use super::Breach;
use crate::tree::{File, Tree};

/// The most lines of a file. A longer one has two purposes, or its tests belong in a file of their own.
const LINES_MAX: usize = 500;

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    tree.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Breach> {
    let lines = file.text.lines().count();
    let rules = [
        (
            !file.text.starts_with("//! "),
            1,
            "does not open with `//!` and its purpose".to_owned(),
        ),
        (
            lines > LINES_MAX,
            lines,
            format!("has {lines} lines, more than {LINES_MAX}"),
        ),
        (
            file.path.ends_with("/mod.rs"),
            0,
            "is a `mod.rs`; name it after its module".to_owned(),
        ),
    ];
    let broken = rules.into_iter().filter(|(broken, _, _)| *broken);
    broken
        .map(|(_, line, what)| Breach::new(&file.path, line, what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_without_a_purpose_under_a_forbidden_name_is_found_three_times() {
        let text = "use std;\n".repeat(LINES_MAX + 1);
        assert_eq!(check(&Tree::of("cache/src/mod.rs", &text)).len(), 3);
        assert!(check(&Tree::of("cache/src/lib.rs", "//! Purpose.\n")).is_empty());
    }
}
