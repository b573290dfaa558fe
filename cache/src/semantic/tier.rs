//! The semantic tier on the path of a request: embed, search, decide.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database};
use embedding::{Embedder, Vector};
use metrics::counter;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use types::Id;
use types::id::Organization;

use super::calibration::{Calibration, Label, Realised};
use super::dice::Dice;
use super::equality::Wording;
use super::learner::Lesson;
use super::question::Question;
use super::shard::{Member, Shard, Verdict};
use super::shards::{Partition, Shards, Slot};
use super::trace::Trace;
use crate::fault::Fault;
use crate::store::QuestionRow;
use crate::text::{Lexicon, Sketch};
use crate::{metric, store};

/// Scopes whose calibration is remembered; one more starts without labels, and so with the shipped cut.
const SCOPES_MAX: usize = 10_000;

/// Reworded questions are audited less: every word of them is accounted for.
const REWORDED_AUDIT_FACTOR: f64 = 0.1;

/// What the request path and the learner share.
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) database: Database,
    pub(crate) embedder: Embedder,
    pub(crate) shards: Shards,
    pub(crate) shard_questions_max: usize,
    pub(crate) lessons: mpsc::Sender<Lesson>,
    pub(crate) dice: Dice,
    calibrations: Mutex<HashMap<Scope, Calibration>>,
    lexicon: RwLock<Option<Lexicon>>,
    fault: Fault,
}

/// What a promise is kept for: an organization's questions to one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) organization: Id<Organization>,
    pub(crate) model: Arc<str>,
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Promise {
    /// Wrong answers per hit, at most.
    pub(crate) delta: f64,
    /// Whether nothing is given before labels have proven it.
    pub(crate) proven_only: bool,
}

/// What comes of a look-up by meaning.
#[derive(Debug)]
pub(crate) enum Found {
    /// This entry's answer may be given.
    Entry(Box<Verdict>),
    Nothing,
}

impl Tier {
    pub(crate) fn new(
        database: Database,
        embedder: Embedder,
        options: &crate::Options,
        lessons: mpsc::Sender<Lesson>,
        seed: u64,
    ) -> Self {
        Self {
            database,
            embedder,
            shards: Shards::new(options.semantic_questions_max),
            shard_questions_max: options.shard_questions_max,
            lessons,
            dice: Dice::new(seed),
            calibrations: Mutex::default(),
            lexicon: RwLock::default(),
            fault: Fault::default(),
        }
    }

    /// Looks a question up and notes in the trace what was found.
    ///
    /// May be dropped at any time. Whatever is missing, an embedder, a loaded partition, the database, is a miss.
    pub(crate) async fn look_up(
        &self,
        trace: &mut Trace,
        promise: Promise,
        limit: Duration,
        now: DateTime<Utc>,
    ) -> Found {
        let Ok(vector) = self.embedder.embed(&trace.question.plain).await else {
            return missed("no_vector");
        };
        trace.vector = Some(vector.clone());
        let partition = Partition::of(&trace.question);
        let slot = self.shards.slot(partition);
        if !slot.is_loaded() {
            self.ask_for(partition);
            return missed("loading");
        }
        if slot.is_stale(Instant::now()) {
            self.ask_for(partition);
        }
        trace.verdict = if slot.is_partial() {
            self.decide_by_index(partition, &trace.question, &vector, (limit, now))
                .await
        } else {
            let lexicon = self.lexicon();
            slot.shard
                .read()
                .decide(&vector, &trace.question.sketch, &lexicon, now)
        };
        self.decide(trace, promise)
    }

    fn decide(&self, trace: &mut Trace, promise: Promise) -> Found {
        let Some(verdict) = &trace.verdict else {
            return missed("alone");
        };
        // What is true today only may be said again in other words, but not be concluded from what is like it.
        if trace.question.passing && !verdict.is_reworded() {
            return missed("passing");
        }
        if let Some(obstacle) = verdict.obstacle {
            return missed(obstacle.as_str());
        }
        let (cut, share) = self.with_calibration(&Scope::of(&trace.question), |calibration| {
            (
                calibration.cut(promise.delta, promise.proven_only),
                calibration.audit_share(),
            )
        });
        if cut.is_none_or(|cut| verdict.score < cut) {
            return missed(if cut.is_none() { "closed" } else { "low" });
        }
        let share = if verdict.is_reworded() {
            share * REWORDED_AUDIT_FACTOR
        } else {
            share
        };
        trace.audited = self.dice.comes_up(share);
        if trace.audited {
            return missed("audit");
        }
        counter!(metric::LOOKUPS, "tier" => "semantic", "outcome" => "hit").increment(1);
        Found::Entry(Box::new(verdict.clone()))
    }

