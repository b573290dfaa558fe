//! What a report can be divided by.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What can get rows of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Each organization.
    Organization,
    /// Each organization together with its subsidiaries.
    Parent,
    /// Each department.
    Department,
    /// Each user.
    User,
    /// Each key.
    ApiKey,
    /// Each workflow.
    Workflow,
    /// Each month, by UTC.
    Month,
    /// Each day, by UTC.
    Day,
    /// Each provider.
    Provider,
    /// Each model.
    Model,
    /// Each price.
    Price,
    /// Each service of a provider: standard, batch, flex, priority.
    Service,
    /// Who counted the tokens.
    UsageSource,
    /// How the attempts ended.
    Outcome,
    /// Each class of tokens; of costs only.
    TokenClass,
    /// Each value of a tag.
    Tag(String),
}

/// A word that is no dimension.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is none of {words}, and no `tag:KEY`", words = Dimension::words())]
pub struct UnknownDimension(pub String);

/// The tag under which the steps of workflows are reported: a step keeps its name from run to run, as a tag does, while its
/// row in `execution_steps` is made anew with every run.
const STEP_TAG: &str = "step";

impl Dimension {
    /// All that take no word of their own.
    const PLAIN: [Self; 15] = [
        Self::Organization,
        Self::Parent,
        Self::Department,
        Self::User,
        Self::ApiKey,
        Self::Workflow,
        Self::Month,
        Self::Day,
        Self::Provider,
        Self::Model,
        Self::Price,
        Self::Service,
        Self::UsageSource,
        Self::Outcome,
        Self::TokenClass,
    ];

    /// The word in `group_by`, without the key of a tag.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Parent => "parent",
            Self::Department => "department",
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Workflow => "workflow",
            Self::Month => "month",
            Self::Day => "day",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Price => "price",
            Self::Service => "service",
            Self::UsageSource => "usage_source",
            Self::Outcome => "outcome",
            Self::TokenClass => "token_class",
            Self::Tag(_) => "tag",
        }
    }

    fn words() -> String {
        let words = Self::PLAIN.map(|dimension| dimension.as_str());
        format!("{}, step", words.join(", "))
    }
}

impl FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word == STEP_TAG {
            return Ok(Self::Tag(STEP_TAG.to_owned()));
        }
        if let Some(key) = word.strip_prefix("tag:").filter(|key| !key.is_empty()) {
            return Ok(Self::Tag(key.to_owned()));
        }
        let mut known = Self::PLAIN.into_iter();
        let known = known.find(|known| known.as_str() == word);
        known.ok_or_else(|| UnknownDimension(word.to_owned()))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(key) => write!(f, "tag:{key}"),
            plain => f.write_str(plain.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_back_to_its_dimension() {
        for dimension in Dimension::PLAIN {
            assert_eq!(dimension.as_str().parse(), Ok(dimension.clone()));
        }
        assert_eq!("tag:team".parse(), Ok(Dimension::Tag("team".to_owned())));
        assert_eq!("step".parse(), Ok(Dimension::Tag("step".to_owned())));
        assert!("tag:".parse::<Dimension>().is_err());
        assert!("cost".parse::<Dimension>().is_err());
    }
}
