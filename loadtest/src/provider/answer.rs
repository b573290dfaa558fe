//! From a request to a response: credential, prompt, books, then the answer in the caller's dialect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::sleep;

use super::anthropic;
use super::body::{Body, Events, Manner, Written};
use super::books::{Books, Call, Entry};
use super::dialect::{Dialect, RETRY_AFTER_SECONDS, Refusal, Understood};
use super::directive::Directives;
use super::embeddings;
use super::gemini::{self, Framing};
use super::openai;
use super::plan::{Plan, Tokens};
use super::route::Route;
use crate::clock;

/// A request's body at most: what providers accept with images inline.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What all calls share.
#[derive(Debug)]
pub struct Provider {
    /// Its records.
    pub books: Books,
    /// The only credential accepted; any when none is set.
    pub required_key: Option<String>,
    /// The only dialect spoken; both when none is set.
    pub dialect: Option<Dialect>,
    /// Models listed; any other is served as well.
    pub models: Vec<String>,
    /// Tells this run's ids from another's.
    pub run: u32,
    /// Requests so far, of any kind.
    pub requests: AtomicU64,
}

impl Provider {
    /// Answers one request.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let spoken = spoken(&parts.headers, query);
        let route = Route::of(&parts.method, parts.uri.path(), query, spoken);

