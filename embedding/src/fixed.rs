//! A model without a model, for tests: the direction of a text is the sum of its words' directions.
//!
//! Texts that share words are near each other, and the same text has always the same vector.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{Error, Model, Vector};

/// Few enough for quick tests, and enough that two words are nearly at right angles.
const DIMENSIONS: usize = 128;

/// The longest text it takes, in words.
const WORDS_MAX: usize = 256;

/// The model; it has no state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fixed;

impl Model for Fixed {
    fn id(&self) -> &'static str {
        "fixed-1"
    }

    fn embed(&mut self, texts: &[Arc<str>]) -> Result<Vec<Option<Vector>>, Error> {
        Ok(texts.iter().map(|text| embed(text)).collect())
    }
}

fn embed(text: &str) -> Option<Vector> {
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() > WORDS_MAX {
        return None;
    }
    let mut sum = vec![0.0; DIMENSIONS];
    for word in words {
        add(&mut sum, &word.to_lowercase());
    }
    Vector::new(sum)
}

fn add(sum: &mut [f32], word: &str) {
    for (at, value) in sum.iter_mut().enumerate() {
        let mut hasher = DefaultHasher::new();
        (word, at).hash(&mut hasher);
        *value += if hasher.finish() & 1 == 0 { 1.0 } else { -1.0 };
    }
}
