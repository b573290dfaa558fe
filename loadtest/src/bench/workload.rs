//! The requests of a scenario, and how to know that an answer is the right one.

use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::Options;
use crate::provider::plan;

/// What requests are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Every prompt is new; answers come whole.
    Miss,
    /// Always the same prompt; answers come whole, from the cache where there is one.
    Hit,
    /// Every prompt is new; answers are streamed.
    Stream,
    /// Always the same prompt; answers are streamed, from the cache where there is one.
    StreamHit,
    /// New prompts one after the other, each answered by a stream of 34 events: how long a stream takes.
    Stream34,
}

impl Scenario {
    /// Whether answers are streamed.
    pub const fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::StreamHit | Self::Stream34)
    }

    /// Whether the provider is to see nothing of it.
    pub const fn hits(self) -> bool {
        matches!(self, Self::Hit | Self::StreamHit)
    }
}

/// The requests of one run.
#[derive(Debug)]
pub struct Workload {
    scenario: Scenario,
    model: String,
    events: u32,
    seed: u64,
}

/// One request, and what its answer begins with.
#[derive(Debug)]
pub struct Job {
    /// The request's body.
    pub body: Bytes,
    /// Whether the answer is streamed.
    pub stream: bool,
    fingerprint: String,
}

impl Workload {
    /// The requests that these options ask for.
    pub fn new(options: &Options, seed: u64) -> Self {
        Self {
            scenario: options.scenario,
            model: options.model.clone(),
            events: options.events,
            seed,
        }
    }

    /// The request with this number.
    pub fn job(&self, number: u64) -> Job {
        let number = if self.scenario.hits() { 0 } else { number };
        Job::new(&self.model, &self.prompt(number), self.scenario.streams())
    }

    fn prompt(&self, number: u64) -> String {
        let seed = self.seed;
        let question =
            format!("Question {number} of run {seed}: what is the tide at station {number}?");
        if self.scenario.streams() {
            return format!("{question} [[events={}]]", self.events);
        }
        question
    }
}

impl Job {
    /// A request with this prompt.
    pub fn new(model: &str, prompt: &str, stream: bool) -> Self {
        Self {
            fingerprint: plan::fingerprint(&[prompt]),
            body: body(model, prompt, stream),
            stream,
        }
    }

    /// Why this is not the answer to this request; none when it is.
    pub fn fault(&self, answer: &[u8]) -> Option<&'static str> {
        let Ok(answer) = std::str::from_utf8(answer) else {
            return Some("the answer is not text");
        };
        if self.stream && !answer.ends_with("data: [DONE]\n\n") {
            return Some("the stream ends without [DONE]");
        }
        if !answer.contains(&self.fingerprint) {
            return Some("the answer is another prompt's");
        }
        None
    }
}

fn body(model: &str, prompt: &str, stream: bool) -> Bytes {
    let messages = json!([{ "role": "user", "content": prompt }]);
    let body = json!({ "model": model, "messages": messages, "stream": stream });
    Bytes::from(body.to_string())
}
