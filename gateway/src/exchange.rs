//! The attempts of one request, each from INTENT to SETTLE; they run to their end whether or not the client stays.
//!
//! INTENT written → provider asked → answer passed on and measured → SETTLE durable → last byte.
//! The order is the point: a provider that may have charged is on record, and a client that has the end of an
//! answer has it booked.

mod attempt;
mod hedge;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cache::{Cache, Control};
use config::section::OnDisconnect;
use metering::journal::Pending;
use metering::{CacheStatus, CallPermit, Metering, failpoint};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use types::Clock;
use types::reply::Answer;

use crate::error::{Error, UpstreamError};
use crate::finish::Presence;
use crate::in_flight::InFlight;
use crate::limit::Admission;
use crate::measure::Measure;
use crate::meter::{self, End};
use crate::pipeline::{Settings, unbookable};
use crate::prompt::Prompt;
use crate::ready::Ready;
use crate::reply::{CHUNKS_BEHIND_MAX, Chunk, Content, Origin, Reply};
use crate::route::{Choice, Failure, Running};
use crate::upstream::{Piece, Source, Upstream};
use crate::writer::{self, Writer};

/// A client that has not taken a byte for so long is taken to be gone: its stream holds memory and a connection.
const CLIENT_STALL_MAX: Duration = Duration::from_mins(1);

/// How long the little that follows the end of an answer is waited for, so that the connection can be used again.
const TAIL_MAX: Duration = Duration::from_secs(1);

/// Everything the first attempt starts with; boxed where it is passed on, because futures hold their arguments, and are moved.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The first attempt.
    pub(crate) ready: Ready,
    /// The API call, which the first attempt spends.
    pub(crate) call: CallPermit,
    /// Where it may be attempted again.
    pub(crate) choice: Choice,
    /// Its place under the limits.
    pub(crate) admission: Admission,
    /// What the cache had to do with it.
    pub(crate) cache: CacheStatus,
    /// Where the answer is stored, if it may be.
    pub(crate) store_as: Option<StoreAs>,
    /// The configuration it began with.
    pub(crate) settings: Arc<Settings>,
}

/// Where an answer is stored, and what was found out when it was looked up.
#[derive(Debug)]
pub(crate) struct StoreAs {
    /// The call's identity.
    pub(crate) key: cache::Key,
    /// What the look-up by meaning found out.
    pub(crate) trace: Option<Box<cache::Trace>>,
}

/// What all attempts share.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Takes complete answers.
    pub(crate) cache: Cache,
    /// Takes the records.
    pub(crate) metering: Metering,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Counts the answers read on for nobody.
    pub(crate) drains: Arc<InFlight>,
    /// Where streams go on.
    pub(crate) tasks: TaskTracker,
    /// Whether the client still waits.
    pub(crate) client: Presence,
}

/// Attempts the request until an answer begins: runs to its end, or to where it begins to stream, which goes on by itself.
pub(crate) async fn run(parts: Parts, exchange: Box<Exchange>) -> Result<Reply, Error> {
    let mut begun = Attempt::first(parts, exchange).await?;
    loop {
        let (attempt, pending, sent) = begun.send().await;
        let error = match sent {
            Ok(Upstream::Whole(answer, raw)) => return attempt.whole(pending, answer, raw).await,
            Ok(Upstream::Stream(source)) => return Ok(attempt.stream(pending, source)),
            Err(error) => error,
        };
        // On the heap, so that a request that is answered at once does not carry its size.
        begun = Box::pin(attempt.again(pending, error)).await?;
    }
}

/// An attempt whose INTENT is written.
struct Attempt {
    parts: Parts,
    prompt: Arc<Prompt>,
    settings: Arc<Settings>,
    store_as: Option<StoreAs>,
    cache: CacheStatus,
    choice: Choice,
    running: Running,
    _admission: Admission,
}

impl Attempt {
    async fn whole(
        self,
        pending: Pending,
        answer: Answer,
        raw: Option<Bytes>,
    ) -> Result<Reply, Error> {
        let body = raw.unwrap_or_else(|| writer::whole(&self.prompt, &answer));
        let measure = Measure::of(answer);
        let end = if self.parts.client.is_gone() {
            End::Cancelled
        } else {
            End::Complete
        };
        self.settle(pending, &measure, end).await?;
        let reply = self.reply(Content::Whole(body));
        self.store(measure);
        Ok(reply)
    }

    /// Begins to stream on a task of its own: the answer goes on while its beginning is already with the client.
    fn stream(self, pending: Pending, source: Source) -> Reply {
        let (channel, events) = mpsc::channel(CHUNKS_BEHIND_MAX);
        let reply = self.reply(Content::Stream(events));
        let client = Client {
            channel: Some(channel),
        };
        let tasks = self.parts.tasks.clone();
        tasks.spawn(self.forward(pending, source, client));
        reply
    }

