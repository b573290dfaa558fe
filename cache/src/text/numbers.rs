//! Numbers and the signs beside them, whether written in digits or in words.

use super::lists::NUMBERS;

/// Signs that are words of their own beside a number: the unit is half of what it says.
const SIGNS: &[(char, &str)] = &[
    ('$', "dollar"),
    ('€', "euro"),
    ('£', "pound"),
    ('¥', "yen"),
    ('₹', "rupee"),
    ('%', "percent"),
];

/// Cuts signs off a word, so that "10€" and "10 euros" are the same two words.
pub(super) fn split_symbols(word: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((at, sign)) = rest.char_indices().find(|(_, c)| sign(*c).is_some()) {
        pieces.push(rest.get(..at).unwrap_or_default());
        pieces.push(sign_of(sign));
        rest = rest.get(at + sign.len_utf8()..).unwrap_or_default();
    }
    pieces.push(rest);
    pieces
}

fn sign(c: char) -> Option<&'static str> {
    SIGNS.iter().find(|(s, _)| *s == c).map(|(_, name)| *name)
}

fn sign_of(c: char) -> &'static str {
    sign(c).unwrap_or_default()
}

/// The number that a word is or holds, in one form; ordinals and clock times too.
pub(super) fn number(word: &str) -> Option<String> {
    if let Some((_, value)) = NUMBERS.iter().find(|(name, _)| *name == word) {
        return Some(value.to_string());
    }
    word.contains(|c: char| c.is_numeric()).then(|| plain(word))
}

/// Without the commas between thousands, without an ordinal's ending.
fn plain(word: &str) -> String {
    let plain = word.replace(',', "");
    for ending in ["st", "nd", "rd", "th"] {
        if let Some(digits) = plain.strip_suffix(ending)
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return digits.to_owned();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_in_words_and_digits() {
        assert_eq!(number("twenty").as_deref(), Some("20"));
        assert_eq!(number("20").as_deref(), Some("20"));
        assert_eq!(number("15th").as_deref(), Some("15"));
        assert_eq!(number("ab123").as_deref(), Some("ab123"));
        assert_eq!(number("m²").as_deref(), Some("m²"));
        assert_eq!(number("word"), None);
        assert_eq!(split_symbols("£10.50"), ["", "pound", "10.50"]);
    }
}
