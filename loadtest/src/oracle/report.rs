//! The gateway's usage report, as its command writes it; the one place to adjust when that form changes.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// The rows of `flowpilot report usage --format json`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    List(Vec<Row>),
    Page { rows: Vec<Row> },
}

/// What was booked for a model; other fields of a row are not ours to check.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// The model, as the provider knows it.
    pub model: String,
    /// Requests, whatever is known of their usage.
    #[serde(default)]
    pub requests: u64,
    /// Of them, those whose usage nobody knows: the gateway was killed meanwhile.
    #[serde(default)]
    pub unknown_requests: u64,
    /// Of them, those whose usage is estimated: the provider did not say.
    #[serde(default)]
    pub estimated_requests: u64,
    /// Of them, those that were answered from the cache.
    #[serde(default)]
    pub hits: u64,
    /// Input, cache reads included.
    #[serde(default)]
    pub input_tokens: u64,
    /// The part of the input that came from the provider's cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Output, reasoning included.
    #[serde(default)]
    pub output_tokens: u64,
    /// The part of the output that is reasoning.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// A decimal number, as text.
    #[serde(default = "zero")]
    pub cost_usd: String,
}

fn zero() -> String {
    "0".to_owned()
}

/// Reads a report from a file, or from standard input when that is `-`.
pub fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    }
    .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text)
}

/// Reads a report: a list of rows, or an object with `rows`.
pub fn parse(text: &str) -> anyhow::Result<Vec<Row>> {
    let written = serde_json::from_str(text).context("not a usage report")?;
    Ok(match written {
        Written::List(rows) | Written::Page { rows } => rows,
    })
}