    async fn forward(mut self, pending: Pending, mut source: Source, mut client: Client) {
        let mut measure = Measure::default();
        let mut writer = Writer::for_upstream(&self.prompt);
        let mut tail = None;
        let ended = self
            .pump(&mut source, &mut measure, &mut writer, &mut client)
            .await;
        let end = match &ended {
            Err(error) => End::Failed(error),
            Ok(()) if client.is_gone() => End::Cancelled,
            Ok(()) => End::Complete,
        };
        if let Err(error) = &ended {
            self.running.failed(&Failure::from(error));
            log_failure(&self.prompt, error);
        }
        let booked = self.settle(pending, &measure, end).await;
        let (last, end) = match (ended, booked) {
            (Err(error), _) => (
                writer.fail(&error.into(), self.prompt.request),
                Chunk::Failed,
            ),
            (Ok(()), Err(error)) => (writer.fail(&error, self.prompt.request), Chunk::Failed),
            (Ok(()), Ok(())) => {
                // Before the end goes out, so that whoever has the answer finds it again.
                self.store(measure);
                tail = Some(source);
                (writer.finish(), Chunk::End)
            }
        };
        client.end(last, end).await;
        if let Some(source) = tail {
            let _ = tokio::time::timeout(TAIL_MAX, source.finish()).await;
        }
    }

    /// Passes on what comes and measures it, up to the provider's end.
    async fn pump(
        &self,
        source: &mut Source,
        measure: &mut Measure,
        writer: &mut Writer,
        client: &mut Client,
    ) -> Result<(), UpstreamError> {
        let mut piece = Piece::default();
        let mut out = BytesMut::new();
        loop {
            let more = tokio::select! {
                more = source.next(&mut piece) => more,
                () = client.gone() => break,
            };
            failpoint::pass("exchange.streaming");
            // What came before an error counts too.
            measure.observe(&piece.events);
            writer.write(&piece, &mut out);
            if !out.is_empty() {
                client.send(out.split().freeze()).await;
            }
            if !more? || piece.is_terminal() {
                measure.end();
                return Ok(());
            }
        }
        self.drain(source, measure).await;
        Ok(())
    }

    /// Reads on for nobody, within limits: only the provider's own last word says what the answer cost.
    async fn drain(&self, source: &mut Source, measure: &mut Measure) {
        let limits = &self.settings.config.metering;
        if limits.on_disconnect == OnDisconnect::Abort {
            return;
        }
        let Some(_place) = self.parts.drains.enter(limits.drains_max) else {
            metrics::counter!("flowpilot_drains_refused_total").increment(1);
            return;
        };
        let read_on = async {
            let mut piece = Piece::default();
            loop {
                let more = source.next(&mut piece).await;
                measure.observe(&piece.events);
                match more {
                    Ok(true) if !piece.is_terminal() => {}
                    Ok(_) => return measure.end(),
                    Err(_) => return,
                }
            }
        };
        // A drain that takes too long is settled with what is known by then.
        let _ = tokio::time::timeout(limits.drain_timeout, read_on).await;
    }

    /// Writes the SETTLE and waits until it is as durable as configured.
    async fn settle(&self, pending: Pending, measure: &Measure, end: End<'_>) -> Result<(), Error> {
        let privacy = &self.settings.config.privacy;
        let settlement = meter::settlement(
            &self.prompt,
            measure,
            end,
            privacy,
            self.parts.clock.as_ref(),
        );
        let durable = pending.settle(settlement).map_err(unbookable)?;
        failpoint::pass("exchange.settling");
        let durable = durable.await.map_err(unbookable);
        failpoint::pass("exchange.settled");
        durable
    }

    fn reply(&self, content: Content) -> Reply {
        Reply {
            origin: Origin::Provider {
                deployment: Arc::clone(&self.prompt.deployment),
                attempts: self.choice.attempts(),
                cache: self.cache,
            },
            delivery: self.prompt.call.delivery,
            content,
        }
    }

    /// Offers a complete answer to the cache, which decides whether it is fit.
    fn store(self, measure: Measure) {
        let Some(StoreAs { key, trace }) = self.store_as else {
            return;
        };
        let entry = cache::Entry {
            key,
            endpoint: self.prompt.call.endpoint,
            provider: Arc::from(self.prompt.deployment.provider.name.as_str()),
            answer: Arc::new(measure.into_answer()),
            prompt_text: meter::last_user_text(&self.prompt, &self.settings.config.privacy),
            trace,
        };
        // A key is only carried here when the client's control lets the answer be stored.
        self.parts
            .cache
            .store(entry, &self.prompt.caller, Control::ALL);
    }
}

/// The client's end of a stream.
struct Client {
    channel: Option<mpsc::Sender<Chunk>>,
}

impl Client {
    /// Sends a chunk; a client that takes none for too long is given up, and its stream is cut, not ended.
    async fn send(&mut self, bytes: Bytes) {
        self.put(Chunk::Data(bytes)).await;
    }

    /// Sends the last chunk, and that it is the last.
    async fn end(&mut self, last: Bytes, end: Chunk) {
        self.put(Chunk::Data(last)).await;
        self.put(end).await;
    }

    async fn put(&mut self, chunk: Chunk) {
        let Some(channel) = &self.channel else {
            return;
        };
        let sent = match channel.try_send(chunk) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(chunk)) => {
                channel.send_timeout(chunk, CLIENT_STALL_MAX).await.is_ok()
            }
        };
        if !sent {
            self.channel = None;
        }
    }

    /// Waits until the client goes away.
    async fn gone(&self) {
        if let Some(channel) = &self.channel {
            channel.closed().await;
        }
    }

    fn is_gone(&self) -> bool {
        self.channel.as_ref().is_none_or(mpsc::Sender::is_closed)
    }
}

fn log_failure(prompt: &Prompt, error: &UpstreamError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::info!(
        request.id = %prompt.request,
        gen_ai.provider.name = prompt.deployment.provider.name,
        gen_ai.request.model = prompt.deployment.model,
        error.kind = error.kind().as_str(),
        error.cause = cause,
        "the provider failed"
    );
}
