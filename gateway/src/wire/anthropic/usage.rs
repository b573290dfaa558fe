//! Anthropic's usage object: the input counts only what was neither read from the cache nor written to it.
//!
//! In a stream it is told twice, and the second time is cumulative: what is repeated replaces, what is left out stays.

use serde::{Deserialize, Serialize};
use types::Usage;

/// `usage` of a message, or of an event; what is absent or null was not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}

impl WireUsage {
    /// What the beginning of a stream says of the input. Its count of output tokens is a placeholder, which must not pass for
    /// the count of an answer that is broken off.
    pub(crate) fn at_start(self) -> Self {
        Self {
            output_tokens: None,
            output_tokens_details: None,
            ..self
        }
    }

    /// This report with what a later one says instead.
    pub(crate) fn updated(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later
                .cache_read_input_tokens
                .or(self.cache_read_input_tokens),
            cache_creation: later.cache_creation.or(self.cache_creation),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
            server_tool_use: later.server_tool_use.or(self.server_tool_use),
        }
    }
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let written = wire.cache_creation_input_tokens.unwrap_or(0);
        let one_hour = wire
            .cache_creation
            .map_or(0, |split| split.ephemeral_1h_input_tokens);
        let five_minutes = wire.cache_creation.map_or(written, |split| {
            // A total that is larger than its parts is what was charged for; the cheaper class takes the rest.
            let rest = written.saturating_sub(one_hour);
            split.ephemeral_5m_input_tokens.max(rest)
        });
        let read = wire.cache_read_input_tokens.unwrap_or(0);
        let details = wire.output_tokens_details.unwrap_or_default();
        let searches = wire
            .server_tool_use
            .and_then(|used| used.web_search_requests);
        Self {
            input_tokens: wire
                .input_tokens
                .unwrap_or(0)
                .saturating_add(five_minutes)
                .saturating_add(one_hour)
                .saturating_add(read),
            cache_read_tokens: read,
            cache_write_5m_tokens: five_minutes,
            cache_write_1h_tokens: one_hour,
            output_tokens: wire.output_tokens.unwrap_or(0),
            reasoning_tokens: details
                .thinking_tokens
                .or(details.reasoning_tokens)
                .unwrap_or(0),
            web_searches: searches.unwrap_or(0),
            ..Self::default()
        }
    }
}

/// `usage` as a client is told it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ToldUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<ToldDetails>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct ToldDetails {
    thinking_tokens: u64,
}

impl From<Usage> for ToldUsage {
    fn from(usage: Usage) -> Self {
        let (five, one) = (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens);
        let cached = usage
            .cache_read_tokens
            .saturating_add(five)
            .saturating_add(one);
        Self {
            input_tokens: usage.input_tokens.saturating_sub(cached),
            cache_creation_input_tokens: five.saturating_add(one),
            cache_read_input_tokens: usage.cache_read_tokens,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: five,
                ephemeral_1h_input_tokens: one,
            },
            output_tokens: usage.output_tokens,
            output_tokens_details: (usage.reasoning_tokens > 0).then_some(ToldDetails {
                thinking_tokens: usage.reasoning_tokens,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> WireUsage {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn cached_input_is_added_to_the_input_that_leaves_it_out() {
        let usage = Usage::from(read(
            r#"{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":100,
                "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":7}"#,
        ));
        assert_eq!(usage.input_tokens, 140);
        let classes = (
            usage.cache_read_tokens,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
        );
        assert_eq!(classes, (100, 20, 10));
        assert!(usage.is_consistent());
    }

    #[test]
    fn a_later_report_replaces_and_never_adds_and_leaves_what_it_does_not_say() {
        let first = read(r#"{"input_tokens":25,"cache_read_input_tokens":4,"output_tokens":1}"#);
        let usage = Usage::from(first.updated(read(r#"{"input_tokens":25,"output_tokens":15}"#)));
        assert_eq!(
            (
                usage.input_tokens,
                usage.cache_read_tokens,
                usage.output_tokens
            ),
            (29, 4, 15)
        );
    }

    #[test]
    fn writes_without_their_split_are_the_five_minute_kind() {
        let usage = Usage::from(read(
            r#"{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":null}"#,
        ));
        assert_eq!((usage.input_tokens, usage.cache_write_5m_tokens), (6, 5));
    }

    #[test]
    fn what_a_client_is_told_reads_back_the_same() {
        let usage = Usage {
            input_tokens: 100,
            cache_read_tokens: 20,
            cache_write_5m_tokens: 30,
            cache_write_1h_tokens: 5,
            output_tokens: 9,
            reasoning_tokens: 4,
            ..Usage::default()
        };
        let told = serde_json::to_string(&ToldUsage::from(usage)).unwrap();
        assert_eq!(Usage::from(read(&told)), usage);
    }
}
