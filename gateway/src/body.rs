//! The body of every answer: bytes, events as they come, or whatever the management API made.
//!
//! An enum rather than a boxed trait object: this is polled for every chunk of every answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::in_flight::Place;
use crate::reply::Chunk;

/// What a service of ours can fail with: nothing, every error has become an answer.
pub(crate) type NoError = Infallible;

/// Makes hyper break the connection off, so that the client sees that something is missing.
#[derive(Debug, thiserror::Error)]
#[error("the stream was cut")]
struct Cut;

/// A response body.
#[derive(Debug)]
pub(crate) struct Body {
    content: Content,
    /// The request's place, given up with the body.
    place: Option<Place>,
}

#[derive(Debug)]
enum Content {
    /// Bytes, and then nothing.
    Full(Option<Bytes>),
    /// Chunks of a stream.
    Stream(mpsc::Receiver<Chunk>),
    /// A body of the management API's.
    Axum(axum::body::Body),
}

impl Body {
    /// A body of these bytes.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Content::Full((!bytes.is_empty()).then_some(bytes)).into()
    }

    /// A body of chunks to come.
    pub(crate) fn stream(chunks: mpsc::Receiver<Chunk>) -> Self {
        Content::Stream(chunks).into()
    }

    /// A body of the management API's.
    pub(crate) fn axum(body: axum::body::Body) -> Self {
        Content::Axum(body).into()
    }

    /// Keeps the request's place until the body is sent or given up.
    pub(crate) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        Self {
            content,
            place: None,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.content {
            Content::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(chunks) => chunks.poll_recv(context).map(|chunk| match chunk {
                Some(Chunk::Data(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Chunk::End | Chunk::Failed) => None,
                None => Some(Err(axum::Error::new(Cut))),
            }),
            Content::Axum(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full(bytes) => bytes.is_none(),
            Content::Stream(_) => false,
            Content::Axum(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Content::Stream(_) => SizeHint::default(),
            Content::Axum(body) => body.size_hint(),
        }
    }
}
