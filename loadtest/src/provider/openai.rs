//! OpenAI's chat completions: what comes in, and the answer whole or as events.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::Written;
use super::dialect::{Understood, with};
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
}

impl Answer {
    /// The whole answer.
    pub fn whole(&self) -> Bytes {
        let choices = (0..self.plan.choices).map(|choice| self.choice(choice));
        let answer = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices.collect::<Vec<_>>(),
            "service_tier": "default",
            "system_fingerprint": SYSTEM_FINGERPRINT,
        });
        let told = (!self.usage_hidden).then(|| usage(&self.plan.tokens));
        Bytes::from(with(answer, "usage", told).to_string())
    }

    fn choice(&self, choice: u64) -> Value {
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

    /// The answer as events.
    pub fn events(self, include_usage: bool) -> Box<dyn ExactSizeIterator<Item = Written> + Send> {
        let told = include_usage && !self.usage_hidden;
        let steps = self.steps(told);
        let content = steps.iter().filter(|step| step.is_content()).count() as u64;
        let mut out = 0;
        Box::new(steps.into_iter().map(move |step| {
            out += u64::from(step.is_content());
            Written {
                bytes: self.render(&step, told),
                generated: self.plan.generated(out, content),
            }
        }))
    }

    fn steps(&self, usage_told: bool) -> Vec<Step> {
        let choices = 0..self.plan.choices;
        let mut steps: Vec<Step> = choices.clone().map(Step::Role).collect();
        if self.plan.tools.is_empty() {
            for event in 0..self.plan.events {
                steps.extend(choices.clone().map(|choice| Step::Text { choice, event }));
            }
        }
        for tool in 0..self.plan.tools.len() {
            for choice in choices.clone() {
                steps.push(Step::Tool { choice, tool });
                let halves = [false, true];
                steps.extend(halves.map(|second| Step::Arguments {
                    choice,
                    tool,
                    second,
                }));
            }
        }
        steps.extend(choices.map(Step::Finish));
        steps.extend(usage_told.then_some(Step::Usage));
        steps.push(Step::Done);
        steps
    }

    fn render(&self, step: &Step, usage_told: bool) -> Bytes {
        let choices = match step {
            Step::Done => return Bytes::from_static(b"data: [DONE]\n\n"),
            Step::Usage => Vec::new(),
            step => vec![self.chunk_choice(step)],
        };
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            system_fingerprint: SYSTEM_FINGERPRINT,
            choices,
            usage: match step {
                Step::Usage => Some(usage(&self.plan.tokens)),
                _ => usage_told.then_some(Value::Null),
            },
        };
        event(&chunk)
    }

    fn chunk_choice(&self, step: &Step) -> ChunkChoice {
        let mut finish = None;
        let (index, delta) = match *step {
            Step::Role(choice) => (choice, Delta::role()),
            Step::Text { choice, event } => (choice, Delta::text(self.plan.piece(choice, event))),
            Step::Tool { choice, tool } => (choice, Delta::tool(self.tool_head(choice, tool))),
            Step::Arguments {
                choice,
                tool,
                second,
            } => (choice, Delta::tool(self.tool_arguments(tool, second))),
            Step::Finish(choice) => {
                finish = Some(finish_reason(self.plan.finish));
                (choice, Delta::default())
            }
            Step::Usage | Step::Done => (0, Delta::default()),
        };
        ChunkChoice {
            index,
            delta,
            logprobs: (),
            finish_reason: finish,
        }
    }

    fn tool_head(&self, choice: u64, tool: usize) -> Value {
        let name = self.plan.tools.get(tool);
        let function = json!({ "name": name, "arguments": "" });
        let id = self.tool_id(choice, tool);
        json!({ "index": tool, "id": id, "type": "function", "function": function })
    }

    fn tool_arguments(&self, tool: usize, second: bool) -> Value {
        let arguments = self.plan.arguments();
        let (first_half, second_half) = arguments.split_at(arguments.len() / 2);
        let half = if second { second_half } else { first_half };
        json!({ "index": tool, "function": { "arguments": half } })
    }
}

const SYSTEM_FINGERPRINT: &str = "fp_mock";

/// One event of a streamed answer.
#[derive(Debug, Clone, Copy)]
enum Step {
    Role(u64),
    Text {
        choice: u64,
        event: u64,
    },
    Tool {
        choice: u64,
        tool: usize,
    },
    Arguments {
        choice: u64,
        tool: usize,
        second: bool,
    },
    Finish(u64),
    Usage,
    Done,
}

impl Step {
    const fn is_content(self) -> bool {
        matches!(self, Self::Text { .. } | Self::Arguments { .. })
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: Vec<ChunkChoice>,
    /// Absent unless usage was asked for; then null but in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct ChunkChoice {
    index: u64,
    delta: Delta,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Value; 1]>,
}

impl Delta {
    fn role() -> Self {
        Self {
            role: Some("assistant"),
            content: Some(String::new()),
            tool_calls: None,
        }
    }

    fn text(content: String) -> Self {
        Self {
            content: Some(content),
            ..Self::default()
        }
    }

    fn tool(call: Value) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}

/// One server-sent event of this JSON.
pub fn event(value: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"data: ");
    // Writing to memory fails for types only that are not JSON, and ours are.
    let _ = serde_json::to_writer(&mut bytes, value);
    bytes.extend_from_slice(b"\n\n");
    Bytes::from(bytes)
}

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
