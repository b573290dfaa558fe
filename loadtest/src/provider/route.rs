//! Which path means what.

use http::Method;

use super::dialect::Dialect;
use super::gemini::Framing;

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /books`.
    ReadBooks,
    /// `GET /books/totals`: without the calls.
    ReadTotals,
    /// `DELETE /books`.
    ClearBooks,
    /// `POST …/chat/completions`.
    Chat,
    /// `POST …/completions`.
    Completions,
    /// `POST …/embeddings`.
    Embeddings,
    /// `POST …/models/{model}:embedContent`, or `:batchEmbedContents`.
    Embed {
        /// The model.
        model: String,
        /// Whether it is the second.
        is_batch: bool,
    },
    /// `POST …/messages`.
    Messages,
    /// `POST …/messages/count_tokens`.
    CountMessageTokens,
    /// `POST …/models/{model}:countTokens`.
    CountTokens(String),
    /// `POST …/models/{model}:generateContent`.
    Generate(String),
    /// `POST …/models/{model}:streamGenerateContent`.
    GenerateStream(String, Framing),
    /// `GET …/models`.
    Models(Dialect),
    /// `GET …/models/{model}`.
    Model(Dialect, String),
    /// Nothing the mock knows.
    Unknown(Dialect),
}

impl Route {
    /// The route of a request; `spoken` tells whose list of models `GET /v1/models` is.
    pub fn of(method: &Method, path: &str, query: &str, spoken: Dialect) -> Self {
        let (version, rest) = split_version(path);
        let dialect = match version {
            "/v1beta" => Dialect::Gemini,
            _ => spoken,
        };
        match (method.as_str(), rest) {
            ("GET", "/books") => Self::ReadBooks,
            ("GET", "/books/totals") => Self::ReadTotals,
            ("DELETE", "/books") => Self::ClearBooks,
            ("POST", "/chat/completions") => Self::Chat,
            ("POST", "/completions") => Self::Completions,
            ("POST", "/embeddings") => Self::Embeddings,
            ("POST", "/messages") => Self::Messages,
            ("POST", "/messages/count_tokens") => Self::CountMessageTokens,
            ("GET", "/models") => Self::Models(dialect),
            ("GET", path) => match path.strip_prefix("/models/") {
                Some(model) => Self::Model(dialect, decode(model)),
                None => Self::Unknown(dialect),
            },
            ("POST", path) => generate(path, query).unwrap_or(Self::Unknown(dialect)),
            _ => Self::Unknown(dialect),
        }
    }

    /// The dialect spoken there; none for the books.
    pub const fn dialect(&self) -> Option<Dialect> {
        match self {
            Self::ReadBooks | Self::ReadTotals | Self::ClearBooks => None,
            Self::Chat | Self::Completions | Self::Embeddings => Some(Dialect::OpenAi),
            Self::Messages | Self::CountMessageTokens => Some(Dialect::Anthropic),
            Self::Generate(_)
            | Self::GenerateStream(..)
            | Self::CountTokens(_)
            | Self::Embed { .. } => Some(Dialect::Gemini),
            Self::Models(dialect) | Self::Model(dialect, _) | Self::Unknown(dialect) => {
                Some(*dialect)
            }
        }
    }
}

/// Splits the API's version off; a base URL may come without one, and Gemini has one for OpenAI's dialect.
fn split_version(path: &str) -> (&str, &str) {
    let versions = ["/v1beta/openai", "/v1beta", "/v1"];
    let found = versions.into_iter().find_map(|version| {
        let rest = path.strip_prefix(version)?;
        rest.starts_with('/').then_some((version, rest))
    });
    found.unwrap_or(("", path))
}

fn generate(path: &str, query: &str) -> Option<Route> {
    let named = ["/models/", "/tunedModels/"];
    let named = named
        .into_iter()
        .find_map(|prefix| path.strip_prefix(prefix))?;
    let named = decode(named);
    let (model, action) = named.rsplit_once(':')?;
    let model = model.to_owned();
    match action {
        "generateContent" => Some(Route::Generate(model)),
        "countTokens" => Some(Route::CountTokens(model)),
        "embedContent" | "batchEmbedContents" => Some(Route::Embed {
            model,
            is_batch: action == "batchEmbedContents",
        }),
        "streamGenerateContent" => {
            let events = query.split('&').any(|pair| pair == "alt=sse");
            let framing = if events {
                Framing::Events
            } else {
                Framing::Array
            };
            Some(Route::GenerateStream(model, framing))
        }
        _ => None,
    }
}

/// Undoes percent-encoding; what is not well formed stays as it is.
fn decode(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let code = piece
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (Some(code), Some(rest)) = (code, piece.get(2..)) {
            decoded.push(code);
            decoded.extend_from_slice(rest.as_bytes());
        } else {
            decoded.push(b'%');
            decoded.extend_from_slice(piece.as_bytes());
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_and_spelling_of_a_path_finds_its_route() {
        let post = |path: &str, query| Route::of(&Method::POST, path, query, Dialect::OpenAi);
        for prefix in ["", "/v1", "/v1beta/openai"] {
            assert_eq!(post(&format!("{prefix}/chat/completions"), ""), Route::Chat);
        }
        let model = || "gemini-2.5-flash".to_owned();
        let whole = post("/v1beta/models/gemini-2.5-flash%3AgenerateContent", "");
        assert_eq!(whole, Route::Generate(model()));
        let stream = "/v1/models/gemini-2.5-flash:streamGenerateContent";
        let events = Route::GenerateStream(model(), Framing::Events);
        assert_eq!(post(stream, "key=x&alt=sse"), events);
        assert_eq!(
            post(stream, ""),
            Route::GenerateStream(model(), Framing::Array)
        );
    }
}
