//! What is kept of a question, so that it can be compared with another one in microseconds.

use super::lists::{CLASSES, NEGATIONS, QUESTIONS};
use super::{numbers, words};

/// What the guard knows of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// The canonical words, in order.
    pub(super) words: Box<[Box<str>]>,
    /// The numbers, in order.
    pub(super) numbers: Box<[Box<str>]>,
    /// Members of closed classes: the class and the word, in order.
    pub(super) members: Box<[(usize, Box<str>)]>,
    /// How many negations there are, modulo two.
    pub(super) negated: bool,
    /// The first word that asks.
    pub(super) question: Option<Box<str>>,
    /// Names: words with a capital where no sentence begins. Empty where capitals say nothing.
    pub(super) names: Box<[Box<str>]>,
    /// What stands in quotation marks, addresses and code, word for word.
    pub(super) literals: Box<[Box<str>]>,
}

impl Sketch {
    pub(crate) fn of(text: &str) -> Self {
        let words = words::words(text);
        let boxed = |words: Vec<String>| words.into_iter().map(String::into_boxed_str).collect();
        let negations = words
            .iter()
            .filter(|word| NEGATIONS.contains(&word.as_str()));
        Self {
            numbers: words
                .iter()
                .filter_map(|word| numbers::number(word))
                .map(String::into_boxed_str)
                .collect(),
            members: words.iter().filter_map(|word| member(word)).collect(),
            negated: negations.count() % 2 == 1,
            question: words
                .iter()
                .find(|word| QUESTIONS.contains(&word.as_str()))
                .map(|word| word.as_str().into()),
            names: boxed(names(text)),
            literals: boxed(literals(text)),
            words: boxed(words),
        }
    }

    /// The numbers, in order.
    pub(crate) fn numbers(&self) -> &[Box<str>] {
        &self.numbers
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| &**own == word)
    }
}

/// The closed class that a word belongs to, and the word without its plural.
fn member(word: &str) -> Option<(usize, Box<str>)> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    CLASSES.iter().enumerate().find_map(|(class, members)| {
        let found = members
            .iter()
            .find(|member| **member == word || **member == singular);
        found.map(|member| (class, Box::from(*member)))
    })
}

/// A text in one case throughout says nothing by its capitals.
fn names(text: &str) -> Vec<String> {
    if !text.chars().any(char::is_lowercase) {
        return Vec::new();
    }
    let mut names = Vec::new();
    let mut begins = true;
    for piece in text.split_whitespace() {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        let pronoun = word == "I" || word.starts_with("I'") || word.starts_with("I’");
        if capital && !begins && !pronoun {
            names.push(word.to_lowercase());
        }
        begins = piece.ends_with(['.', '!', '?', ':', '"']);
    }
    names.sort();
    names.dedup();
    names
}

/// What is quoted, and words that are addresses or code.
fn literals(text: &str) -> Vec<String> {
    let quoted = text.split(['"', '“', '”', '`']).skip(1).step_by(2);
    let quoted = quoted
        .filter(|quote| !quote.trim().is_empty())
        .map(|quote| quote.trim().to_owned());
    let coded = text
        .split_whitespace()
        .filter(|word| is_code(word))
        .map(|word| {
            word.trim_matches(['.', ',', '?', '!', ';', ':', '(', ')'])
                .to_owned()
        });
    let mut literals: Vec<String> = quoted.chain(coded).collect();
    literals.sort();
    literals.dedup();
    literals
}

fn is_code(word: &str) -> bool {
    let word = word.trim_matches(['.', ',', '?', '!', ';', ':', '"', '\'']);
    word.contains("://")
        || word.contains("::")
        || word.contains("->")
        || word.contains(['@', '_', '\\', '{', '}', '='])
        || word.ends_with("()")
}
