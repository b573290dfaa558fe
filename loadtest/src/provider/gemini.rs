//! Gemini's generateContent: what comes in, and the answer whole, as server-sent events or as a JSON array.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Written;
use super::dialect::{Form, Understood, with};
use super::directive::Finish;
use super::openai;
use super::plan::{Plan, Prompt, Tokens};

/// Proto JSON: camel case and snake case are both legal, and SDKs send both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    contents: Vec<Content>,
    #[serde(alias = "system_instruction")]
    system_instruction: Option<Content>,
    tools: Option<Vec<Tools>>,
    #[serde(default, alias = "generation_config")]
    generation_config: Generation,
}

#[derive(Deserialize)]
struct Content {
    role: Option<String>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    #[serde(alias = "function_call")]
    function_call: Option<Value>,
    #[serde(alias = "function_response")]
    function_response: Option<Value>,
    #[serde(alias = "inline_data")]
    inline_data: Option<Value>,
    #[serde(alias = "file_data")]
    file_data: Option<Value>,
    #[serde(alias = "thought_signature")]
    thought_signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tools {
    #[serde(default, alias = "function_declarations")]
    function_declarations: Vec<Declaration>,
}

#[derive(Deserialize)]
struct Declaration {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generation {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
    #[serde(alias = "candidate_count")]
    candidate_count: Option<u64>,
    #[serde(default, alias = "thinking_config")]
    thinking_config: Thinking,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    #[serde(default, alias = "include_thoughts")]
    include_thoughts: bool,
}

/// Reads a request for this model.
pub fn understand(model: &str, stream: bool, body: &[u8]) -> anyhow::Result<Understood> {
    let request: Request =
        serde_json::from_slice(body).context("the body is not a GenerateContentRequest")?;
    ensure!(!request.contents.is_empty(), "contents is not specified");
    let generation = &request.generation_config;
    let mut prompt = Prompt::new(generation.candidate_count, generation.max_output_tokens)?;
    if let Some(system) = &request.system_instruction {
        read_parts(&system.parts, &mut prompt)?;
    }
    for content in &request.contents {
        check(content, model)?;
        let answers = |part: &Part| part.function_response.is_some();
        prompt.tool_answered = content.parts.iter().any(answers);
        read_parts(&content.parts, &mut prompt)?;
    }
    let tools = request.tools.into_iter().flatten();
    let declarations = tools.flat_map(|tools| tools.function_declarations);
    prompt.tools = declarations.map(|declaration| declaration.name).collect();
    Ok(Understood {
        model: model.to_owned(),
        stream,
        include_usage: true,
        form: Form::Chat,
        include_thoughts: request.generation_config.thinking_config.include_thoughts,
        prompt,
    })
}

/// Reads a request to count tokens: contents alone, or a whole request within it.
pub fn count(model: &str, body: &[u8]) -> anyhow::Result<u64> {
    let body: Value =
        serde_json::from_slice(body).context("the body is not a CountTokensRequest")?;
    let request = body.get("generateContentRequest").unwrap_or(&body);
    let understood = understand(model, false, request.to_string().as_bytes())?;
    Ok(understood.prompt.plan()?.tokens.input)
}

/// What the real API refuses: other roles, turns without parts, and for Gemini 3 a lost thought signature.
fn check(content: &Content, model: &str) -> anyhow::Result<()> {
    let role = content.role.as_deref().unwrap_or("user");
    if !matches!(role, "user" | "model" | "function") {
        bail!("Please use a valid role: user, model.");
    }
    ensure!(
        !content.parts.is_empty(),
        "contents.parts must not be empty"
    );
    let mut calls = content
        .parts
        .iter()
        .filter(|part| part.function_call.is_some());
    let first = calls.next();
    let signed = first.is_none_or(|part| part.thought_signature.is_some());
    ensure!(
        signed || !model.starts_with("gemini-3"),
        "Function call is missing a thought_signature in functionCall parts."
    );
    Ok(())
}

fn read_parts(parts: &[Part], prompt: &mut Prompt) -> anyhow::Result<()> {
    for part in parts {
        if let Some(text) = &part.text {
            prompt.text(text)?;
        }
        let calls = [&part.function_call, &part.function_response];
        let data = [&part.inline_data, &part.file_data];
        for data in calls.into_iter().chain(data).flatten() {
            prompt.data(&data.to_string());
        }
    }
    Ok(())
}

/// What every part of the answer to one call shares.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `responseId`.
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

/// How a streamed answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `?alt=sse`.
    Events,
    /// Without it: one JSON array, written element by element.
    Array,
}

impl Answer {
    /// The whole answer.
    pub fn whole(&self) -> Bytes {
        let candidates = (0..self.plan.choices).map(|choice| {
            let mut parts: Vec<Value> = self.thought().into_iter().collect();
            if self.plan.tools.is_empty() {
                let text = Some(self.plan.text(choice)).filter(|text| !text.is_empty());
                parts.extend(text.map(|text| json!({ "text": text })));
            } else {
                parts.extend((0..self.plan.tools.len()).map(|tool| self.call(tool)));
            }
            self.candidate(choice, &parts, true)
        });
        let response = self.response(&candidates.collect::<Vec<_>>(), self.plan.tokens.visible());
        Bytes::from(response.to_string())
    }

