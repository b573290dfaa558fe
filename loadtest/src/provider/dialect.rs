//! The dialects the mock speaks: how a refusal and a list of models look in each.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::plan::Prompt;

/// A provider's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
}

/// What a model is asked to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A conversation.
    Chat,
    /// A text: OpenAI's older form.
    Text,
}

/// A request that was read.
#[derive(Debug)]
pub struct Understood {
    /// As the client named it.
    pub model: String,
    /// Whether it wants events.
    pub stream: bool,
    /// Whether it wants usage in a stream.
    pub include_usage: bool,
    /// Whether it wants to see thoughts.
    pub include_thoughts: bool,
    /// What is to be continued.
    pub form: Form,
    /// What it says.
    pub prompt: Prompt,
}

/// Why a call is not answered.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// For people.
    pub message: String,
}

/// Seconds after which a refused client may try again, where the status says that it may.
pub const RETRY_AFTER_SECONDS: u64 = 1;

const GEMINI_UNAUTHORIZED: &str = "API key not valid. Please pass a valid API key.";

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// Whether it tells when to try again.
    pub fn retries(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl Dialect {
    /// What the books call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// The refusal of a call without a credential, or with another one than required.
    pub fn unauthorized(self) -> Refusal {
        match self {
            Self::OpenAi => Refusal::new(StatusCode::UNAUTHORIZED, "Incorrect API key provided."),
            Self::Anthropic => Refusal::new(StatusCode::UNAUTHORIZED, "invalid x-api-key"),
            Self::Gemini => Refusal::new(StatusCode::BAD_REQUEST, GEMINI_UNAUTHORIZED),
        }
    }

    /// The body of a refusal.
    pub fn error(self, refusal: &Refusal) -> Bytes {
        let body = match self {
            Self::OpenAi => openai_error(refusal),
            Self::Anthropic => anthropic_error(refusal),
            Self::Gemini => gemini_error(refusal),
        };
        Bytes::from(body.to_string())
    }

    /// The list of models.
    pub fn models(self, models: &[String]) -> Bytes {
        let models = models.iter().map(|model| self.describe(model));
        let models: Vec<Value> = models.collect();
        let body = match self {
            Self::OpenAi => json!({ "object": "list", "data": models }),
            Self::Anthropic => {
                json!({ "data": models, "has_more": false, "first_id": null, "last_id": null })
            }
            Self::Gemini => json!({ "models": models }),
        };
        Bytes::from(body.to_string())
    }

    /// One model.
    pub fn model(self, model: &str) -> Bytes {
        Bytes::from(self.describe(model).to_string())
    }

    fn describe(self, model: &str) -> Value {
        match self {
            Self::OpenAi => {
                json!({ "id": model, "object": "model", "created": 0, "owned_by": "mock" })
            }
            Self::Anthropic => {
                json!({ "type": "model", "id": model, "display_name": model, "created_at": "1970-01-01T00:00:00Z" })
            }
            Self::Gemini => json!({
                "name": format!("models/{model}"),
                "displayName": model,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
            }),
        }
    }
}

fn openai_error(refusal: &Refusal) -> Value {
    let (kind, code) = match refusal.status.as_u16() {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("invalid_request_error", Some("permission_denied")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    let message = &refusal.message;
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

fn anthropic_error(refusal: &Refusal) -> Value {
    let kind = match refusal.status.as_u16() {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let error = json!({ "type": kind, "message": refusal.message });
    json!({ "type": "error", "error": error, "request_id": "req_mock" })
}

fn gemini_error(refusal: &Refusal) -> Value {
    let code = refusal.status.as_u16();
    let status = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    };
    let error = json!({ "code": code, "message": refusal.message, "status": status });
    json!({ "error": with(error, "details", gemini_details(refusal)) })
}

fn gemini_details(refusal: &Refusal) -> Option<Value> {
    match refusal.status.as_u16() {
        429 => Some(json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{RETRY_AFTER_SECONDS}s"),
        }])),
        400 if refusal.message == GEMINI_UNAUTHORIZED => Some(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }])),
        _ => None,
    }
}

/// Adds a field to an object, where there is something to add.
pub fn with(mut object: Value, name: &str, field: Option<Value>) -> Value {
    if let (Some(fields), Some(field)) = (object.as_object_mut(), field) {
        fields.insert(name.to_owned(), field);
    }
    object
}