        let Some(dialect) = route.dialect() else {
            return self.books(&route);
        };
        let result = match self.admit(dialect, &parts.headers, query) {
            Ok(()) => self.serve(route, body, number).await,
            Err(refusal) => Err(refusal),
        };
        result.unwrap_or_else(|refusal| refused(dialect, &refusal))
    }

    fn books(&self, route: &Route) -> Response<Body> {
        if *route == Route::ClearBooks {
            self.books.clear();
            let mut response = Response::new(Body::Done);
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        let statement = match route {
            Route::ReadTotals => json!({ "totals": self.books.totals() }).to_string(),
            _ => serde_json::to_string(&self.books.statement()).unwrap_or_default(),
        };
        respond(StatusCode::OK, Body::Plain(statement.into()))
    }

    fn admit(&self, dialect: Dialect, headers: &HeaderMap, query: &str) -> Result<(), Refusal> {
        if self.dialect.is_some_and(|only| only != dialect) {
            let message = format!("this mock does not speak {}", dialect.name());
            return Err(Refusal::new(StatusCode::NOT_FOUND, message));
        }
        let key = credential(dialect, headers, query).filter(|key| !key.is_empty());
        let accepted = match &self.required_key {
            Some(required) => key == Some(required.as_str()),
            None => key.is_some(),
        };
        if accepted {
            Ok(())
        } else {
            Err(dialect.unauthorized())
        }
    }

    async fn serve(
        &self,
        route: Route,
        body: Incoming,
        number: u64,
    ) -> Result<Response<Body>, Refusal> {
        let plain = |bytes| Ok(respond(StatusCode::OK, Body::Plain(bytes)));
        match route {
            Route::Models(dialect) => plain(dialect.models(&self.models)),
            Route::Model(dialect, model) => plain(dialect.model(&model)),
            Route::Chat => {
                let call =
                    openai::understand(&read(body).await?).map_err(|error| senseless(&error))?;
                self.complete(Dialect::OpenAi, call, Framing::Events, number)
                    .await
            }
            Route::Completions => {
                let call = openai::understand_text(&read(body).await?)
                    .map_err(|error| senseless(&error))?;
                self.complete(Dialect::OpenAi, call, Framing::Events, number)
                    .await
            }
            Route::Embeddings => {
                let call = embeddings::openai(&read(body).await?);
                self.embed(call.map_err(|error| senseless(&error))?, number)
                    .await
            }
            Route::Embed { model, is_batch } => {
                let call = embeddings::gemini(&model, is_batch, &read(body).await?);
                self.embed(call.map_err(|error| senseless(&error))?, number)
                    .await
            }
            Route::Messages => {
                let call =
                    anthropic::understand(&read(body).await?).map_err(|error| senseless(&error))?;
                self.complete(Dialect::Anthropic, call, Framing::Events, number)
                    .await
            }
            Route::CountMessageTokens => {
                let tokens = anthropic::count(&read(body).await?);
                let tokens = tokens.map_err(|error| senseless(&error))?;
                plain(json!({ "input_tokens": tokens }).to_string().into())
            }
            Route::CountTokens(model) => {
                let tokens = gemini::count(&model, &read(body).await?);
                let tokens = tokens.map_err(|error| senseless(&error))?;
                plain(json!({ "totalTokens": tokens }).to_string().into())
            }
            Route::Generate(model) => {
                let body = read(body).await?;
                let call =
                    gemini::understand(&model, false, &body).map_err(|error| senseless(&error))?;
                self.complete(Dialect::Gemini, call, Framing::Events, number)
                    .await
            }
            Route::GenerateStream(model, framing) => {
                let body = read(body).await?;
                let call =
                    gemini::understand(&model, true, &body).map_err(|error| senseless(&error))?;
                self.complete(Dialect::Gemini, call, framing, number).await
            }
            Route::ReadBooks | Route::ReadTotals | Route::ClearBooks | Route::Unknown(_) => Err(
                Refusal::new(StatusCode::NOT_FOUND, "the mock has no such path"),
            ),
        }
    }

    async fn complete(
        &self,
        dialect: Dialect,
        call: Understood,
        framing: Framing,
        number: u64,
    ) -> Result<Response<Body>, Refusal> {
        let plan = call.prompt.plan().map_err(|error| senseless(&error))?;
        let id = self.id(dialect, number);
        let entry = self.enter(dialect, &id, &call, &plan)?;
        let directives = &call.prompt.directives;
        if !directives.delay.is_zero() {
            sleep(directives.delay).await;
        }
        let mut response = match directives.status {
            Some(status) => {
                let refusal = Refusal::new(status, format!("the prompt asks for {status}"));
                entry.complete();
                refused(dialect, &refusal)
            }
            None => answered(dialect, &id, call, plan, (entry, framing)),
        };
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        Ok(response)
    }

    /// Books and answers a request for vectors, as [`Provider::complete`] does one for an answer.
    async fn embed(
        &self,
        call: embeddings::Understood,
        number: u64,
    ) -> Result<Response<Body>, Refusal> {
        let dialect = call.dialect();
        let plan = call.prompt.plan().map_err(|error| senseless(&error))?;
        let tokens = Tokens {
            output: 0,
            ..plan.tokens
        };
        let directives = &call.prompt.directives;
        let id = format!("embd-{:08x}{number:010x}", self.run);
        let entry = self.open(dialect, &id, (&call.model, false), (directives, tokens))?;
        sleep(directives.delay).await;
        if let Some(status) = directives.status {
            let refusal = Refusal::new(status, format!("the prompt asks for {status}"));
            entry.complete();
            return Ok(refused(dialect, &refusal));
        }
        Ok(respond(
            StatusCode::OK,
            Body::Whole(call.whole(tokens.input), entry),
        ))
    }

    fn enter(
        &self,
        dialect: Dialect,
        id: &str,
        call: &Understood,
        plan: &Plan,
    ) -> Result<Entry, Refusal> {
        let asked = (call.model.as_str(), call.stream);
        self.open(dialect, id, asked, (&call.prompt.directives, plan.tokens))
    }

    fn open(
        &self,
        dialect: Dialect,
        id: &str,
        (model, stream): (&str, bool),
        (directives, tokens): (&Directives, Tokens),
    ) -> Result<Entry, Refusal> {
        let refusal = directives.status;
        let tokens = match refusal {
            Some(_) => Tokens::default(),
            None => tokens,
        };
        let booked = Call {
            stream,
            status: refusal.unwrap_or(StatusCode::OK).as_u16(),
            mark: directives.mark.clone(),
            ..Call::new(id.to_owned(), dialect.name(), model, tokens)
        };
        let full = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the mock's books are full");
        self.books.open(booked).ok_or_else(full)
    }

    fn id(&self, dialect: Dialect, number: u64) -> String {
        let prefix = match dialect {
            Dialect::OpenAi => "chatcmpl-",
            Dialect::Anthropic => "msg_",
            Dialect::Gemini => "",
        };
        format!("{prefix}{:08x}{number:010x}", self.run)
    }
}

