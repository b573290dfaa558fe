//! OpenAI's chat completions: what comes in, and the answer whole.

pub mod stream;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialect::{Form, Understood, with};
use super::directive::Finish;
use super::plan::{Plan, Prompt, Tokens};

#[derive(Deserialize)]
struct Request {
    model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_tokens: Option<u64>,
    tools: Option<Vec<Tool>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Value>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    image_url: Option<Value>,
    input_audio: Option<Value>,
    file: Option<Value>,
}

#[derive(Deserialize)]
struct Tool {
    function: Option<Named>,
    custom: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Reads a request.
pub fn understand(body: &[u8]) -> anyhow::Result<Understood> {
    let request: Request =
        serde_json::from_slice(body).context("the body is not a chat completion request")?;
    ensure!(!request.messages.is_empty(), "messages is empty");
    let output_tokens_max = request.max_completion_tokens.or(request.max_tokens);
    let mut prompt = Prompt::new(request.n, output_tokens_max)?;
    for message in &request.messages {
        read_message(message, &mut prompt)?;
    }
    let tools = request.tools.unwrap_or_default().into_iter();
    let tools = tools.filter_map(|tool| tool.function.or(tool.custom));
    prompt.tools = tools.map(|tool| tool.name).collect();

    let options = request.stream_options;
    Ok(Understood {
        model: request.model,
        stream: request.stream.unwrap_or_default(),
        include_usage: options.and_then(|options| options.include_usage) == Some(true),
        include_thoughts: false,
        form: Form::Chat,
        prompt,
    })
}

#[derive(Deserialize)]
struct TextRequest {
    model: String,
    prompt: String,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<u64>,
    max_tokens: Option<u64>,
}

/// Reads a request of the older form.
pub fn understand_text(body: &[u8]) -> anyhow::Result<Understood> {
    let request: TextRequest =
        serde_json::from_slice(body).context("the body is not a completion request")?;
    let mut prompt = Prompt::new(request.n, request.max_tokens)?;
    prompt.text(&request.prompt)?;
    let options = request.stream_options;
    Ok(Understood {
        model: request.model,
        stream: request.stream.unwrap_or_default(),
        include_usage: options.and_then(|options| options.include_usage) == Some(true),
        include_thoughts: false,
        form: Form::Text,
        prompt,
    })
}

fn read_message(message: &Message, prompt: &mut Prompt) -> anyhow::Result<()> {
    prompt.tool_answered = false;
    match message.role.as_str() {
        "developer" | "system" | "user" => {
            ensure!(
                message.content.is_some(),
                "a {} message has no content",
                message.role
            );
        }
        "assistant" => {}
        "tool" => {
            ensure!(message.tool_call_id.is_some(), "tool_call_id is missing");
            prompt.tool_answered = true;
        }
        "function" => prompt.tool_answered = true,
        role => bail!("{role} is not a role"),
    }
    match &message.content {
        Some(Content::Text(text)) => prompt.text(text)?,
        Some(Content::Parts(parts)) => read_parts(parts, prompt)?,
        None => {}
    }
    if let Some(calls) = &message.tool_calls {
        prompt.data(&calls.to_string());
    }
    Ok(())
}

fn read_parts(parts: &[Part], prompt: &mut Prompt) -> anyhow::Result<()> {
    for part in parts {
        if let Some(text) = &part.text {
            prompt.text(text)?;
        }
        let data = [&part.image_url, &part.input_audio, &part.file];
        for data in data.into_iter().flatten() {
            prompt.data(&data.to_string());
        }
    }
    Ok(())
}

/// What every answer to one call shares.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `chatcmpl-…`.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// As the client named it.
    pub model: String,
    /// What is said.
    pub plan: Plan,
    /// Whether usage is told at all.
    pub usage_hidden: bool,
    /// What is continued.
    pub form: Form,
}

impl Answer {
    /// The whole answer.
    pub fn whole(&self) -> Bytes {
        let choices = (0..self.plan.choices).map(|choice| self.choice(choice));
        let answer = json!({
            "id": self.id,
            "object": if self.is_text() { "text_completion" } else { "chat.completion" },
            "created": self.created,
            "model": self.model,
            "choices": choices.collect::<Vec<_>>(),
            "service_tier": "default",
            "system_fingerprint": SYSTEM_FINGERPRINT,
        });
        let told = (!self.usage_hidden).then(|| usage(&self.plan.tokens));
        Bytes::from(with(answer, "usage", told).to_string())
    }

    fn is_text(&self) -> bool {
        self.form == Form::Text
    }

    fn choice(&self, choice: u64) -> Value {
        if self.is_text() {
            let finish = finish_reason(self.plan.finish);
            let text = self.plan.text(choice);
            return json!({ "index": choice, "text": text, "logprobs": null, "finish_reason": finish });
        }
        let text = self.plan.tools.is_empty().then(|| self.plan.text(choice));
        let message = json!({ "role": "assistant", "content": text, "refusal": null });
        let called = text.is_none().then(|| self.tool_calls(choice));
        json!({
            "index": choice,
            "message": with(message, "tool_calls", called),
            "logprobs": null,
            "finish_reason": finish_reason(self.plan.finish),
        })
    }

    fn tool_calls(&self, choice: u64) -> Value {
        let tools = self.plan.tools.iter().enumerate();
        let calls = tools.map(|(tool, name)| {
            let function = json!({ "name": name, "arguments": self.plan.arguments() });
            let id = self.tool_id(choice, tool);
            json!({ "id": id, "type": "function", "function": function })
        });
        calls.collect()
    }

    fn tool_id(&self, choice: u64, tool: usize) -> String {
        format!("call_{}_{choice}_{tool}", self.id)
    }
}

const SYSTEM_FINGERPRINT: &str = "fp_mock";

const fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Tools => "tool_calls",
    }
}

fn usage(tokens: &Tokens) -> Value {
    json!({
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": { "cached_tokens": tokens.cache_read, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
