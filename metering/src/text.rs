//! Makes any text fit to be stored: without NUL, which PostgreSQL refuses, and not longer than we keep.

use std::collections::BTreeMap;

/// What is kept of a prompt or an answer, in bytes; more is of no use in a ledger and would fill the journal.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Labels of one request kept at most; they come from a header that a client fills in.
const TAGS_MAX: usize = 64;

/// Ends a text that was cut.
const CUT_MARKER: &str = " …[cut]";

/// Removes NUL characters and cuts at [`TEXT_BYTES_MAX`], with a marker.
pub fn clean(mut text: String) -> String {
    if text.contains('\0') {
        text.retain(|c| c != '\0');
    }
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX - CUT_MARKER.len()));
        text.push_str(CUT_MARKER);
    }
    text
}

pub(crate) fn clean_tags(tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let few = tags.into_iter().take(TAGS_MAX);
    few.map(|(name, value)| (clean(name), clean(value)))
        .collect()
}

/// The first characters of a text, for a column of limited width.
pub(crate) fn fit(text: &str, characters_max: usize) -> &str {
    text.char_indices()
        .nth(characters_max)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_removed_and_a_long_text_is_cut_between_characters() {
        assert_eq!(clean("a\0b".to_owned()), "ab");

        let long = clean("é".repeat(TEXT_BYTES_MAX));
        assert!(long.len() <= TEXT_BYTES_MAX);
        assert!(long.ends_with(CUT_MARKER));
    }

    #[test]
    fn a_column_counts_characters() {
        assert_eq!(fit("héllo", 2), "hé");
        assert_eq!(fit("hé", 2), "hé");
    }
}
