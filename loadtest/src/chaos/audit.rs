//! Whether the books are right after a seed: the provider's, the events, the totals, the quotas, the export; where not, what is wrong.
//!
//! Each call of the provider is looked for in the events by the mark in its prompt, so that nothing lost hides behind something
//! doubled. What the provider said is compared to the last decimal; what had to be estimated, and what nobody knows because a
//! gateway was killed, is listed apart and must be explained by what was done.

mod calls;
mod explained;
mod export;
#[cfg(test)]
mod tests;
mod totals;

use anyhow::Context;
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::client::Seen;
use super::plan::NODES;
use crate::cluster::Node;
use crate::oracle::focus::Charge;
use crate::oracle::price::{self, Prices, Usd};
use crate::provider::books::Call;
use crate::store::{self, Event};

/// What is to be compared.
#[derive(Debug)]
pub struct Evidence {
    /// The provider's books.
    pub calls: Vec<Call>,
    /// What clients saw.
    pub seen: Vec<Seen>,
    /// By the index in a question.
    pub organizations: Vec<Uuid>,
    /// How often each gateway was killed, or its disk broke.
    pub losses: [u64; NODES],
    /// The FOCUS export, or why there is none.
    pub charges: anyhow::Result<Vec<Charge>>,
    pub(crate) events: Vec<Event>,
}

/// What was booked, by how it is known.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Account {
    /// Calls in the provider's books, refused ones included.
    pub provider_calls: u64,
    /// Calls booked exactly as the provider has them.
    pub exact: u64,
    /// Calls whose usage the provider did not come to say.
    pub estimated: Class,
    /// Calls that a gateway did not live to settle.
    pub unknown: Class,
    /// Intents of killed gateways that the provider never saw; they are among the unknown.
    pub unseen: u64,
    /// Requests that the cache answered.
    pub hits: u64,
    /// Of the answers from the cache those that a kill made unbooked; they cost nothing.
    pub hits_unbooked: u64,
    /// Events whose outcome is that nobody was asked.
    pub cancelled: u64,
    /// Rows of the FOCUS export.
    pub focus_rows: u64,
    /// Cost of the exact ones.
    #[serde(serialize_with = "shown")]
    pub cost_usd: Usd,
}

/// Calls of one class, as both sides have them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Class {
    /// Events.
    pub events: u64,
    /// Tokens that the provider charges for.
    pub provider_tokens: u64,
    /// Tokens that are booked.
    pub booked_tokens: u64,
}

/// Where everything stands.
#[derive(Debug, Default)]
pub struct Audit {
    /// What was booked.
    pub account: Account,
    /// What is wrong; nothing where the seed passed.
    pub findings: Vec<String>,
}

impl Evidence {
    /// Reads the events of the organizations, and lets a gateway export them.
    pub async fn read(
        (pool, node): (&PgPool, &Node),
        calls: Vec<Call>,
        seen: Vec<Seen>,
        organizations: &[Uuid],
        losses: [u64; NODES],
    ) -> anyhow::Result<Self> {
        let events = store::events(pool, organizations).await;
        let events = events.context("the events cannot be read")?;
        Ok(Self {
            charges: export::read(node, &events, organizations).await,
            events,
            organizations: organizations.to_owned(),
            calls,
            seen,
            losses,
        })
    }

    /// Whether a gateway may have lost what it was doing.
    fn had_losses(&self, node: usize) -> bool {
        self.losses.get(node).is_some_and(|losses| *losses > 0)
    }

    /// For people who look into a seed that failed.
    pub fn describe(&self) -> String {
        let lines = |title: &str, lines: Vec<String>| format!("{title}\n{}\n\n", lines.join("\n"));
        let calls = self.calls.iter().map(|call| format!("{call:?}"));
        let events = self.events.iter().map(|event| format!("{event:?}"));
        let seen = self.seen.iter().map(|seen| format!("{seen:?}"));
        let charges = self.charges.iter().flatten();
        let charges = charges.map(|charge| format!("{charge:?}"));
        lines("calls of the provider", calls.collect())
            + &lines("events", events.collect())
            + &lines("seen by clients", seen.collect())
            + &lines("FOCUS export", charges.collect())
    }
}

/// Compares everything.
pub async fn run(pool: &PgPool, prices: &Prices, evidence: &Evidence) -> anyhow::Result<Audit> {
    let mut audit = Audit::default();
    let charged = calls::check(evidence, prices, &mut audit)?;
    explained::check(evidence, &mut audit);
    export::check(evidence, &charged, &mut audit);
    totals::check(pool, evidence, &mut audit).await?;
    Ok(audit)
}

impl Audit {
    fn finding(&mut self, finding: String) {
        self.findings.push(finding);
    }

    /// Finds fault unless two sums are the same.
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, left: &T, right: &T) {
        if left != right {
            self.finding(format!("{what}: {left:?} is not {right:?}"));
        }
    }
}

impl Account {
    /// Adds another seed's.
    pub fn add(&mut self, other: &Self) {
        self.provider_calls += other.provider_calls;
        self.exact += other.exact;
        self.estimated.add(&other.estimated);
        self.unknown.add(&other.unknown);
        self.unseen += other.unseen;
        self.hits += other.hits;
        self.hits_unbooked += other.hits_unbooked;
        self.cancelled += other.cancelled;
        self.focus_rows += other.focus_rows;
        self.cost_usd += &other.cost_usd;
    }
}

impl Class {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.provider_tokens += other.provider_tokens;
        self.booked_tokens += other.booked_tokens;
    }
}

fn shown<S: serde::Serializer>(amount: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&price::display(amount))
}
