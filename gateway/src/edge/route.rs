//! Which route a path is, and which dialect is spoken there.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use types::call::Dialect;

use super::request::key_in_query;
use crate::wire::anthropic;

/// A route of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// OpenAI's chat completions.
    ChatCompletions,
    /// OpenAI's older form of them.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// The count of their tokens.
    CountMessageTokens,
    /// What Gemini does with a model.
    Gemini {
        /// The model.
        model: Cow<'a, str>,
        /// What is to be done.
        action: Action,
    },
    /// The list of models, which all dialects have at the same place.
    Models,
    /// One of them.
    Model(Cow<'a, str>),
    /// Something that a dialect has and that is not served here.
    NotSupported,
    /// Whether the process lives.
    Live,
    /// Whether it can take requests.
    Ready,
    /// Metrics.
    Metrics,
    /// The management API.
    Management,
    /// Anything else.
    Unknown,
}

/// What Gemini's clients ask of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// An answer.
    Generate,
    /// An answer, piece by piece.
    Stream,
    /// The tokens of a question.
    CountTokens,
    /// A vector.
    Embed,
    /// Vectors.
    EmbedBatch,
    /// A method that Gemini has and that is not served here.
    Other,
}

/// Paths below `/v1` that OpenAI's and Anthropic's clients know and that are not served here.
const NOT_SUPPORTED: &[&str] = &[
    "assistants",
    "audio",
    "batches",
    "containers",
    "conversations",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "messages",
    "moderations",
    "realtime",
    "responses",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

impl<'a> Route<'a> {
    /// The route of a path.
    pub(crate) fn of(path: &'a str) -> Self {
        match path {
            // First, because nearly every request is one.
            "/v1/chat/completions" => return Self::ChatCompletions,
            "/v1/messages" => return Self::Messages,
            "/livez" => return Self::Live,
            "/readyz" => return Self::Ready,
            "/metrics" => return Self::Metrics,
            path if path == "/api" || path.starts_with("/api/") => return Self::Management,
            _ => {}
        }
        below_version(path).map_or(Self::Unknown, Self::of_rest)
    }

    fn of_rest(rest: &'a str) -> Self {
        match rest {
            "chat/completions" => Self::ChatCompletions,
            "completions" => Self::Completions,
            "embeddings" => Self::Embeddings,
            "responses" => Self::Responses,
            "messages" => Self::Messages,
            "messages/count_tokens" => Self::CountMessageTokens,
            "models" => Self::Models,
            rest => {
                let named = rest.strip_prefix("models/");
                // Gemini names tuned models with the folder that they are in.
                let named = named.or_else(|| rest.starts_with("tunedModels/").then_some(rest));
                named.map_or_else(|| Self::known_elsewhere(rest), Self::of_model)
            }
        }
    }

    fn of_model(named: &'a str) -> Self {
        // SDKs encode slashes and colons.
        let named = percent_decode_str(named).decode_utf8_lossy();
        let Some(at) = named.rfind(':') else {
            return Self::Model(without_folder(named));
        };
        let action = match named.get(at + 1..).unwrap_or_default() {
            "generateContent" => Action::Generate,
            "streamGenerateContent" => Action::Stream,
            "countTokens" => Action::CountTokens,
            "embedContent" => Action::Embed,
            "batchEmbedContents" => Action::EmbedBatch,
            // The names of models may have colons too, as those of fine-tuned ones and of Ollama's.
            other if is_method(other) => Action::Other,
            _ => return Self::Model(without_folder(named)),
        };
        let model = match named {
            Cow::Borrowed(named) => Cow::Borrowed(named.get(..at).unwrap_or_default()),
            Cow::Owned(mut named) => {
                named.truncate(at);
                Cow::Owned(named)
            }
        };
        Self::Gemini {
            model: without_folder(model),
            action,
        }
    }

    fn known_elsewhere(rest: &str) -> Self {
        let first = rest.split('/').next().unwrap_or_default();
        if NOT_SUPPORTED.contains(&first) {
            Self::NotSupported
        } else {
            Self::Unknown
        }
    }

    /// The dialect that is spoken there; where the path does not say it, the headers do.
    pub(crate) fn dialect(&self, path: &str, query: Option<&str>, headers: &HeaderMap) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings | Self::Responses => {
                Dialect::Openai
            }
            Self::Messages | Self::CountMessageTokens => Dialect::Anthropic,
            Self::Gemini { .. } => Dialect::Gemini,
            _ if path.starts_with("/v1/messages/") => Dialect::Anthropic,
            _ if path.starts_with("/v1beta/openai/") => Dialect::Openai,
            _ if path.starts_with("/v1beta/") => Dialect::Gemini,
            _ if headers.contains_key(anthropic::VERSION_HEADER) => Dialect::Anthropic,
            _ if speaks_gemini(query, headers) => Dialect::Gemini,
            _ => Dialect::Openai,
        }
    }

    /// The label in metrics: a path of a client's making is never one.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::CountMessageTokens => "/v1/messages/count_tokens",
            Self::Gemini { action, .. } => action.as_str(),
            Self::Models => "/v1/models",
            Self::Model(_) => "/v1/models/{id}",
            Self::NotSupported => "not supported",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Management => "/api",
            Self::Unknown => "unknown",
        }
    }
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "/v1beta/models/{id}:generateContent",
            Self::Stream => "/v1beta/models/{id}:streamGenerateContent",
            Self::CountTokens => "/v1beta/models/{id}:countTokens",
            Self::Embed => "/v1beta/models/{id}:embedContent",
            Self::EmbedBatch => "/v1beta/models/{id}:batchEmbedContents",
            Self::Other => "not supported",
        }
    }
}