    /// The answer as events.
    pub fn events(self, framing: Framing) -> Box<dyn ExactSizeIterator<Item = Written> + Send> {
        let steps = self.steps();
        let content = steps.iter().filter(|step| step.is_content()).count() as u64;
        let count = steps.len();
        let mut out = 0;
        Box::new(steps.into_iter().enumerate().map(move |(position, step)| {
            out += u64::from(step.is_content());
            let generated = self.plan.generated(out, content);
            let response = self.render(&step, generated - self.plan.tokens.reasoning);
            let bytes = match framing {
                Framing::Events => openai::stream::event(&response),
                Framing::Array => element(&response, position == 0, position + 1 == count),
            };
            Written { bytes, generated }
        }))
    }

    fn steps(&self) -> Vec<Step> {
        let choices = 0..self.plan.choices;
        let mut steps = Vec::new();
        if self.thought().is_some() {
            steps.extend(choices.clone().map(Step::Thought));
        }
        let tools = self.plan.tools.len();
        let events = if tools == 0 {
            self.plan.events
        } else {
            tools as u64
        };
        for event in 0..events {
            let last = event + 1 == events;
            steps.extend(choices.clone().map(|choice| Step::Content {
                choice,
                event,
                last,
            }));
        }
        if events == 0 {
            steps.extend(choices.map(Step::Finish));
        }
        steps
    }

    fn render(&self, step: &Step, visible: u64) -> Value {
        let candidate = match *step {
            Step::Thought(choice) => self.candidate(choice, self.thought().as_slice(), false),
            Step::Finish(choice) => self.candidate(choice, &[], true),
            Step::Content {
                choice,
                event,
                last,
            } => {
                let tool = usize::try_from(event).unwrap_or_default();
                let part = if self.plan.tools.is_empty() {
                    json!({ "text": self.plan.piece(choice, event) })
                } else {
                    self.call(tool)
                };
                self.candidate(choice, &[part], last)
            }
        };
        self.response(&[candidate], visible)
    }

    fn candidate(&self, choice: u64, parts: &[Value], last: bool) -> Value {
        let content = (!parts.is_empty()).then(|| json!({ "parts": parts, "role": "model" }));
        let reason = last.then(|| finish_reason(self.plan.finish).into());
        let candidate = with(json!({ "index": choice }), "content", content);
        with(candidate, "finishReason", reason)
    }

    fn response(&self, candidates: &[Value], visible: u64) -> Value {
        let response = json!({
            "candidates": candidates,
            "modelVersion": self.model,
            "responseId": self.id,
        });
        let told = (!self.usage_hidden).then(|| usage(&self.plan.tokens, visible));
        with(response, "usageMetadata", told)
    }

    fn thought(&self) -> Option<Value> {
        let shown = self.include_thoughts && self.plan.tokens.reasoning > 0;
        shown.then(|| json!({ "text": "Thinking it over.", "thought": true }))
    }

    /// A function call; only the first of parallel ones carries a signature.
    fn call(&self, tool: usize) -> Value {
        let arguments: Value = serde_json::from_str(&self.plan.arguments()).unwrap_or_default();
        let call = json!({ "name": self.plan.tools.get(tool), "args": arguments });
        let signature = (tool == 0).then(|| SIGNATURE.into());
        with(
            json!({ "functionCall": call }),
            "thoughtSignature",
            signature,
        )
    }
}

/// Base64, as the real ones are; opaque to everyone.
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

/// One event of a streamed answer.
#[derive(Debug, Clone, Copy)]
enum Step {
    Thought(u64),
    Content { choice: u64, event: u64, last: bool },
    Finish(u64),
}

impl Step {
    const fn is_content(self) -> bool {
        matches!(self, Self::Content { .. })
    }
}

fn element(response: &Value, first: bool, last: bool) -> Bytes {
    let start = if first { "[" } else { ",\r\n" };
    let end = if last { "]" } else { "" };
    Bytes::from(format!("{start}{response}{end}"))
}

const fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

/// An absent count is zero; thoughts are beside the candidates' tokens, cached ones inside the prompt's.
fn usage(tokens: &Tokens, visible: u64) -> Value {
    let usage = json!({
        "promptTokenCount": tokens.input,
        "totalTokenCount": tokens.input + visible + tokens.reasoning,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens.input }],
    });
    let counts = [
        ("candidatesTokenCount", visible),
        ("thoughtsTokenCount", tokens.reasoning),
        ("cachedContentTokenCount", tokens.cache_read),
    ];
    counts.into_iter().fold(usage, |usage, (name, count)| {
        let told = (count > 0).then(|| count.into());
        with(usage, name, told)
    })
}
