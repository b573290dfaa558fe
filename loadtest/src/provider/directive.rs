//! What a prompt asks of the mock: `[[name=value]]`, anywhere in its text.
//!
//! Later ones replace earlier ones. A known name with a value that makes no sense is an error, so that a mistyped
//! test fails loudly; an unknown name is only text.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::StatusCode;

/// A longer wait than this is a mistake in a test, not a slow provider.
const WAIT_MAX: Duration = Duration::from_mins(10);
/// Events in one answer at most: they are all planned in memory.
const EVENTS_MAX: usize = 100_000;
/// Tokens of one kind at most; far above any context window.
const TOKENS_MAX: u64 = 1_000_000_000;

/// A longer mark is no mark; the books are kept in memory.
const MARK_BYTES_MAX: usize = 64;

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It is complete.
    Stop,
    /// It met the token limit.
    Length,
    /// A filter stepped in.
    ContentFilter,
    /// Tools are to be called.
    Tools,
}

/// The directives of one prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `[[delay=MS]]`: wait before the first byte.
    pub delay: Duration,
    /// `[[pace=MS]]`: wait between events.
    pub pace: Duration,
    /// `[[cut=N]]`: close the connection after this many events.
    pub cut: Option<usize>,
    /// `[[status=CODE]]`: refuse with this status.
    pub status: Option<StatusCode>,
    /// `[[usage=none]]`: say nothing about usage.
    pub usage_hidden: bool,
    /// `[[tokens=N]]`: visible output tokens.
    pub tokens: Option<u64>,
    /// `[[thoughts=N]]`: reasoning tokens, beside the visible ones.
    pub thoughts: u64,
    /// `[[cached=N]]`: input tokens read from the provider's cache.
    pub cached: u64,
    /// `[[written=N]]`: input tokens written to the provider's cache for five minutes.
    pub written: u64,
    /// `[[written1h=N]]`: input tokens written to it for an hour.
    pub written_1h: u64,
    /// `[[events=N]]`: exactly this many content events.
    pub events: Option<usize>,
    /// `[[tool=NAME]]` or `[[tool=A,B]]`: tools to call, when tools are offered.
    pub tools: Vec<String>,
    /// `[[finish=length|content_filter|stop]]`.
    pub finish: Option<Finish>,
    /// `[[json=NAME]]`: the text is a JSON object with one text of this name.
    pub json: Option<String>,
    /// `[[mark=TEXT]]`: written beside the call in the books, so that it can be found there.
    pub mark: Option<String>,
}

impl Directives {
    /// Reads the directives of a piece of the prompt.
    pub fn read(&mut self, text: &str) -> anyhow::Result<()> {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("[[") {
            rest = after;
            let Some((inside, _)) = after.split_once("]]") else {
                break;
            };
            if let Some((name, value)) = inside.split_once('=') {
                self.set(name.trim(), value.trim())
                    .with_context(|| format!("the directive [[{inside}]] makes no sense"))?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        match name {
            "delay" => self.delay = wait(value)?,
            "pace" => self.pace = wait(value)?,
            "cut" => self.cut = Some(value.parse()?),
            "status" => self.status = Some(refusal(value)?),
            "usage" => self.usage_hidden = hidden(value)?,
            "tokens" => self.tokens = Some(tokens(value)?),
            "thoughts" => self.thoughts = tokens(value)?,
            "cached" => self.cached = tokens(value)?,
            "written" => self.written = tokens(value)?,
            "written1h" => self.written_1h = tokens(value)?,
            "events" => self.events = Some(events(value)?),
            "tool" => {
                self.tools = value.split(',').map(str::trim).map(str::to_owned).collect();
            }
            "finish" => self.finish = Some(finish(value)?),
            "json" => self.json = Some(json_name(value)?),
            "mark" => self.mark = Some(mark(value)?),
            _ => {}
        }
        Ok(())
    }
}

fn wait(value: &str) -> anyhow::Result<Duration> {
    let wait = Duration::from_millis(value.parse()?);
    ensure!(wait <= WAIT_MAX, "waits are at most {WAIT_MAX:?}");
    Ok(wait)
}

fn refusal(value: &str) -> anyhow::Result<StatusCode> {
    let status: StatusCode = value.parse()?;
    let error = status.is_client_error() || status.is_server_error();
    ensure!(error, "only 4xx and 5xx are refusals");
    Ok(status)
}

fn hidden(value: &str) -> anyhow::Result<bool> {
    ensure!(value == "none", "only `none` is known");
    Ok(true)
}

fn tokens(value: &str) -> anyhow::Result<u64> {
    let tokens = value.parse()?;
    ensure!(tokens <= TOKENS_MAX, "at most {TOKENS_MAX} tokens");
    Ok(tokens)
}

fn events(value: &str) -> anyhow::Result<usize> {
    let events = value.parse()?;
    ensure!(
        (1..=EVENTS_MAX).contains(&events),
        "between 1 and {EVENTS_MAX} events"
    );
    Ok(events)
}

fn mark(value: &str) -> anyhow::Result<String> {
    ensure!(value.len() <= MARK_BYTES_MAX, "a mark is short");
    Ok(value.to_owned())
}

fn json_name(value: &str) -> anyhow::Result<String> {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    ensure!(plain && !value.is_empty(), "a name of letters and digits");
    Ok(value.to_owned())
}

fn finish(value: &str) -> anyhow::Result<Finish> {
    Ok(match value {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        _ => bail!("known are stop, length and content_filter"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_wherever_they_stand_and_text_in_brackets_stays_text() {
        let mut directives = Directives::default();
        directives
            .read("see [[wiki]] and [[x=y]]; [[delay=5]] then [[tool=a, b]] [[status=429]] [[")
            .unwrap();
        let expected = Directives {
            delay: Duration::from_millis(5),
            tools: vec!["a".to_owned(), "b".to_owned()],
            status: Some(StatusCode::TOO_MANY_REQUESTS),
            ..Directives::default()
        };
        assert_eq!(directives, expected);
    }

    #[test]
    fn a_known_directive_with_a_senseless_value_is_refused() {
        for text in [
            "[[delay=soon]]",
            "[[status=200]]",
            "[[events=0]]",
            "[[usage=some]]",
            "[[json=a\"b]]",
        ] {
            assert!(Directives::default().read(text).is_err(), "{text}");
        }
    }
}
