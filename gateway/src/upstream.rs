//! A prompt sent to its deployment: the whole answer, or the source of its events.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use types::call::Endpoint;
use types::reply::{Answer, Delta, Event};

use crate::error::{Error, UpstreamError};
use crate::prompt::Prompt;
use crate::provider::client::{self, Patience, Response};
use crate::provider::{Decoder, Pass, Provider, demo};
use crate::route::Transport;
use crate::wire::sse;

/// Events or bytes that may follow the end of a stream: read so that the connection can be used again.
const TAIL_CHUNKS_MAX: usize = 8;

/// How long a provider may take to count tokens: it makes no answer for it.
const COUNT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a provider gives.
pub(crate) enum Upstream {
    /// The whole answer; the bytes are for a client of the same dialect.
    Whole(Answer, Option<Bytes>),
    /// Events to come.
    Stream(Source),
}

/// The events of a stream.
pub(crate) struct Source {
    events: Events,
    /// What was read to see that the answer begins, and whether more follows.
    ahead: Option<(Piece, bool)>,
}

/// Where the events of a stream come from.
enum Events {
    /// A provider's connection.
    Http {
        /// What is still to be read.
        body: client::Body,
        /// Cuts it into events.
        parser: sse::Parser,
        /// Reads them.
        decoder: Box<dyn Decoder>,
    },
    /// The demo's words.
    Demo(VecDeque<Event>),
}

/// What came at once: its meaning, and its bytes for a client of the same dialect.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// The meaning.
    pub(crate) events: Vec<Event>,
    /// Each event as it came, and what becomes of it.
    pub(crate) raw: Vec<(sse::Event, Pass)>,
}

/// What is sent to the deployment.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// A request.
    Http(Box<Request<Bytes>>),
    /// Nothing: the demo is asked in this process.
    Demo,
}

/// Writes the request for a prompt before anything is booked, so that a mistake of the caller's is no attempt.
pub(crate) fn prepare(prompt: &Prompt, output_tokens_max: Option<u64>) -> Result<Prepared, Error> {
    match &prompt.deployment.provider.transport {
        Transport::Http { protocol, .. } => {
            let request = protocol.request(prompt, output_tokens_max)?;
            Ok(Prepared::Http(Box::new(request)))
        }
        Transport::Demo if prompt.call.endpoint == Endpoint::Embeddings => Err(no_embeddings()),
        Transport::Demo => Ok(Prepared::Demo),
    }
}

/// A provider that makes no vectors is asked for some.
pub(crate) fn no_embeddings() -> Error {
    let text = "the provider of this model has no embeddings";
    Error::invalid(text, Some("model"))
}

/// Asks the provider how many tokens a question has, where it can say so. Providers charge nothing for that.
pub(crate) async fn count_tokens(prompt: &Prompt) -> Result<Option<u64>, Error> {
    let Transport::Http {
        protocol, client, ..
    } = &prompt.deployment.provider.transport
    else {
        return Ok(None);
    };
    let Some(request) = protocol.count_request(prompt)? else {
        return Ok(None);
    };
    let patience = Patience {
        is_stream: false,
        deadline: (prompt.received + COUNT_TIMEOUT).into(),
    };
    let response = client.send(request, patience).await?;
    if response.status != StatusCode::OK {
        let body = response.body.collect_error().await;
        let rejection = protocol.rejection(response.status, &response.headers, body);
        return Err(UpstreamError::Rejected(Box::new(rejection)).into());
    }
    let body = response.body.collect().await?;
    Ok(Some(protocol.count(&body)?))
}

/// Sends what was prepared and waits until the answer begins: until it is complete, or the first event of its stream is there.
///
/// Until then nobody has been given anything, and the request may be attempted elsewhere.
pub(crate) async fn send(
    prompt: &Prompt,
    prepared: Prepared,
    deadline: Instant,
) -> Result<Upstream, UpstreamError> {
    match (&prompt.deployment.provider.transport, prepared) {
        (
            Transport::Http {
                protocol,
                client,
                account,
            },
            Prepared::Http(mut request),
        ) => {
            if let Some(account) = account {
                let bearer = account.bearer(client, prompt.now()).await?;
                request.headers_mut().insert(header::AUTHORIZATION, bearer);
            }
            let patience = Patience {
                is_stream: prompt.call.delivery.is_stream(),
                deadline: deadline.into(),
            };
            let response = client.send(*request, patience).await?;
            receive(prompt, protocol.as_ref(), response).await
        }
        (Transport::Demo, Prepared::Demo) => Ok(send_demo(prompt)),
        (Transport::Http { .. }, Prepared::Demo) | (Transport::Demo, Prepared::Http(_)) => Err(
            UpstreamError::Unreachable(anyhow::anyhow!("prepared for another deployment")),
        ),
    }
}