fn answered(
    dialect: Dialect,
    id: &str,
    call: Understood,
    plan: Plan,
    (entry, framing): (Entry, Framing),
) -> Response<Body> {
    let directives = &call.prompt.directives;
    let manner = Manner {
        pace: directives.pace,
        cut: directives.cut,
        generated: plan.tokens.reasoning,
    };
    let output = plan.tokens.output;
    let usage_hidden = directives.usage_hidden;
    let written = match dialect {
        Dialect::OpenAi => {
            let answer = openai::Answer {
                id: id.to_owned(),
                created: clock::unix_seconds(),
                model: call.model,
                plan,
                usage_hidden,
                form: call.form,
            };
            if call.stream {
                Ok(answer.events(call.include_usage))
            } else {
                Err(answer.whole())
            }
        }
        Dialect::Anthropic => {
            let answer = anthropic::Answer {
                id: id.to_owned(),
                model: call.model,
                plan,
                usage_hidden,
                include_thoughts: call.include_thoughts,
            };
            if call.stream {
                Ok(answer.events())
            } else {
                Err(answer.whole())
            }
        }
        Dialect::Gemini => {
            let answer = gemini::Answer {
                id: id.to_owned(),
                model: call.model,
                plan,
                usage_hidden,
                include_thoughts: call.include_thoughts,
            };
            if call.stream {
                Ok(answer.events(framing))
            } else {
                Err(answer.whole())
            }
        }
    };
    match written {
        Ok(events) => streamed(Events::new(events, entry, manner), framing),
        Err(bytes) if manner.cut.is_some() => {
            respond(StatusCode::OK, Body::Events(halved(&bytes, entry, output)))
        }
        Err(bytes) => respond(StatusCode::OK, Body::Whole(bytes, entry)),
    }
}

/// A whole answer that breaks off in its middle; it was generated whole, and is charged so.
fn halved(bytes: &Bytes, entry: Entry, generated: u64) -> Events {
    let half = bytes.len() / 2;
    let halves = [bytes.slice(..half), bytes.slice(half..)];
    let frames = halves
        .into_iter()
        .map(move |bytes| Written { bytes, generated });
    let manner = Manner {
        cut: Some(1),
        generated,
        ..Manner::default()
    };
    Events::new(Box::new(frames), entry, manner)
}

fn streamed(events: Events, framing: Framing) -> Response<Body> {
    if framing == Framing::Array {
        return respond(StatusCode::OK, Body::Events(events));
    }
    let mut response = Response::new(Body::Events(events));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn refused(dialect: Dialect, refusal: &Refusal) -> Response<Body> {
    let mut response = respond(refusal.status, Body::Plain(dialect.error(refusal)));
    if dialect != Dialect::Gemini && refusal.retries() {
        let after = HeaderValue::from(RETRY_AFTER_SECONDS);
        response.headers_mut().insert(RETRY_AFTER, after);
    }
    response
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            error.to_string(),
        )),
    }
}

fn senseless(error: &anyhow::Error) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("{error:#}"))
}

/// Whose client it is, where the path does not say it.
fn spoken(headers: &HeaderMap, query: &str) -> Dialect {
    if headers.contains_key("anthropic-version") {
        return Dialect::Anthropic;
    }
    let gemini = headers.contains_key("x-goog-api-key")
        || headers.contains_key("x-goog-api-client")
        || key_in(query).is_some();
    if gemini {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

fn credential<'a>(dialect: Dialect, headers: &'a HeaderMap, query: &'a str) -> Option<&'a str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    match dialect {
        Dialect::OpenAi => bearer,
        Dialect::Anthropic => header("x-api-key").or(bearer),
        Dialect::Gemini => header("x-goog-api-key")
            .or_else(|| key_in(query))
            .or(bearer),
    }
}

fn key_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("key="))
}
