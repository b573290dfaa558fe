//! A text without what changes no answer: white space, closing punctuation, politeness and filler.
//!
//! Digits and super-scripts are never folded. Case is folded only where nothing hints that it means something:
//! no word in capitals, no code.

use unicode_normalization::UnicodeNormalization;

use super::lists::{BEFORE_OBJECT, CLOSINGS, OPENINGS, SPEAKING, TRANSLATING};

/// Ends of sentences and what people put there.
const CLOSING_PUNCTUATION: &[char] = &['.', '!', '?', ',', ';', ':', '…', ' '];

/// Characters that questions in plain words do not have.
const CODE: &[char] = &[
    '`', '{', '}', '=', '<', '>', '_', '\\', '|', '~', '^', '@', '#', '/',
];

/// The text of the normalised tier.
pub(crate) fn normal(text: &str) -> String {
    let plain = plain(text);
    if has_meaningful_case(&plain) {
        plain
    } else {
        plain.to_lowercase()
    }
}

/// The text without its politeness, in the case it has: what is embedded.
pub(crate) fn plain(text: &str) -> String {
    let composed: String = text.nfc().collect();
    let spaced = composed.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = spaced.as_str();
    loop {
        let next = without_closing(without_opening(rest));
        if next == rest {
            return rest.to_owned();
        }
        rest = next;
    }
}

fn without_opening(text: &str) -> &str {
    OPENINGS
        .iter()
        .filter_map(|opening| strip_opening(text, opening))
        .min_by_key(|rest| rest.len())
        .unwrap_or(text)
}

fn strip_opening<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    let head = text.get(..opening.len())?;
    let rest = text.get(opening.len()..)?;
    let ends = rest.starts_with(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’');
    if !head.eq_ignore_ascii_case(opening) || !ends {
        return None;
    }
    // A colon or comma after a greeting belongs to it; a minus or a quotation mark does not.
    let rest = rest.trim_start_matches(CLOSING_PUNCTUATION);
    rest.contains(char::is_alphanumeric).then_some(rest)
}

fn without_closing(text: &str) -> &str {
    let text = non_empty(text.trim_end_matches(CLOSING_PUNCTUATION), text);
    CLOSINGS
        .iter()
        .filter_map(|closing| strip_closing(text, closing))
        .min_by_key(|rest| rest.len())
        .unwrap_or(text)
}

fn strip_closing<'a>(text: &'a str, closing: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(closing.len())?;
    let (rest, tail) = (text.get(..at)?, text.get(at..)?);
    if !tail.eq_ignore_ascii_case(closing) || !rest.ends_with([' ', ',', '.', '!', '?', ';']) {
        return None;
    }
    if rest.trim_end().ends_with(':') {
        return None;
    }
    let shorter = rest.trim_end_matches(CLOSING_PUNCTUATION);
    // "How do you say thank you" asks about the words, and so does "the word for please".
    let words = || shorter.split(|c: char| !c.is_alphanumeric());
    let spoken_of = words().any(|word| is_one_of(word, TRANSLATING))
        || words().rev().take(2).any(|word| is_one_of(word, SPEAKING));
    let last = words().next_back().unwrap_or_default();
    let belongs = shorter.len() + 1 == rest.len() && is_one_of(last, BEFORE_OBJECT);
    let remains = shorter.contains(char::is_alphanumeric);
    (!spoken_of && !belongs && remains).then_some(shorter)
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|own| own.eq_ignore_ascii_case(word))
}

fn non_empty<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn has_meaningful_case(text: &str) -> bool {
    let code = text.contains(CODE);
    code || text
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.len() > 1 && is_capitals(word))
}

/// A word in capitals: an acronym, a currency, a code.
fn is_capitals(word: &str) -> bool {
    word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(normal(text), expected, "{text}");
    }

    #[test]
    fn politeness_filler_space_and_closing_punctuation_go() {
        check("  Where is\n my  parcel? ", "where is my parcel");
        check("hi, Where is my parcel", "where is my parcel");
        check(
            "hello, quick question: where is my parcel",
            "where is my parcel",
        );
        check("could you help me with this? where is it", "where is it");
        check("Where is it asap please", "where is it");
        check("Where is it, please", "where is it");
        check("please tell me: where is it. Thank you!", "where is it");
        check("Cafe\u{301} open?", "café open");
    }

    #[test]
    fn what_may_mean_something_stays() {
        check("Convert 10 m² to ft²", "convert 10 m² to ft²");
        check("Is the US bigger", "Is the US bigger");
        check("What does foo_Bar do?", "What does foo_Bar do");
        check("How do you say thank you", "how do you say thank you");
        check("What is French for please", "what is french for please");
        check("Translate: thank you", "translate: thank you");
        check("Where do you operate in, please", "where do you operate in");
        check("Thanks", "thanks");
        check("Please", "please");
        check("History of Rome", "history of rome");
        check("high tide", "high tide");
        check("", "");
        check("?!", "?!");
        check("-5 degrees", "-5 degrees");
    }
}
