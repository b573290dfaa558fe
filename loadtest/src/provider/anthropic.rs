//! Anthropic's messages: what comes in, and the answer whole or as events.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Written;
use super::dialect::{Form, Understood, with};
use super::directive::Finish;
use super::openai::stream::event;
use super::plan::{Plan, Prompt, Tokens};

#[derive(Deserialize)]
struct Request {
    model: String,
    max_tokens: Option<u64>,
    messages: Vec<Message>,
    system: Option<Content>,
    stream: Option<bool>,
    tools: Option<Vec<Tool>>,
    thinking: Option<Thinking>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Value>),
}

#[derive(Deserialize)]
struct Tool {
    name: String,
}

#[derive(Deserialize)]
struct Thinking {
    r#type: String,
    budget_tokens: Option<u64>,
}

/// Reads a request for a message.
pub fn understand(body: &[u8]) -> anyhow::Result<Understood> {
    let request = read(body)?;
    let limit = request.max_tokens.context("max_tokens: Field required")?;
    let thinks = thinks(request.thinking.as_ref(), limit)?;
    let stream = request.stream.unwrap_or_default();
    let model = request.model.clone();
    Ok(Understood {
        model,
        stream,
        include_usage: true,
        form: Form::Chat,
        include_thoughts: thinks,
        prompt: prompt(request, Some(limit))?,
    })
}

/// Reads a request to count tokens.
pub fn count(body: &[u8]) -> anyhow::Result<u64> {
    let plan = prompt(read(body)?, None)?.plan()?;
    Ok(plan.tokens.input)
}

fn read(body: &[u8]) -> anyhow::Result<Request> {
    serde_json::from_slice(body).context("the body is not a request for a message")
}

