//! The labelled files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::Kind;

/// A file's content.
#[derive(Debug)]
pub(super) enum Data {
    Stream(Vec<Question>),
    Pairs(Vec<Pair>),
}

/// A question and what tells which answer is right for it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Question {
    pub(super) text: String,
    #[serde(deserialize_with = "label")]
    pub(super) class: String,
}

/// Two questions, and whether one's answer may be given to the other one.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pair {
    pub(super) a: String,
    pub(super) b: String,
    pub(super) label: u8,
    #[serde(default)]
    pub(super) kind: Option<String>,
}

impl Data {
    pub(super) fn read(path: &Path, kind: Option<Kind>) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let Some(first) = lines.first() else {
            bail!("{} is empty", path.display());
        };
        let fields: BTreeMap<String, Value> =
            serde_json::from_str(first).context("the first line is no object")?;
        let kind = kind.unwrap_or(if fields.contains_key("a") {
            Kind::Pairs
        } else {
            Kind::Stream
        });
        Ok(match kind {
            Kind::Stream => Self::Stream(parse(&lines)?),
            Kind::Pairs => Self::Pairs(parse(&lines)?),
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(lines: &[&'a str]) -> anyhow::Result<Vec<T>> {
    let numbered = lines.iter().enumerate();
    numbered
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("line {}", number + 1))
        })
        .collect()
}

/// A class may be a name or a number.
fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}
