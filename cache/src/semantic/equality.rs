//! Whether two answers say the same, without asking anybody.
//!
//! In this order: the same words; then numbers, addresses, code and lists must agree, and the answers must be near
//! each other in meaning. Taking two answers for the same when they are not costs more than the other mistake, so
//! whatever cannot be compared is different.

use embedding::Vector;

use crate::text::normal;

/// How near two answers that say the same are, at least.
const COSINE_MIN: f32 = 0.80;

/// What is kept of an answer to compare others with.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    normal: u64,
    numbers: Vec<Box<str>>,
    literals: Vec<Box<str>>,
    negations: usize,
    items: usize,
    vector: Option<Vector>,
}

impl Wording {
    /// `vector` is the answer's; without one only the same words are equal.
    pub(crate) fn of(text: &str, vector: Option<Vector>) -> Self {
        Self {
            normal: hash(&normal::normal(text)),
            numbers: numbers(text),
            literals: literals(text),
            negations: negations(text),
            items: text.lines().filter(|line| is_item(line)).count(),
            vector,
        }
    }

    /// The direction of the answer, to be stored with it.
    pub(crate) const fn vector(&self) -> Option<&Vector> {
        self.vector.as_ref()
    }

    pub(crate) const fn is_word_for_word(&self, other: &Self) -> bool {
        self.normal == other.normal
    }

    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        if self.is_word_for_word(other) {
            return true;
        }
        let facts = self.numbers == other.numbers
            && self.literals == other.literals
            && self.items == other.items
            && self.negations.abs_diff(other.negations).is_multiple_of(2);
        facts
            && self
                .cosine(other)
                .is_some_and(|cosine| cosine >= COSINE_MIN)
    }

    fn cosine(&self, other: &Self) -> Option<f32> {
        Some(self.vector.as_ref()?.cosine(other.vector.as_ref()?))
    }
}

/// The texts whose directions make up an answer's: a model has a window, and an answer may be longer.
pub(crate) fn pieces(text: &str) -> Option<Vec<String>> {
    /// Words that fit into every model's window, whatever their spelling.
    const WORDS: usize = 120;
    /// A longer answer is compared by its words alone: each piece costs an embedding.
    const PIECES_MAX: usize = 6;

    let words: Vec<&str> = text.split_whitespace().collect();
    let pieces = words
        .chunks(WORDS)
        .map(|words| words.join(" "))
        .collect::<Vec<_>>();
    (pieces.len() <= PIECES_MAX && !pieces.is_empty()).then_some(pieces)
}

/// The direction in which all of them point together.
pub(crate) fn together(vectors: &[Vector]) -> Option<Vector> {
    let mut sum = vec![0.0; vectors.first()?.values().len()];
    for vector in vectors {
        for (total, value) in sum.iter_mut().zip(vector.values()) {
            *total += value;
        }
    }
    Vector::new(sum)
}

fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Sorted, because another wording may have them in another order. Numbers that count a list's items are not among them.
fn numbers(text: &str) -> Vec<Box<str>> {
    let said = text
        .lines()
        .flat_map(|line| strip_item(line).split_whitespace());
    let mut numbers: Vec<Box<str>> = said
        .map(|word| {
            word.trim_matches(|c: char| {
                !c.is_alphanumeric() && c != '%' && c != '$' && c != '€' && c != '£'
            })
        })
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()) && !is_literal(word))
        .map(|word| word.replace(',', "").into_boxed_str())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn literals(text: &str) -> Vec<Box<str>> {
    let mut literals: Vec<Box<str>> = text
        .split_whitespace()
        .map(|word| word.trim_matches(['.', ',', ';', ':', '(', ')', '!', '?']))
        .filter(|word| is_literal(word))
        .map(Box::from)
        .collect();
    literals.sort_unstable();
    literals.dedup();
    literals
}

fn is_literal(word: &str) -> bool {
    word.contains("://") || word.contains(['@', '`', '_', '{', '}', '=']) || word.contains("::")
}

fn negations(text: &str) -> usize {
    let lower = text.to_lowercase().replace('’', "'");
    lower
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| {
            matches!(
                *word,
                "not" | "no" | "never" | "cannot" | "without" | "unable"
            ) || word.ends_with("n't")
        })
        .count()
}

fn is_item(line: &str) -> bool {
    strip_item(line).len() != line.trim_start().len()
}

/// A line of a list without what makes it one: `-`, `*`, `•`, `3.`, `3)`.
fn strip_item(line: &str) -> &str {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix(['-', '*', '•']) {
        return if rest.starts_with(' ') { rest } else { line };
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = rest.len() < line.len() && (rest.starts_with(". ") || rest.starts_with(") "));
    if numbered {
        rest.get(1..).unwrap_or_default()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str, cosine: f32, expected: bool) {
        let sine = (1.0 - cosine * cosine).sqrt();
        let one = Wording::of(one, Vector::new(vec![1.0, 0.0]));
        let other = Wording::of(other, Vector::new(vec![cosine, sine]));
        assert_eq!(
            one.says_the_same_as(&other),
            expected,
            "{one:?} / {other:?}"
        );
    }

    #[test]
    fn near_answers_are_the_same_unless_a_fact_differs() {
        check("It takes 3 days.", "You wait 3 days", 0.95, true);
        check("It takes 3 days.", "it takes 3 days", 0.0, true);
        check("It takes 3 days.", "It takes 5 days.", 0.99, false);
        check("It takes 3 days.", "You wait 3 days", 0.5, false);
        check("You can do it.", "You cannot do it.", 0.99, false);
        check(
            "See https://a.example",
            "See https://b.example",
            0.99,
            false,
        );
        check("Run `ls`", "Run `rm`", 0.99, false);
        check("- a\n- b", "- a\n- b\n- c", 0.99, false);
        check("1. open it\n2. press", "- open it\n- press", 0.9, true);
    }

    #[test]
    fn without_a_direction_only_the_same_words_are_the_same() {
        let one = Wording::of("Yes, of course.", None);
        assert!(one.says_the_same_as(&Wording::of("yes, of course", None)));
        assert!(!one.says_the_same_as(&Wording::of("Certainly.", None)));
        assert_eq!(
            pieces(&"word ".repeat(130)).map(|pieces| pieces.len()),
            Some(2)
        );
        assert_eq!(pieces(&"word ".repeat(10_000)), None);
    }
}