async fn receive(
    prompt: &Prompt,
    protocol: &dyn Provider,
    response: Response,
) -> Result<Upstream, UpstreamError> {
    if response.status != StatusCode::OK {
        let body = response.body.collect_error().await;
        let rejection = protocol.rejection(response.status, &response.headers, body);
        return Err(UpstreamError::Rejected(Box::new(rejection)));
    }
    if prompt.call.delivery.is_stream() {
        let mut source = Source::of(Events::Http {
            body: response.body,
            parser: sse::Parser::default(),
            decoder: protocol.decoder(),
        });
        source.look_ahead().await?;
        return Ok(Upstream::Stream(source));
    }
    let body = response.body.collect().await?;
    let answer = protocol.answer(prompt, &body)?;
    let raw = prompt.is_pass_through(protocol).then_some(body);
    Ok(Upstream::Whole(answer, raw))
}

fn send_demo(prompt: &Prompt) -> Upstream {
    let answer = demo::answer(&prompt.call);
    if !prompt.call.delivery.is_stream() {
        return Upstream::Whole(answer, None);
    }
    Upstream::Stream(Source::of(Events::Demo(
        answer.events().into_iter().flat_map(by_word).collect(),
    )))
}

/// The text of an event cut into words.
fn by_word(event: Event) -> Vec<Event> {
    let Event::Delta {
        choice,
        delta: Delta::Text(text),
    } = event
    else {
        return vec![event];
    };
    let words = text.split_inclusive(' ').map(|word| Event::Delta {
        choice,
        delta: Delta::Text(word.to_owned()),
    });
    words.collect()
}

impl Source {
    const fn of(events: Events) -> Self {
        Self {
            events,
            ahead: None,
        }
    }

    /// Reads the first events: an answer that fails at once has not begun.
    async fn look_ahead(&mut self) -> Result<(), UpstreamError> {
        let mut piece = Piece::default();
        let more = self.events.next(&mut piece).await?;
        self.ahead = Some((piece, more));
        Ok(())
    }

    /// Reads what has come into the piece; `false` at the complete end of the answer.
    ///
    /// After an error the piece holds what came before it. May be dropped while it waits: nothing that came is lost.
    pub(crate) async fn next(&mut self, piece: &mut Piece) -> Result<bool, UpstreamError> {
        if let Some((ahead, more)) = self.ahead.take() {
            *piece = ahead;
            return Ok(more);
        }
        piece.events.clear();
        piece.raw.clear();
        self.events.next(piece).await
    }

    /// Reads the little that may follow the end, so that the connection can be used again.
    pub(crate) async fn finish(self) {
        if let Events::Http { mut body, .. } = self.events {
            for _ in 0..TAIL_CHUNKS_MAX {
                if !matches!(body.chunk().await, Ok(Some(_))) {
                    return;
                }
            }
        }
    }
}

impl Events {
    async fn next(&mut self, piece: &mut Piece) -> Result<bool, UpstreamError> {
        match self {
            Self::Http {
                body,
                parser,
                decoder,
            } => next_http(body, parser, decoder.as_mut(), piece).await,
            Self::Demo(events) => {
                // First the pause, then the event: whoever stops waiting in between loses nothing.
                if matches!(events.front(), Some(Event::Delta { .. })) {
                    tokio::time::sleep(demo::WORD_PAUSE).await;
                }
                let event = events.pop_front();
                let more = event.is_some();
                piece.events.extend(event);
                Ok(more)
            }
        }
    }
}

async fn next_http(
    body: &mut client::Body,
    parser: &mut sse::Parser,
    decoder: &mut dyn Decoder,
    piece: &mut Piece,
) -> Result<bool, UpstreamError> {
    loop {
        let Some(chunk) = body.chunk().await? else {
            if let Some(event) = parser.finish() {
                take(event, decoder, piece)?;
                return Ok(true);
            }
            return if decoder.is_complete() {
                Ok(false)
            } else {
                Err(UpstreamError::Truncated)
            };
        };
        parser
            .push(&chunk)
            .map_err(|error| UpstreamError::Malformed(error.into()))?;
        while let Some(event) = parser.next_event() {
            take(event, decoder, piece)?;
        }
        if !piece.raw.is_empty() {
            return Ok(true);
        }
    }
}

fn take(
    event: sse::Event,
    decoder: &mut dyn Decoder,
    piece: &mut Piece,
) -> Result<(), UpstreamError> {
    let pass = decoder.decode(&event.data, &mut piece.events)?;
    piece.raw.push((event, pass));
    Ok(())
}

impl Piece {
    /// Whether the provider said that the answer ends here.
    pub(crate) fn is_terminal(&self) -> bool {
        self.raw.iter().any(|(_, pass)| *pass == Pass::Terminal)
    }
}