    /// For a partition that does not fit into memory: its nearest questions, by the index.
    async fn decide_by_index(
        &self,
        partition: Partition,
        question: &Question,
        vector: &Vector,
        (limit, now): (Duration, DateTime<Utc>),
    ) -> Option<Verdict> {
        if self.fault.is_paused(Instant::now()) {
            return None;
        }
        let embedder = self.embedder.id()?;
        let (embedder, searched) = (&*embedder, vector);
        let read = self.database.tenant(
            "cache: nearest",
            Bulkhead::Hot,
            partition.organization,
            |tx| {
                Box::pin(async move {
                    store::nearest(tx.connection(), partition, embedder, searched, now).await
                })
            },
        );
        let read: Result<Result<_, database::Error>, _> = tokio::time::timeout(limit, read).await;
        let Ok(Ok(rows)) = read else {
            self.fault.begin(Instant::now());
            return None;
        };
        self.fault.end();
        let mut shard = Shard::default();
        for row in rows {
            insert(&mut shard, row);
        }
        shard.decide(vector, &question.sketch, &self.lexicon(), now)
    }

    /// Asks for a partition to be loaded or refreshed; when the learner is busy, a later look-up asks again.
    fn ask_for(&self, partition: Partition) {
        let _ = self.lessons.try_send(Lesson::Load(partition));
    }

    /// Runs over what is known of a scope.
    pub(crate) fn with_calibration<T>(
        &self,
        scope: &Scope,
        run: impl FnOnce(&mut Calibration) -> T,
    ) -> T {
        let mut calibrations = self.calibrations.lock();
        if calibrations.len() >= SCOPES_MAX && !calibrations.contains_key(scope) {
            return run(&mut Calibration::default());
        }
        run(calibrations.entry(scope.clone()).or_default())
    }

    /// Notes a label; a breach is told to people.
    pub(crate) fn note(&self, scope: &Scope, label: Label, delta: f64) {
        let outcome = if label.right { "right" } else { "wrong" };
        if label.audit {
            counter!(metric::AUDITS, "outcome" => outcome).increment(1);
        }
        if self.with_calibration(scope, |calibration| calibration.add(label, delta)) {
            counter!(metric::BREACHES).increment(1);
            tracing::error!(
                organization = %scope.organization,
                model = %scope.model,
                delta,
                "more answers of the semantic cache were wrong than promised; the tier is closed for this organization and model until fresh labels speak for it"
            );
        }
    }

    /// What the audits of an organization say, by model.
    pub(crate) fn realised(&self, organization: Id<Organization>) -> Vec<(Arc<str>, Realised)> {
        let calibrations = self.calibrations.lock();
        let own = calibrations
            .iter()
            .filter(|(scope, _)| scope.organization == organization);
        own.map(|(scope, calibration)| (Arc::clone(&scope.model), calibration.realised()))
            .collect()
    }

    fn lexicon(&self) -> Lexicon {
        if let Some(lexicon) = &*self.lexicon.read() {
            return lexicon.clone();
        }
        let Some(words) = self.embedder.words() else {
            return Lexicon::default();
        };
        let lexicon = Lexicon::new(Some(words));
        *self.lexicon.write() = Some(lexicon.clone());
        lexicon
    }
}

impl Scope {
    pub(crate) fn of(question: &Question) -> Self {
        Self {
            organization: question.key.organization(),
            model: question.key.model().into(),
        }
    }
}

impl Partition {
    pub(crate) const fn of(question: &Question) -> Self {
        Self {
            organization: question.key.organization(),
            fingerprint: question.key.fingerprint(),
        }
    }
}

/// Adds a row of the table to a shard.
pub(crate) fn insert(shard: &mut Shard, row: QuestionRow) {
    let wording = Arc::new(Wording::of(&row.response, row.answer_vector));
    let member = Member {
        id: row.id,
        hash: row.hash,
        answer: row.answer,
        sketch: Sketch::of(&row.text),
        wording,
        expires_at: row.expires_at,
    };
    shard.insert(&row.vector, member);
}

/// Fills an empty slot, or adds to a full one what others have stored.
pub(crate) fn fill(slot: &Slot, rows: Vec<QuestionRow>, questions_max: usize) {
    let mut shard = slot.shard.write();
    // The latest come first from the table; in the shard the older ones do.
    for row in rows.into_iter().rev() {
        if shard.len() < questions_max && !shard.has(row.id) {
            insert(&mut shard, row);
        }
    }
    slot.note_size(shard.len());
}

fn missed(why: &'static str) -> Found {
    counter!(metric::LOOKUPS, "tier" => "semantic", "outcome" => why).increment(1);
    Found::Nothing
}
