//! `Idempotency-Key` on AI calls: the same call sent twice is answered and billed once.
//!
//! Whoever comes first claims the key and runs the call; whoever comes meanwhile, at whichever gateway, waits for its
//! answer. A call that failed, or whose gateway died, gives its key free and runs anew when it is sent again.
//! Without the header none of this is touched.
//!
//! # What goes on without its client
//! A call with a key is one that will be asked for again, so it is answered to its end and kept although its client left,
//! within the limits for work that nobody waits for. A stream whose client left is finished and booked like any other, and
//! not kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use metering::idempotency::{Answer, BODY_BYTES_MAX, Calls, Claim, Claimed, RENEWAL};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use types::call::{Call, Delivery};
use types::id::{Organization, Request};
use types::{Caller, Id, Permission};

use crate::directions::Directions;
use crate::error::Error;
use crate::finish::{Finish, Presence};
use crate::pipeline::{Pipeline, require};
use crate::reply::{CHUNKS_BEHIND_MAX, Chunk, Content, Origin, Reply};

/// The header.
const HEADER: &str = "idempotency-key";
/// The longest key, in bytes; what `metering.idempotent_calls` holds.
const KEY_BYTES_MAX: usize = 255;
/// How long the answer of another request is waited for; SDKs then ask again.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often is looked whether it is there.
const POLL: Duration = Duration::from_millis(200);

/// The client's name for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

/// A call, and who asks it; boxed where it is passed on, because futures hold their arguments, and are moved.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) request: Id<Request>,
    pub(crate) caller: Caller,
    pub(crate) call: Call,
    pub(crate) directions: Directions,
}

/// A claim that is renewed as long as this is held.
struct Running {
    calls: Calls,
    organization: Id<Organization>,
    claim: Claim,
    _renewal: DropGuard,
}

impl Key {
    /// Reads the header.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let Some(value) = headers.get(HEADER) else {
            return Ok(None);
        };
        let key = value.to_str().ok().map(str::trim);
        let key = key.filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
        let key = key.ok_or_else(|| {
            let message =
                format!("Idempotency-Key must have 1 to {KEY_BYTES_MAX} visible characters");
            Error::invalid(message, None)
        })?;
        Ok(Some(Self(key.to_owned())))
    }
}

/// Answers a call with a key: as it was answered before, or now.
pub(crate) async fn answer(
    pipeline: &Arc<Pipeline>,
    key: Key,
    asking: Box<Asking>,
) -> Result<Reply, Error> {
    require(&asking.caller, Permission::AiInvoke)?;
    let claim = Claim {
        key: key.0,
        request_hash: hash(&asking.call),
        request: asking.request,
    };
    let organization = asking.caller.organization;
    let until = Instant::now() + WAIT_MAX;
    loop {
        let claimed = pipeline.calls.claim(organization, &claim).await;
        match claimed.map_err(|error| unavailable(&error))? {
            Claimed::Mine => return run(pipeline, claim, asking).await,
            Claimed::Answered(answer) => return replayed(pipeline, &asking, answer),
            Claimed::OtherCall => return Err(Error::IdempotencyMismatch),
            Claimed::Running if Instant::now() >= until => {
                return Err(Error::Unavailable {
                    reason: "the same call is still being answered",
                });
            }
            Claimed::Running => sleep(POLL).await,
        }
    }
}

/// Runs the call to its end, whether or not the client stays.
async fn run(pipeline: &Arc<Pipeline>, claim: Claim, asking: Box<Asking>) -> Result<Reply, Error> {
    let running = Running::start(pipeline, asking.caller.organization, claim);
    let work = answer_and_keep(Arc::clone(pipeline), running, asking);
    let leftovers = pipeline.leftovers(&pipeline.settings.load());
    Finish::new(leftovers, Presence::default(), work).await
}

async fn answer_and_keep(
    pipeline: Arc<Pipeline>,
    running: Running,
    asking: Box<Asking>,
) -> Result<Reply, Error> {
    let reply = match pipeline.answer_anew(asking).await {
        Ok(reply) => reply,
        Err(error) => {
            running.release().await;
            return Err(error);
        }
    };
    let content = match reply.content {
        Content::Stream(events) => {
            let (channel, kept) = mpsc::channel(CHUNKS_BEHIND_MAX);
            let keeping = keep_stream(running, reply.origin.clone(), events, channel);
            pipeline.tasks.spawn(keeping);
            Content::Stream(kept)
        }
        Content::Whole(body) => {
            running.keep(&reply.origin, false, body.clone()).await;
            Content::Whole(body)
        }
        Content::Replayed(body) => {
            running.keep(&reply.origin, true, body.clone()).await;
            Content::Replayed(body)
        }
    };
    Ok(Reply { content, ..reply })
}

