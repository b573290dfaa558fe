//! A text as a sequence of canonical words: short forms spelled out, words of the same meaning made one.

use super::lists::{BEFORE_IS, CLITICS, CONTRACTIONS, PHRASES, SYNONYMS};
use super::{normal, numbers};

/// The canonical words of a text, in order.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = normal::plain(text)
        .to_lowercase()
        .replace(['’', '‘', '`'], "'");
    let spelled: Vec<String> = split(&text).flat_map(spell_out).collect();
    let mut words: Vec<String> = phrased(&spelled);
    for word in &mut words {
        if let Some((_, one)) = SYNONYMS.iter().find(|(other, _)| other == word) {
            *word = (*one).to_owned();
        }
    }
    words
}

/// Words, numbers with their signs, and symbols that mean something.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split("...")
        .flat_map(|part| part.split(|c: char| c.is_whitespace() || "\"()[]{},;!?…".contains(c)))
        .flat_map(|piece| numbers::split_symbols(piece.trim_matches(['.', ':', '\'', '-', '/'])))
        .filter(|word| !word.is_empty())
}

fn spell_out(word: &str) -> Vec<String> {
    if let Some((_, long)) = CONTRACTIONS.iter().find(|(short, _)| *short == word) {
        return long.split(' ').map(str::to_owned).collect();
    }
    let Some((head, tail)) = word.rsplit_once('\'') else {
        return vec![word.to_owned()];
    };
    if tail == "s" && BEFORE_IS.contains(&head) {
        return vec![head.to_owned(), "is".to_owned()];
    }
    match CLITICS.iter().find(|(short, _)| *short == tail) {
        Some((_, long)) => vec![head.to_owned(), (*long).to_owned()],
        None => vec![word.to_owned()],
    }
}

/// Replaces phrases from left to right, the longest that fits first.
fn phrased(words: &[String]) -> Vec<String> {
    let mut phrased = Vec::with_capacity(words.len());
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        if let Some((length, replacement)) = longest_phrase(rest) {
            phrased.extend(replacement.split_whitespace().map(str::to_owned));
            rest = rest.get(length..).unwrap_or_default();
        } else {
            phrased.push(first.clone());
            rest = after;
        }
    }
    // A text that is nothing but a phrase is that phrase.
    if phrased.is_empty() {
        words.to_vec()
    } else {
        phrased
    }
}

fn longest_phrase(words: &[String]) -> Option<(usize, &'static str)> {
    PHRASES
        .iter()
        .filter_map(|(phrase, replacement)| {
            let length = phrase.split(' ').count();
            let starts = length <= words.len() && phrase.split(' ').zip(words).all(|(a, b)| a == b);
            starts.then_some((length, *replacement))
        })
        .max_by_key(|(length, _)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) {
        assert_eq!(words(one), words(other), "{one} / {other}");
    }

    #[test]
    fn other_words_for_the_same_become_the_same_words() {
        same("What's the limit?", "what is the limit");
        same("What are the limits", "Tell me the limits");
        same(
            "tell me what this is called",
            "let me know what this is called",
        );
        same("How do I get a visa", "how can i obtain a visa");
        same("I want to make a purchase", "I'd like to make a buy");
        same("I need to go", "i have to go");
        same("Do I have to go?", "Do I've to go");
        same("I can’t see it", "i cannot see it");
        same("Help me with my bill", "Assist me with my bill");
        same("I've got 10.50 €", "i have got 10.50€");
    }

    #[test]
    fn different_questions_stay_different() {
        assert_ne!(words("Can I go?"), words("Can not I go?"));
        assert_ne!(words("What is it"), words("Where is it"));
        assert_ne!(words("my sister's car"), words("my sister car"));
        assert_ne!(words("10%"), words("10"));
        assert_eq!(words("What is"), ["what", "is"]);
    }
}
