//! Whether one word is another one misspelt.

use std::collections::HashSet;
use std::sync::Arc;

/// The shortest word that is recognised although it is misspelt, in letters: short words are near too many others.
const LETTERS_MIN: usize = 4;

/// The words that are spelt right, as far as anybody knows. Empty: only exchanged letters are recognised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lexicon(Option<Arc<HashSet<Box<str>>>>);

impl Lexicon {
    pub(crate) fn new(words: Option<Arc<HashSet<Box<str>>>>) -> Self {
        Self(words.filter(|words| !words.is_empty()))
    }

    /// Whether the two words are one, misspelt in one of them. Two words that both exist are two words.
    pub(crate) fn is_misspelling(&self, one: &str, other: &str) -> bool {
        let (short, long) = if one.len() <= other.len() {
            (one, other)
        } else {
            (other, one)
        };
        let letters = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        if short.len() < LETTERS_MIN
            || long.len() - short.len() > 1
            || !letters(one)
            || !letters(other)
        {
            return false;
        }
        let (one_exists, other_exists) = (self.has(one), self.has(other));
        match (one_exists, other_exists) {
            (Some(true), Some(true)) => false,
            (Some(true), Some(false)) | (Some(false), Some(true)) => {
                one.as_bytes().first() == other.as_bytes().first() && is_one_slip(short, long)
            }
            // A rare word, or no lexicon: letters that changed places are the one slip that makes no new word.
            _ => is_exchange(one, other),
        }
    }

    fn has(&self, word: &str) -> Option<bool> {
        let words = self.0.as_ref()?;
        let stem = |ending: &str| {
            let stem = word.strip_suffix(ending);
            stem.is_some_and(|stem| stem.len() >= LETTERS_MIN && words.contains(stem))
        };
        Some(words.contains(word) || stem("s") || stem("ed") || stem("ing") || stem("ly"))
    }
}

/// One letter too many, too few, wrong, or two that changed places.
fn is_one_slip(short: &str, long: &str) -> bool {
    if short.len() == long.len() {
        let differing = short.bytes().zip(long.bytes()).filter(|(a, b)| a != b);
        return differing.count() == 1 || is_exchange(short, long);
    }
    let same = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b);
    let at = same.count();
    short.get(at..) == long.get(at + 1..)
}

/// Two neighbouring letters changed places, and nothing else.
fn is_exchange(one: &str, other: &str) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let pairs: Vec<(u8, u8)> = one
        .bytes()
        .zip(other.bytes())
        .skip_while(|(a, b)| a == b)
        .collect();
    match pairs.as_slice() {
        [(a, b), (c, d), rest @ ..] => a == d && b == c && rest.iter().all(|(a, b)| a == b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_word_and_two_words_are_two() {
        let words = [
            "income", "convert", "form", "from", "lost", "last", "travel", "black", "block",
        ];
        let words = words.into_iter().map(Box::from).collect();
        let lexicon = Lexicon::new(Some(Arc::new(words)));
        for (one, other) in [
            ("icnome", "income"),
            ("convrt", "convert"),
            ("travell", "travel"),
            ("zyxwvu", "zywxvu"),
        ] {
            assert!(lexicon.is_misspelling(one, other), "{one}");
            assert!(lexicon.is_misspelling(other, one), "{other}");
        }
        for (one, other) in [
            ("from", "form"),
            ("lost", "last"),
            ("black", "block"),
            ("cat", "cta"),
            ("june1", "june2"),
        ] {
            assert!(!lexicon.is_misspelling(one, other), "{one}");
        }
        assert!(Lexicon::default().is_misspelling("icnome", "income"));
        assert!(!Lexicon::default().is_misspelling("convrt", "convert"));
    }
}
