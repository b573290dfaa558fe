//! What goes into the pipeline: a request, decoded from whatever dialect it came in.
//!
//! Every dialect is decoded into this one form, from which every provider's request can be written.
//! Fields that no dialect shares stay in [`Parameters::extra`], so that nothing a caller says is lost.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// The wire protocol a client speaks, or a provider expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's, and everything compatible with it.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's generateContent.
    Gemini,
}

/// The kind of work that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// A conversation that the model continues.
    Chat,
    /// A text that the model continues: OpenAI's older form.
    Completions,
    /// Texts turned into vectors.
    Embeddings,
    /// A conversation that the model continues, as items: OpenAI's newer form.
    Responses,
}

/// A decoded request, not yet rendered and not yet routed.
#[derive(Debug, Clone)]
pub struct Call {
    /// The dialect the client speaks; the answer goes back in it.
    pub dialect: Dialect,
    /// The kind of work.
    pub endpoint: Endpoint,
    /// The model as the client named it: an alias, a model, or `provider/model`.
    pub model: String,
    /// The conversation, oldest first; may be empty where a template is named, until it is rendered.
    pub messages: Vec<Message>,
    /// The stored prompt template that comes before the conversation; `None` once it is rendered.
    pub template: Option<Box<TemplateUse>>,
    /// Everything that changes the answer besides the conversation.
    pub parameters: Parameters,
    /// How the answer is to be delivered.
    pub delivery: Delivery,
    /// The version of its dialect that the client speaks, where the dialect has a header for it (`anthropic-version`).
    pub version: Option<String>,
    /// The body as it came, for a provider of the same dialect.
    pub body: Bytes,
}

/// A stored prompt template that a call names: the field `prompt` of a body, in every dialect.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateUse {
    /// The template's slug; absent where the model is named `template:<slug>`.
    pub slug: Option<String>,
    /// Which version; absent: the active one.
    pub version: Option<u32>,
    /// The values of its variables, by name.
    pub variables: Map<String, Value>,
}

/// How an answer is delivered; it never changes what the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One body.
    Whole,
    /// Server-sent events as they come.
    Stream {
        /// Whether the client asked for the usage at the end of the stream.
        include_usage: bool,
    },
    /// The elements of one JSON array as they come: Gemini's streams without `alt=sse`.
    Array,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; empty where an assistant only calls tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Part>,
    /// The speaker's name, where the dialect has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tools the assistant called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that this message answers, for [`Role::Tool`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions of the application (`system` and `developer`).
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "value")]
pub enum Part {
    /// Text.
    Text(String),
    /// An image: a `data:` or `https:` URL.
    Image {
        /// Where it is, or what it is.
        url: String,
        /// OpenAI's `detail`.
        detail: Option<String>,
    },
    /// Sound, base64.
    Audio {
        /// Base64 data.
        data: String,
        /// `wav`, `mp3` …
        format: String,
    },
    /// A document: a `data:` or `https:` URL.
    Document {
        /// Where it is, or what it is.
        url: String,
        /// The file's name.
        name: Option<String>,
    },
    /// What only the client's own dialect can say; kept word for word.
    Other(Value),
}

/// A tool call made by the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The identifier that the result refers to.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: JSON as text, as the model wrote it, which may be invalid.
    pub arguments: String,
    /// Gemini's thought signature, which has to be given back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// The name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must follow the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether and which tools must be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// None may be.
    None,
    /// The model decides.
    Auto,
    /// At least one must be.
    Required,
    /// This one must be.
    Named(String),
}

/// The form the answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema's name.
        name: Option<String>,
        /// What it is for, which the model is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether it is enforced.
        strict: Option<bool>,
    },
}

/// What changes the answer besides the conversation. Absent means the provider's default.
///
/// Numbers are kept as the client wrote them: nothing is computed with them here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// Upper limit of output tokens, reasoning included.
    pub output_tokens_max: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// How many of the likeliest tokens are sampled from.
    pub top_k: Option<u64>,
    /// Answers wanted.
    pub n: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Seed for sampling.
    pub seed: Option<i64>,
    /// Penalty on tokens already present.
    pub presence_penalty: Option<Number>,
    /// Penalty on frequent tokens.
    pub frequency_penalty: Option<Number>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub reasoning_effort: Option<String>,
    /// Tokens for reasoning, in the dialects that count them: 0 is none, and -1 leaves it to the model.
    pub reasoning_budget: Option<i64>,
    /// Whether the reasoning is to be shown, where the dialect lets the caller say so.
    pub reasoning_shown: Option<bool>,
    /// Whether log probabilities are wanted.
    pub logprobs: Option<bool>,
    /// How many alternatives per token.
    pub top_logprobs: Option<u64>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// Tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether they must be.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// Every other field of the request that may change the answer, by its name in the client's dialect.
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: vec![Part::Text(text.into())],
            name: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    /// All text of the message, in order, joined by line feeds.
    pub fn joined_text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text);
        text
    }

    /// Appends all text of the message, in order, joined by line feeds.
    pub fn write_text(&self, out: &mut String) {
        let texts = self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        for (position, text) in texts.enumerate() {
            if position > 0 {
                out.push('\n');
            }
            out.push_str(text);
        }
    }
}

impl Delivery {
    /// Whether the answer is wanted piece by piece.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Whole)
    }
}

impl Dialect {
    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Endpoint {
    /// The word in logs, metrics and `ai_requests.endpoint`; OpenTelemetry's `gen_ai.operation.name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
        }
    }
}