fn thinks(thinking: Option<&Thinking>, limit: u64) -> anyhow::Result<bool> {
    let Some(thinking) = thinking else {
        return Ok(false);
    };
    if let Some(budget) = thinking.budget_tokens {
        ensure!(
            budget >= 1_024,
            "thinking.budget_tokens must be at least 1024"
        );
        ensure!(
            budget < limit,
            "max_tokens must be greater than thinking.budget_tokens"
        );
    }
    Ok(matches!(thinking.r#type.as_str(), "enabled" | "adaptive"))
}

fn prompt(request: Request, limit: Option<u64>) -> anyhow::Result<Prompt> {
    ensure!(
        !request.messages.is_empty(),
        "messages: at least one message is required"
    );
    let mut prompt = Prompt::new(None, limit)?;
    if let Some(system) = &request.system {
        read_content(system, &mut prompt)?;
    }
    let mut called: Vec<String> = Vec::new();
    for message in &request.messages {
        match message.role.as_str() {
            "user" => answer_calls(&message.content, &mut called)?,
            "assistant" => called = calls(&message.content),
            role => bail!("messages: Unexpected role \"{role}\""),
        }
        prompt.tool_answered = blocks(&message.content)
            .iter()
            .any(|block| kind(block) == "tool_result");
        read_content(&message.content, &mut prompt)?;
    }
    let tools = request.tools.unwrap_or_default().into_iter();
    prompt.tools = tools.map(|tool| tool.name).collect();
    Ok(prompt)
}

fn blocks(content: &Content) -> &[Value] {
    match content {
        Content::Text(_) => &[],
        Content::Blocks(blocks) => blocks,
    }
}

fn kind(block: &Value) -> &str {
    block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn text<'a>(block: &'a Value, field: &str) -> &'a str {
    block.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn calls(content: &Content) -> Vec<String> {
    let calls = blocks(content)
        .iter()
        .filter(|block| kind(block) == "tool_use");
    calls.map(|call| text(call, "id").to_owned()).collect()
}

/// As the real API has it: every call is answered in the next message, and nothing else is.
fn answer_calls(content: &Content, called: &mut Vec<String>) -> anyhow::Result<()> {
    for result in blocks(content)
        .iter()
        .filter(|block| kind(block) == "tool_result")
    {
        let id = text(result, "tool_use_id");
        let at = called.iter().position(|call| call == id);
        let at = at.with_context(|| {
            format!("unexpected `tool_use_id` found in `tool_result` blocks: {id}")
        })?;
        called.remove(at);
    }
    ensure!(
        called.is_empty(),
        "`tool_use` ids were found without `tool_result` blocks immediately after: {}",
        called.join(", ")
    );
    Ok(())
}

fn read_content(content: &Content, prompt: &mut Prompt) -> anyhow::Result<()> {
    let blocks = match content {
        Content::Text(text) => return prompt.text(text),
        Content::Blocks(blocks) => blocks,
    };
    for block in blocks {
        match (kind(block), block.get("content")) {
            ("text", _) => {
                let text = text(block, "text");
                ensure!(
                    !text.is_empty(),
                    "messages: text content blocks must be non-empty"
                );
                prompt.text(text)?;
            }
            ("tool_result", Some(Value::String(result))) => prompt.text(result)?,
            ("tool_result", Some(Value::Array(results))) => {
                for result in results {
                    prompt.text(text(result, "text"))?;
                }
            }
            ("thinking" | "redacted_thinking", _) => {}
            _ => prompt.data(&block.to_string()),
        }
    }
    Ok(())
}

/// What every part of the answer to one call shares.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `msg_…`.
    pub id: String,
    /// As the client named it.
    pub model: String,
    /// What is said.
    pub plan: Plan,
    /// Whether usage is told at all.
    pub usage_hidden: bool,
    /// Whether the client wants to see thoughts.
    pub include_thoughts: bool,
}

impl Answer {
    /// The whole answer.
    pub fn whole(&self) -> Bytes {
        let content: Vec<Value> = self.blocks().map(|block| self.block(block, true)).collect();
        let told = (!self.usage_hidden).then(|| usage(&self.plan.tokens, self.plan.tokens.output));
        let message = self.message(&content, Some(finish_reason(self.plan.finish)));
        Bytes::from(with(message, "usage", told).to_string())
    }

    /// The answer as events.
    pub fn events(self) -> Box<dyn ExactSizeIterator<Item = Written> + Send> {
        let steps = self.steps();
        let content = steps.iter().filter(|step| step.is_content()).count() as u64;
        let mut out = 0;
        Box::new(steps.into_iter().map(move |step| {
            out += u64::from(step.is_content());
            let data = self.render(&step);
            Written {
                bytes: named(&data),
                generated: self.plan.generated(out, content),
            }
        }))
    }

    fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        let thinking =
            (self.include_thoughts && self.plan.tokens.reasoning > 0).then_some(Block::Thinking);
        let text = (self.plan.tools.is_empty() && self.plan.events > 0).then_some(Block::Text);
        let tools = (0..self.plan.tools.len()).map(Block::Tool);
        thinking.into_iter().chain(text).chain(tools)
    }

    fn block(&self, block: Block, filled: bool) -> Value {
        match block {
            Block::Thinking if filled => {
                json!({ "type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE })
            }
            Block::Thinking => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Block::Text => {
                let text = if filled {
                    self.plan.text(0)
                } else {
                    String::new()
                };
                json!({ "type": "text", "text": text })
            }
            Block::Tool(tool) => {
                let arguments = if filled {
                    self.plan.arguments()
                } else {
                    "{}".to_owned()
                };
                let input: Value = serde_json::from_str(&arguments).unwrap_or_default();
                let id = format!("toolu_{}_{tool}", self.id);
                json!({ "type": "tool_use", "id": id, "name": self.plan.tools.get(tool), "input": input })
            }
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::Start, Step::Ping];
        for (index, block) in self.blocks().enumerate() {
            steps.push(Step::Begin(index, block));
            match block {
                Block::Thinking => steps.extend([Step::Thought(index), Step::Signature(index)]),
                Block::Text => {
                    steps.extend((0..self.plan.events).map(|event| Step::Text { index, event }));
                }
                Block::Tool(_) => {
                    steps.extend(
                        [None, Some(false), Some(true)].map(|half| Step::Arguments { index, half }),
                    );
                }
            }
            steps.push(Step::End(index));
        }
        steps.extend([Step::Delta, Step::Stop]);
        steps
    }

    fn render(&self, step: &Step) -> Value {
        let delta = |index: usize, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        match *step {
            Step::Start => {
                let told = (!self.usage_hidden).then(|| usage(&self.plan.tokens, 1));
                let message = with(self.message(&[], None), "usage", told);
                json!({ "type": "message_start", "message": message })
            }
            Step::Ping => json!({ "type": "ping" }),
            Step::Begin(index, block) => {
                json!({ "type": "content_block_start", "index": index, "content_block": self.block(block, false) })
            }
            Step::Thought(index) => delta(
                index,
                json!({ "type": "thinking_delta", "thinking": THOUGHT }),
            ),
            Step::Signature(index) => delta(
                index,
                json!({ "type": "signature_delta", "signature": SIGNATURE }),
            ),
            Step::Text { index, event } => delta(
                index,
                json!({ "type": "text_delta", "text": self.plan.piece(0, event) }),
            ),
            Step::Arguments { index, half } => {
                let arguments = self.plan.arguments();
                let (first, second) = arguments.split_at(arguments.len() / 2);
                let piece = match half {
                    None => "",
                    Some(false) => first,
                    Some(true) => second,
                };
                delta(
                    index,
                    json!({ "type": "input_json_delta", "partial_json": piece }),
                )
            }
            Step::End(index) => json!({ "type": "content_block_stop", "index": index }),
            Step::Delta => {
                let reason = finish_reason(self.plan.finish);
                let end = json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null } });
                // Cumulative, and with the input once more: whoever adds it up is wrong.
                let told =
                    (!self.usage_hidden).then(|| usage(&self.plan.tokens, self.plan.tokens.output));
                with(end, "usage", told)
            }
            Step::Stop => json!({ "type": "message_stop" }),
        }
    }

    fn message(&self, content: &[Value], reason: Option<&str>) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": null,
        })
    }
}

