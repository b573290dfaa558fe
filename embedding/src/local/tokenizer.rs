//! Counts tokens and lists the words that have one.

use std::collections::HashSet;

use fastembed::TextEmbedding;

use crate::Error;

/// The shortest word that says anything about spelling, in letters.
const WORD_LETTERS_MIN: usize = 2;

/// The model's tokenizer, without its cut.
pub(super) struct Counter(tokenizers::Tokenizer);

impl Counter {
    pub(super) fn of(model: &TextEmbedding) -> Result<Self, Error> {
        let mut tokenizer = model.tokenizer.clone();
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| Error::Runtime(error.to_string()))?;
        Ok(Self(tokenizer))
    }

    /// The tokens of a text with the special ones; a text that has none is over every window.
    pub(super) fn tokens(&self, text: &str) -> usize {
        self.0
            .encode_fast(text, true)
            .map_or(usize::MAX, |encoding| encoding.len())
    }

    pub(super) fn words(&self) -> HashSet<Box<str>> {
        self.0
            .get_vocab(false)
            .into_keys()
            .filter(|word| word.len() >= WORD_LETTERS_MIN)
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .map(String::into_boxed_str)
            .collect()
    }
}
