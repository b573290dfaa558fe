//! A text that never shows: keys, and addresses that contain passwords.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _};
use toml::Value;

/// A secret text. It prints as `***`, and has neither `Display` nor `Serialize`, so that it cannot slip into
/// a log line, an error or an answer; whoever really needs it says [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text; the line end that editors and `echo` leave is no part of it.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Self(text)
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The contents of a file.
    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        fs_err::read_to_string(path).map(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// By hand, because serde's own message on a wrong type repeats the value.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match Value::deserialize(source) {
            Ok(Value::String(text)) => Ok(Self::new(text)),
            _ => Err(D::Error::custom("a secret is a text in quotes")),
        }
    }
}

/// A secret, or nothing where the text is empty.
pub(crate) fn optional<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Secret>, D::Error> {
    let secret = Secret::deserialize(source)?;
    Ok((!secret.is_empty()).then_some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::new("sk-canary\n");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "sk-canary");
    }

    #[test]
    fn not_even_when_it_has_the_wrong_type() {
        let error = Value::Integer(987_654).try_into::<Secret>().unwrap_err();
        assert!(!error.to_string().contains("987654"));
    }
}
