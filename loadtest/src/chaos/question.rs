//! What the clients of a run ask: of several organizations, keys and models, whole and streamed, of a provider with faults.

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::json;

use crate::provider::plan::fingerprint;

/// Models as clients name them; the name before the slash is the provider's in the gateway's configuration.
const MODELS: [&str; 4] = [
    "mock/gpt-4o-mini",
    "mock/gpt-4o",
    "gemini/gemini-2.5-flash",
    "gemini/gemini-2.5-pro",
];
/// The cap that most questions set; what they ask for is far below it.
const OUTPUT_TOKENS_MAX: u64 = 200;
/// Enough input, from the provider's cache, to be priced by a higher tier.
const LONG_INPUT: u64 = 250_000;

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Stands in the prompt, in the provider's books and in the gateway's.
    pub mark: String,
    /// The index of the organization.
    pub tenant: usize,
    /// The index of its key.
    pub key: usize,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// What is wrong with its answer.
    pub fault: Option<Fault>,
    /// Whether the client leaves before the end, and after how many milliseconds or events.
    pub leaves_after: Option<u64>,
    /// The request's body.
    pub body: Bytes,
    fingerprint: String,
}

/// What the provider does wrong, because the prompt says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It breaks off.
    Cut,
    /// It refuses with this status.
    Status(u16),
    /// It does not say what was used.
    UsageHidden,
}

impl Question {
    /// The question with this number of a seed. `is_unlimited` says whose tokens nobody limits: only there the provider may
    /// count more input than the prompt has bytes, which no estimate bounds.
    pub fn draw(
        (seed, number): (u64, u64),
        (tenants, keys): (usize, usize),
        is_unlimited: impl Fn(usize) -> bool,
        random: &mut StdRng,
    ) -> Self {
        let tenant = random.random_range(0..tenants);
        let stream = random.random_bool(0.5);
        let fault = draw_fault(random);
        let mark = format!("{seed}-{number}");
        let mut prompt = format!(
            "Question {number} of run {seed}: how high is the tide at station {number}? [[mark={mark}]] [[events={}]]",
            random.random_range(1..30),
        );
        if let Some(fault) = fault {
            prompt += &fault.directive();
        }
        prompt += &pace(stream, random);
        prompt += &classes(is_unlimited(tenant), random);
        let model = MODELS.choose(random).copied().unwrap_or(MODELS[0]);
        let cap = random.random_bool(0.8).then_some(OUTPUT_TOKENS_MAX);
        Self {
            fingerprint: fingerprint(&[prompt.as_str()]),
            body: body(model, &prompt, stream, cap),
            leaves_after: random.random_bool(0.1).then(|| random.random_range(0..20)),
            key: random.random_range(0..keys),
            mark,
            tenant,
            stream,
            fault,
        }
    }

    /// Whether this is the whole of its answer; or another's, which is an error.
    pub fn is_answered_by(&self, answer: &[u8]) -> anyhow::Result<bool> {
        let Ok(answer) = std::str::from_utf8(answer) else {
            return Ok(false);
        };
        if self.stream && !answer.ends_with("data: [DONE]\n\n") {
            return Ok(false);
        }
        anyhow::ensure!(
            answer.contains(&self.fingerprint),
            "question {} has another one's answer: {answer}",
            self.mark
        );
        Ok(true)
    }
}

/// The mark in a prompt.
pub fn mark_in(prompt: &str) -> Option<&str> {
    let (_, rest) = prompt.split_once("[[mark=")?;
    rest.split_once("]]").map(|(mark, _)| mark)
}

impl Fault {
    fn directive(self) -> String {
        match self {
            Self::Cut => " [[cut=3]]".to_owned(),
            Self::Status(code) => format!(" [[status={code}]]"),
            Self::UsageHidden => " [[usage=none]]".to_owned(),
        }
    }
}

fn draw_fault(random: &mut StdRng) -> Option<Fault> {
    match random.random_range(0..20) {
        0 => Some(Fault::Cut),
        1 => Some(Fault::Status(503)),
        2 => Some(Fault::Status(400)),
        3 => Some(Fault::UsageHidden),
        _ => None,
    }
}

/// Some answers are slow, so that faults find them under way.
fn pace(stream: bool, random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 if stream => format!(" [[pace={}]]", random.random_range(1..12)),
        1 => format!(" [[delay={}]]", random.random_range(1..120)),
        _ => String::new(),
    }
}

/// Tokens of classes that have prices of their own.
fn classes(is_unlimited: bool, random: &mut StdRng) -> String {
    let cached = match random.random_range(0..8) {
        0 if is_unlimited => LONG_INPUT + random.random_range(0..9),
        1..=3 => random.random_range(1..20),
        _ => 0,
    };
    format!(
        " [[cached={cached}]] [[thoughts={}]]",
        random.random_range(0..9)
    )
}

fn body(model: &str, prompt: &str, stream: bool, cap: Option<u64>) -> Bytes {
    let mut body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": prompt }],
        "stream": stream,
    });
    if let (Some(cap), Some(fields)) = (cap, body.as_object_mut()) {
        fields.insert("max_completion_tokens".to_owned(), cap.into());
    }
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_question_can_be_found_by_its_mark_and_knows_its_answer() {
        let mut random = StdRng::seed_from_u64(1);
        let question = Question::draw((7, 42), (4, 2), |_| false, &mut random);
        let body = String::from_utf8(question.body.to_vec()).unwrap();
        assert_eq!(mark_in(&body), Some("7-42"));
        let end = if question.stream {
            "data: [DONE]\n\n"
        } else {
            ""
        };
        let own = format!("{} {end}", question.fingerprint);
        assert!(question.is_answered_by(own.as_bytes()).unwrap());
        assert!(
            question
                .is_answered_by(format!("x{end}").as_bytes())
                .is_err()
        );
    }
}
