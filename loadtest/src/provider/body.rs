//! Response bodies that know when their last byte is handed over, wait between events, and break off when told to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::books::Entry;

/// hyper drops what it has not flushed when a body fails; this is the time it gets to flush on loopback.
const FLUSH: Duration = Duration::from_millis(5);

/// A body of the mock.
#[derive(Debug)]
pub enum Body {
    /// Nothing is left to write.
    Done,
    /// Something that is in no book.
    Plain(Bytes),
    /// A whole answer.
    Whole(Bytes, Entry),
    /// A streamed answer.
    Events(Events),
}

/// The events of a streamed answer.
pub struct Events {
    frames: Box<dyn ExactSizeIterator<Item = Written> + Send>,
    entry: Entry,
    pace: Duration,
    /// Frames left until the connection is closed.
    until_cut: Option<usize>,
    /// Output tokens generated with the frames handed over.
    generated: u64,
    wait: Option<Pin<Box<Sleep>>>,
    broken: bool,
}

/// One event, as bytes.
#[derive(Debug)]
pub struct Written {
    /// What goes to the client.
    pub bytes: Bytes,
    /// Output tokens generated up to and including it.
    pub generated: u64,
}

/// How the events of an answer go out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Wait between events.
    pub pace: Duration,
    /// Close the connection after this many.
    pub cut: Option<usize>,
    /// Output tokens generated before the first.
    pub generated: u64,
}

impl Events {
    /// A body of these events.
    pub fn new(
        frames: Box<dyn ExactSizeIterator<Item = Written> + Send>,
        entry: Entry,
        manner: Manner,
    ) -> Self {
        Self {
            frames,
            entry,
            pace: manner.pace,
            until_cut: manner.cut,
            generated: manner.generated,
            wait: None,
            broken: false,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        if self.broken {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if self.until_cut == Some(0) && self.frames.len() > 0 {
            self.entry.cut(self.generated);
            self.broken = true;
            self.wait = Some(Box::pin(sleep(FLUSH)));
            return self.poll(context);
        }
        let Some(frame) = self.frames.next() else {
            return Poll::Ready(None);
        };
        self.generated = frame.generated;
        self.until_cut = self.until_cut.map(|left| left.saturating_sub(1));
        if self.frames.len() == 0 {
            self.entry.complete();
        } else if !self.pace.is_zero() {
            self.wait = Some(Box::pin(sleep(self.pace)));
        }
        Poll::Ready(Some(Ok(frame.bytes)))
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("Events");
        fields.field("left", &self.frames.len());
        fields.finish_non_exhaustive()
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Self::Events(events) = &mut *self {
            let bytes = ready!(events.poll(context));
            return Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)));
        }
        let bytes = match std::mem::replace(&mut *self, Self::Done) {
            Self::Plain(bytes) => bytes,
            Self::Whole(bytes, entry) => {
                entry.complete();
                bytes
            }
            Self::Done | Self::Events(_) => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Done => SizeHint::with_exact(0),
            Self::Plain(bytes) | Self::Whole(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
