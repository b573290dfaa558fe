//! The built-in provider: deterministic, offline, word by word, so that the first request works on any machine.
//!
//! It says what it is: nobody shall take it for a model. A token is a word, in and out.

use std::time::Duration;

use types::Usage;
use types::call::{Call, Role};
use types::reply::{Answer, Choice, Finish};

/// The name of its one model.
pub(crate) const MODEL: &str = "demo";

/// The pause between two words of a stream: quick enough for a test, slow enough to see it stream.
pub(crate) const WORD_PAUSE: Duration = Duration::from_millis(10);

/// Words of the question that the answer repeats at most.
const ECHO_WORDS_MAX: usize = 64;

/// The answer to a call.
pub(crate) fn answer(call: &Call) -> Answer {
    let text = text_for(call);
    let words = call
        .messages
        .iter()
        .map(|message| count_words(&message.joined_text()));
    let wanted = call.parameters.output_tokens_max;
    let limit = wanted
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(usize::MAX);
    let (text, finish) = match text.split_inclusive(' ').nth(limit) {
        None => (text, Finish::Stop),
        Some(_) => (
            text.split_inclusive(' ').take(limit).collect(),
            Finish::Length,
        ),
    };
    let usage = Usage {
        input_tokens: words.sum(),
        output_tokens: count_words(&text),
        ..Usage::default()
    };
    Answer {
        model: MODEL.to_owned(),
        choices: vec![Choice {
            text: Some(text),
            finish: Some(finish),
            ..Choice::default()
        }],
        usage: Some(usage),
        ..Answer::default()
    }
}

fn text_for(call: &Call) -> String {
    let question = call
        .messages
        .iter()
        .rfind(|message| message.role == Role::User);
    let question = question
        .map(types::call::Message::joined_text)
        .unwrap_or_default();
    let echo: Vec<&str> = question.split_whitespace().take(ECHO_WORDS_MAX).collect();
    format!(
        "This is FlowPilot's built-in demo model: it repeats your words and costs nothing real. You said: {}",
        echo.join(" ")
    )
}

fn count_words(text: &str) -> u64 {
    u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX)
}
