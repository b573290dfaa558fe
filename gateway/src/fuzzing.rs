//! What fuzz targets reach of the inside: one function for each.

/// Reads any bytes as the source of a prompt template, says what it uses, and renders it, here and as a worker would.
///
/// # Panics
/// When a limit does not hold, or when the two ways of rendering differ: that is what is looked for.
pub fn template(data: &[u8]) {
    if let Ok(source) = std::str::from_utf8(data) {
        crate::template::try_everything(source);
    }
}
