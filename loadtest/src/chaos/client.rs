//! The clients of a run: they ask, leave, try the other gateway when one is away, and remember what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use http::{Method, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::plan::{NODES, Plan};
use super::question::Question;
use super::tenants::Tenants;
use crate::client::Connection;
use crate::loopback::Target;

/// A client whose gateway is away tries the other after this.
const RETRY: Duration = Duration::from_millis(10);
/// A client that was refused for something that passes, or whose gateway went away, asks on after this.
const REFUSED_PAUSE: Duration = Duration::from_millis(150);
/// So often a question is asked again.
const ATTEMPTS_MAX: u32 = 20;
/// No provider of a run takes a second. Whoever waits so long waits for ever, which is a finding.
const ANSWER_MAX: Duration = Duration::from_mins(1);
/// Answers of which some are asked for again, for the cache.
const AGAIN_PERCENT: f64 = 0.15;

/// What the clients of a run share.
#[derive(Debug)]
pub struct Clients {
    plan: Plan,
    tenants: Tenants,
    targets: Vec<Target>,
    numbers: AtomicU64,
    sent: AtomicU64,
    seen: Mutex<Vec<Seen>>,
}

/// A request, and what its client saw of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was asked.
    pub question: Question,
    /// The index of the gateway.
    pub node: usize,
    /// As the gateway calls it; none where it did not come to say so.
    pub request: Option<Uuid>,
    /// How it ended for the client.
    pub ending: Ending,
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Whole and right.
    Answered,
    /// The same, from the cache.
    Hit,
    /// With an error status.
    Refused(u16),
    /// It broke off, or ended in an error event.
    Broken,
    /// The client left.
    Left,
}

impl Clients {
    /// Nobody has asked anything yet.
    pub fn new(plan: Plan, tenants: Tenants, targets: Vec<Target>) -> Self {
        Self {
            plan,
            tenants,
            targets,
            numbers: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }

    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Everything seen.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// One client, until all has been asked.
    pub async fn run(self: Arc<Self>, number: u64) -> anyhow::Result<()> {
        let mut random = self.plan.client(number);
        loop {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            if number >= self.plan.requests {
                return Ok(());
            }
            let question = Question::draw(
                (self.plan.seed, number),
                (self.tenants.count(), Tenants::KEYS),
                |tenant| self.tenants.is_unlimited(tenant),
                &mut random,
            );
            let ending = self.ask_until_heard(&question, &mut random).await?;
            if ending == Ending::Answered && random.random_bool(AGAIN_PERCENT) {
                self.ask(&question, &mut random).await?;
            }
        }
    }

    /// Asks again, as SDKs do, what was refused for something that passes; otherwise a run would be over while a gateway is away.
    async fn ask_until_heard(
        &self,
        question: &Question,
        random: &mut StdRng,
    ) -> anyhow::Result<Ending> {
        let mut ending = self.ask(question, random).await?;
        for _ in 0..ATTEMPTS_MAX {
            let passes = question.fault.is_none() && ending == Ending::Refused(503);
            if !passes && ending != Ending::Broken {
                break;
            }
            sleep(REFUSED_PAUSE).await;
            if !passes {
                break;
            }
            ending = self.ask(question, random).await?;
        }
        Ok(ending)
    }

    async fn ask(&self, question: &Question, random: &mut StdRng) -> anyhow::Result<Ending> {
        let key = self.tenants.key(question.tenant, question.key);
        let mut node = random.random_range(0..NODES);
        let mut connection = loop {
            let target = self.targets.get(node).context("no such gateway")?;
            match Connection::open(target, Some(key)).await {
                Ok(connection) => break connection,
                Err(_) => sleep(RETRY).await,
            }
            node = (node + 1) % NODES;
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        let exchange = exchange(&mut connection, question);
        let Ok(exchanged) = timeout(ANSWER_MAX, exchange).await else {
            bail!(
                "question {} was not answered within {ANSWER_MAX:?}",
                question.mark
            );
        };
        let (request, ending) = exchanged?;
        self.seen.lock().push(Seen {
            question: question.clone(),
            node,
            request,
            ending,
        });
        Ok(ending)
    }
}

/// Only an answer that is another question's is an error.
async fn exchange(
    connection: &mut Connection,
    question: &Question,
) -> anyhow::Result<(Option<Uuid>, Ending)> {
    let path = "/v1/chat/completions";
    let sending = connection.send(Method::POST, path, question.body.clone());
    let patience = match question.leaves_after {
        Some(millis) if !question.stream => Duration::from_millis(millis),
        _ => ANSWER_MAX,
    };
    let Ok(sent) = timeout(patience, sending).await else {
        return Ok((None, Ending::Left));
    };
    let Ok(response) = sent else {
        return Ok((None, Ending::Broken));
    };
    let request = header(&response, "x-request-id").and_then(|id| id.parse().ok());
    if !response.status().is_success() {
        let status = response.status().as_u16();
        return Ok((request, Ending::Refused(status)));
    }
    let is_hit = header(&response, "x-flowpilot-cache") == Some("exact");
    let frames_max = question.leaves_after.filter(|_| question.stream);
    let (answer, ending) = read(response.into_body(), frames_max).await;
    let ending = match ending {
        None if !question.is_answered_by(&answer)? => Ending::Broken,
        None if is_hit => Ending::Hit,
        None => Ending::Answered,
        Some(ending) => ending,
    };
    Ok((request, ending))
}

/// Reads an answer to its end, or leaves after so many pieces.
async fn read(mut body: Incoming, frames_max: Option<u64>) -> (Vec<u8>, Option<Ending>) {
    let mut answer = Vec::new();
    let mut frames = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (answer, Some(Ending::Broken));
        };
        if let Some(data) = frame.data_ref() {
            answer.extend_from_slice(data);
        }
        frames += 1;
        if frames_max.is_some_and(|most| frames > most) {
            return (answer, Some(Ending::Left));
        }
    }
    (answer, None)
}

fn header<'r>(response: &'r Response<Incoming>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}