const THOUGHT: &str = "Thinking it over.";

/// Base64, as the real ones are; opaque to everyone.
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

/// A block of the answer.
#[derive(Debug, Clone, Copy)]
enum Block {
    Thinking,
    Text,
    Tool(usize),
}

/// One event of a streamed answer.
#[derive(Debug, Clone, Copy)]
enum Step {
    Start,
    Ping,
    Begin(usize, Block),
    Thought(usize),
    Signature(usize),
    Text { index: usize, event: u64 },
    Arguments { index: usize, half: Option<bool> },
    End(usize),
    Delta,
    Stop,
}

impl Step {
    const fn is_content(self) -> bool {
        matches!(self, Self::Text { .. } | Self::Arguments { .. })
    }
}

/// One server-sent event, named as its data says; clients pass over those without a name.
fn named(data: &Value) -> Bytes {
    let name = text(data, "type");
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(format!("event: {name}\n").as_bytes());
    bytes.extend_from_slice(&event(data));
    bytes.into()
}

const fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ContentFilter => "refusal",
        Finish::Tools => "tool_use",
    }
}

/// The input leaves out what was read from the cache or written to it.
fn usage(tokens: &Tokens, output: u64) -> Value {
    let (five, one) = (tokens.cache_write_5m, tokens.cache_write_1h);
    let usage = json!({
        "input_tokens": tokens.input - tokens.cache_read - five - one,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation_input_tokens": five + one,
        "cache_creation": { "ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": one },
        "output_tokens": output,
        "service_tier": "standard",
    });
    let details = json!({ "thinking_tokens": tokens.reasoning });
    let told = tokens.reasoning > 0 && output == tokens.output;
    with(usage, "output_tokens_details", told.then_some(details))
}