/// Passes a stream on, and keeps it once it has come to its end.
async fn keep_stream(
    running: Running,
    origin: Origin,
    mut events: mpsc::Receiver<Chunk>,
    channel: mpsc::Sender<Chunk>,
) {
    let mut body = BytesMut::new();
    loop {
        let chunk = tokio::select! {
            chunk = events.recv() => chunk,
            // Dropping the events tells the exchange that its client left.
            () = channel.closed() => None,
        };
        match chunk {
            Some(Chunk::Data(bytes)) => {
                // A byte more than is kept says that it is too long.
                let room = (BODY_BYTES_MAX + 1).saturating_sub(body.len());
                body.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
                let _ = channel.send(Chunk::Data(bytes)).await;
            }
            Some(Chunk::End) => {
                running.keep(&origin, true, body.freeze()).await;
                let _ = channel.send(Chunk::End).await;
                return;
            }
            Some(Chunk::Failed) => {
                running.release().await;
                let _ = channel.send(Chunk::Failed).await;
                return;
            }
            None => return running.release().await,
        }
    }
}

/// What was answered before; it books nothing, but counts for the key's rate.
fn replayed(pipeline: &Pipeline, asking: &Asking, answer: Answer) -> Result<Reply, Error> {
    let _admission = pipeline.settings.load().limits.admit(&asking.caller)?;
    metrics::counter!("flowpilot_idempotent_replays_total").increment(1);
    Ok(Reply {
        origin: Origin::Kept {
            provider: answer.provider.into(),
            model: answer.model.into(),
        },
        delivery: asking.call.delivery,
        content: if answer.is_stream {
            Content::Replayed(answer.body)
        } else {
            Content::Whole(answer.body)
        },
    })
}

impl Running {
    fn start(pipeline: &Pipeline, organization: Id<Organization>, claim: Claim) -> Self {
        let stop = CancellationToken::new();
        let renewing = Box::pin(renew(pipeline.calls.clone(), organization, claim.clone()));
        let stopped = stop.clone();
        pipeline
            .tasks
            .spawn(async move { stopped.run_until_cancelled(renewing).await });
        Self {
            calls: pipeline.calls.clone(),
            organization,
            claim,
            _renewal: stop.drop_guard(),
        }
    }

    /// Keeps the answer before its end goes out, so that whoever has it finds it again.
    async fn keep(&self, origin: &Origin, is_stream: bool, body: Bytes) {
        if body.len() > BODY_BYTES_MAX {
            metrics::counter!("flowpilot_idempotent_answers_too_long_total").increment(1);
            return self.release().await;
        }
        let answer = Answer {
            is_stream,
            provider: origin.provider().to_owned(),
            model: origin.model().to_owned(),
            body,
        };
        let kept = self.calls.keep(self.organization, &self.claim, &answer);
        if let Err(error) = kept.await {
            metrics::counter!("flowpilot_idempotent_answers_lost_total").increment(1);
            tracing::warn!(
                request.id = %self.claim.request,
                error = &error as &dyn std::error::Error,
                "an answer could not be kept; if the call is sent again, it runs and is billed anew"
            );
        }
    }

    async fn release(&self) {
        let released = self.calls.release(self.organization, &self.claim);
        if let Err(error) = released.await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a key could not be given free; its claim runs out"
            );
        }
    }
}

async fn renew(calls: Calls, organization: Id<Organization>, claim: Claim) {
    loop {
        sleep(RENEWAL).await;
        if let Ok(false) = calls.renew(organization, &claim).await {
            return;
        }
    }
}

/// Everything that makes the call, and nothing that only says how to treat it.
fn hash(call: &Call) -> String {
    let delivery = match call.delivery {
        Delivery::Whole => "whole",
        Delivery::Stream { .. } => "stream",
        Delivery::Array => "array",
    };
    let mut digest = Sha256::new();
    for word in [
        call.dialect.as_str(),
        call.endpoint.as_str(),
        &call.model,
        delivery,
    ] {
        digest.update(word);
        digest.update([0]);
    }
    digest.update(&call.body);
    hex::encode(digest.finalize())
}

fn unavailable(error: &database::Error) -> Error {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "an idempotency key could not be claimed"
    );
    Error::Unavailable {
        reason: "the Idempotency-Key cannot be checked",
    }
}