/// What follows the version. Base URLs are given with and without a slash at the end, and with a version by those who
/// add it once more; OpenAI's clients of Gemini know it under a path of its own.
fn below_version(path: &str) -> Option<&str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut rest = path.strip_prefix('/')?;
    let mut versions = 0;
    for version in ["v1/", "v1/", "v1beta/", "openai/"] {
        if let Some(below) = rest.strip_prefix(version) {
            rest = below;
            versions += 1;
        }
    }
    (versions > 0).then_some(rest)
}

/// Gemini's names say that they are models, other dialects' do not.
fn without_folder(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_prefix("models/").unwrap_or(name)),
        Cow::Owned(name) => Cow::Owned(name.strip_prefix("models/").unwrap_or(&name).to_owned()),
    }
}

/// Methods are verbs in camel case: `batchEmbedContents`, `predict`, `generateAnswer`.
fn is_method(name: &str) -> bool {
    const VERBS: [&str; 8] = [
        "batch", "embed", "generate", "predict", "async", "count", "stream", "transfer",
    ];
    VERBS.iter().any(|verb| name.starts_with(verb))
        && (name.bytes().any(|byte| byte.is_ascii_uppercase()) || name == "predict")
}

fn speaks_gemini(query: Option<&str>, headers: &HeaderMap) -> bool {
    headers.contains_key("x-goog-api-key")
        || headers.contains_key("x-goog-api-client")
        || key_in_query(query).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gemini(model: &'static str, action: Action) -> Route<'static> {
        Route::Gemini {
            model: model.into(),
            action,
        }
    }

    #[test]
    fn base_urls_may_end_with_a_slash_or_repeat_the_version() {
        for path in [
            "/v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/v1/chat/completions",
            "/v1beta/openai/chat/completions",
        ] {
            assert_eq!(Route::of(path), Route::ChatCompletions, "{path}");
        }
        assert_eq!(Route::of("/v1/v1/messages"), Route::Messages);
        assert_eq!(Route::of("/apis"), Route::Unknown);
        assert_eq!(Route::of("/chat/completions"), Route::Unknown);
    }

    #[test]
    fn a_model_and_what_is_done_with_it_are_found_however_they_are_written() {
        for path in [
            "/v1/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1/v1beta/models/gemini-2.5-flash%3AgenerateContent",
            "/v1beta/models/models%2Fgemini-2.5-flash:generateContent",
        ] {
            assert_eq!(
                Route::of(path),
                gemini("gemini-2.5-flash", Action::Generate),
                "{path}"
            );
        }
        assert_eq!(
            Route::of("/v1beta/models/gemini/gemini-2.5-flash:streamGenerateContent"),
            gemini("gemini/gemini-2.5-flash", Action::Stream)
        );
        assert_eq!(
            Route::of("/v1beta/tunedModels/mine:generateContent"),
            gemini("tunedModels/mine", Action::Generate)
        );
        assert_eq!(
            Route::of("/v1/models/gemini%2Fgemini-2.5-flash"),
            Route::Model("gemini/gemini-2.5-flash".into())
        );
        assert_eq!(
            Route::of("/v1/models/ollama/llama3:8b"),
            Route::Model("ollama/llama3:8b".into())
        );
    }

    #[test]
    fn the_dialect_comes_from_the_path_and_else_from_the_headers() {
        let headers = |name: &'static str| {
            HeaderMap::from_iter([(http::HeaderName::from_static(name), "x".parse().unwrap())])
        };
        let dialect =
            |path: &str, query, headers: &HeaderMap| Route::of(path).dialect(path, query, headers);
        let none = HeaderMap::new();
        assert_eq!(dialect("/v1/models", None, &none), Dialect::Openai);
        assert_eq!(
            dialect("/v1/models", None, &headers("anthropic-version")),
            Dialect::Anthropic
        );
        assert_eq!(
            dialect("/v1/models", None, &headers("x-goog-api-key")),
            Dialect::Gemini
        );
        assert_eq!(
            dialect("/v1/models", Some("pageSize=1&key=k"), &none),
            Dialect::Gemini
        );
        assert_eq!(dialect("/v1beta/models", None, &none), Dialect::Gemini);
        assert_eq!(
            dialect("/v1/messages/batches", None, &none),
            Dialect::Anthropic
        );
        assert_eq!(
            dialect("/v1/messages", None, &headers("x-goog-api-key")),
            Dialect::Anthropic
        );
    }
}
