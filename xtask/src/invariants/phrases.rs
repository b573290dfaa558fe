//! Phrases that must not stand anywhere in the repository, from a list beside this crate.

use super::Breach;
use crate::tree::{File, Tree};

/// One phrase a line, in any case; `#` begins a comment.
const LIST: &str = "xtask/banned-phrases.txt";

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let Some(list) = tree.find(LIST) else {
        return vec![Breach::new(LIST, 0, "is missing; it may be empty")];
    };
    let phrases = phrases(&list.text);
    let files = tree.files.iter().filter(|file| file.path != LIST);
    files.flat_map(|file| check_file(file, &phrases)).collect()
}

fn phrases(list: &str) -> Vec<String> {
    let lines = list.lines().map(str::trim);
    let phrases = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    phrases.map(str::to_lowercase).collect()
}

fn check_file(file: &File, phrases: &[String]) -> Vec<Breach> {
    let lines = file.text.lines().enumerate();
    let using = lines.filter_map(|(at, line)| {
        let line = line.to_lowercase();
        let phrase = phrases
            .iter()
            .find(|phrase| line.contains(phrase.as_str()))?;
        Some(Breach::new(&file.path, at + 1, format!("uses `{phrase}`")))
    });
    using.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_in_any_case_and_comments_are_none() {
        let phrases = phrases("# a comment\n\nBlazingly Fast\n");
        let tree = Tree::of("README.md", "It is blazingly fast.\n# a comment\n");
        let found: Vec<_> = tree
            .files
            .iter()
            .flat_map(|file| check_file(file, &phrases))
            .collect();
        assert_eq!(
            found,
            [Breach::new("README.md", 1, "uses `blazingly fast`")]
        );
    }
}
