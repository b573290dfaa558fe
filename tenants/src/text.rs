//! Names that people give to things.

/// Why a name is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing to see.
    #[error("must not be empty")]
    Empty,
    /// Longer than its column.
    #[error("has at most {0} characters")]
    TooLong(usize),
    /// Would spoil a list or a log line.
    #[error("must not hold control characters")]
    Control,
}

/// The name without surrounding white space, if it can be one.
pub(crate) fn name(text: &str, chars_max: usize) -> Result<String, NameError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.chars().count() > chars_max {
        return Err(NameError::TooLong(chars_max));
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(text.to_owned())
}
