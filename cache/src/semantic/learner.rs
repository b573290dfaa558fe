//! Learns from fresh answers, one after the other and in the background: nobody waits for it.
//!
//! A fresh answer is compared with those of the nearest questions. That says which class of answers it belongs to,
//! whether what would have been given was right, and which classes are one. Then the question joins its partition
//! and its row goes to the writer. Lessons that are lost, with the process or because too many wait, cost hits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use database::Bulkhead;
use embedding::Vector;
use metrics::counter;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use types::id::{CacheAnswer, CacheEntry, Organization};
use types::{Clock, Id};

use super::calibration::Label;
use super::discriminant::Discriminant;
use super::equality::{self, Wording};
use super::shard::{Comparison, Member};
use super::shards::{Partition, Slot};
use super::tier::{self, Scope, Tier};
use super::trace::Trace;
use crate::entry::{Meaning, Row};
use crate::store::AuditRow;
use crate::{metric, store};

/// How long one text may take to be embedded when nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far back a refresh looks, because rows are written a moment after their ids are made.
const OVERLAP: Duration = Duration::from_secs(10);

/// Something to do in the background.
#[derive(Debug)]
pub(crate) enum Lesson {
    /// A partition is needed, or may have grown elsewhere.
    Load(Partition),
    /// A fresh answer.
    Answer(Box<Fresh>),
    /// Somebody waits until everything before it is done.
    Settle(oneshot::Sender<()>),
}

/// A fresh answer to a question that was looked up by meaning.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) row: Row,
    pub(crate) trace: Trace,
    pub(crate) delta: f64,
}

/// The task.
#[derive(Debug)]
pub(crate) struct Learner {
    pub(crate) tier: Arc<Tier>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) writer: mpsc::Sender<Row>,
    /// When each loaded partition was read last.
    pub(crate) read_at: HashMap<Partition, DateTime<Utc>>,
}

impl Learner {
    /// Works until stopped.
    pub(crate) async fn run(
        mut self,
        mut lessons: mpsc::Receiver<Lesson>,
        stop: CancellationToken,
    ) {
        loop {
            let lesson = tokio::select! {
                lesson = lessons.recv() => lesson,
                () = stop.cancelled() => return,
            };
            match lesson {
                None => return,
                Some(Lesson::Load(partition)) => self.load(partition).await,
                Some(Lesson::Answer(fresh)) => self.learn(*fresh).await,
                Some(Lesson::Settle(done)) => {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn load(&mut self, partition: Partition) {
        let slot = self.tier.shards.slot(partition);
        if !slot.is_loaded() {
            self.read_at.remove(&partition);
        }
        let since = self.read_at.get(&partition).map(|at| *at - OVERLAP);
        let Some(embedder) = self.tier.embedder.id() else {
            return;
        };
        let count_max = i64::try_from(self.tier.shard_questions_max).unwrap_or(i64::MAX);
        let (now, embedder) = (self.clock.now(), &*embedder);
        let read = self.tier.database.tenant(
            "cache: load questions",
            Bulkhead::Workers,
            partition.organization,
            |tx| {
                Box::pin(async move {
                    store::questions(
                        tx.connection(),
                        partition,
                        embedder,
                        since,
                        count_max.saturating_add(1),
                    )
                    .await
                })
            },
        );
        let read: Result<_, database::Error> = read.await;
        match read {
            Ok(rows) => {
                let full = rows.len() > self.tier.shard_questions_max;
                tier::fill(&slot, rows, self.tier.shard_questions_max);
                slot.set_loaded(full || slot.is_partial());
                self.read_at.insert(partition, now);
                self.read_at
                    .retain(|_, at| now - *at < chrono::TimeDelta::hours(1));
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "the questions of a partition could not be loaded; they count as misses"
                );
            }
        }
        self.compute(&slot).await;
    }

    async fn learn(&mut self, fresh: Fresh) {
        let Fresh {
            mut row,
            trace,
            delta,
        } = fresh;
        let partition = Partition::of(&trace.question);
        let slot = self.tier.shards.slot(partition);
        if !slot.is_loaded() {
            self.load(partition).await;
        }
        let (Some(vector), Some(embedder)) = (trace.vector.clone(), self.tier.embedder.id()) else {
            return self.write(row).await;
        };
        let wording = Arc::new(self.wording(row.stored.answer.first_text()).await);
        let now = self.clock.now();
        let comparison = slot.shard.write().compare(&vector, &wording, now);
        let answer = comparison.answer.unwrap_or_else(|| Id::new(&*self.clock));
        self.judge(&slot, &trace, (answer, &wording), delta).await;

        let member = Member {
            id: row.stored.id,
            hash: row.key.hash(),
            answer,
            sketch: trace.question.sketch.clone(),
            wording: Arc::clone(&wording),
            expires_at: row.stored.expires_at,
        };
        self.insert(&slot, &vector, member);
        row.meaning = Some(Meaning {
            embedder,
            vector,
            answer,
            answer_vector: wording.vector().cloned(),
        });
        let organization = row.stored.organization;
        self.write(row).await;
        self.join(organization, &comparison).await;
        self.compute(&slot).await;
    }

    fn insert(&self, slot: &Slot, vector: &Vector, member: Member) {
        let mut shard = slot.shard.write();
        if shard.len() >= self.tier.shard_questions_max {
            // From here on the index answers for this partition.
            slot.set_loaded(true);
            return;
        }
        shard.insert(vector, member);
        slot.note_size(shard.len());
    }

    /// Was right what would have been given?
    async fn judge(
        &self,
        slot: &Slot,
        trace: &Trace,
        (answer, wording): (Id<CacheAnswer>, &Wording),
        delta: f64,
    ) {
        let Some(verdict) = trace
            .verdict
            .as_ref()
            .filter(|verdict| verdict.obstacle.is_none())
        else {
            return;
        };
        let right = slot.shard.write().is_same_answer(verdict.answer, answer);
        // An answer that cannot be compared says nothing against the other one.
        if !right && wording.vector().is_none() {
            return;
        }
        let scope = Scope::of(&trace.question);
        let label = Label {
            score: verdict.score,
            right: right != trace.turned,
            audit: trace.audited,
        };
        self.tier.note(&scope, label, delta);
        if trace.audited {
            self.record(&scope, verdict.entry, label).await;
        }
    }

    async fn record(&self, scope: &Scope, entry: Id<CacheEntry>, label: Label) {
        let audit = AuditRow {
            id: Id::<CacheEntry>::new(&*self.clock).uuid(),
            organization: scope.organization,
            model: scope.model.to_string(),
            entry,
            score: label.score,
            right: label.right,
            source: "audit",
            created_at: self.clock.now(),
        };
        let audit = &audit;
        let insert = self.tier.database.tenant(
            "cache: note audit",
            Bulkhead::Workers,
            scope.organization,
            |tx| Box::pin(async move { store::insert_audit(tx.connection(), audit).await }),
        );
        let insert: Result<(), database::Error> = insert.await;
        if let Err(error) = insert {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                "an audit of the cache could not be stored; it counts until the process ends"
            );
        }
    }

    /// The rows of joined classes, as far as they are written; a row that is still waiting keeps its own class, which
    /// costs hits after a restart and nothing else.
    async fn join(&self, organization: Id<Organization>, comparison: &Comparison) {
        let (Some(answer), false) = (comparison.answer, comparison.joined.is_empty()) else {
            return;
        };
        let joined = comparison.joined.as_slice();
        let update = self.tier.database.tenant(
            "cache: join answers",
            Bulkhead::Workers,
            organization,
            |tx| {
                Box::pin(async move {
                    store::join_answers(tx.connection(), organization, answer, joined).await
                })
            },
        );
        let update: Result<(), database::Error> = update.await;
        if let Err(error) = update {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                "equal answers of the cache could not be joined in the database"
            );
        }
    }

    /// The answer's wording with its direction; without one where it is too long or there is no embedder.
    async fn wording(&self, text: &str) -> Wording {
        let mut vectors = Vec::new();
        for piece in equality::pieces(text).unwrap_or_default() {
            match self.tier.embedder.embed_within(&piece, PATIENCE).await {
                Ok(vector) => vectors.push(vector),
                Err(_) => return Wording::of(text, None),
            }
        }
        Wording::of(text, equality::together(&vectors))
    }

    /// A new discriminant, when the partition has grown enough for one.
    async fn compute(&self, slot: &Slot) {
        let due = slot.shard.write().due();
        let Some((sums, dimensions)) = due else {
            return;
        };
        let computed =
            tokio::task::spawn_blocking(move || Discriminant::of(&sums, dimensions)).await;
        slot.shard.write().set_discriminant(computed.ok().flatten());
    }

    async fn write(&self, row: Row) {
        if self.writer.send(row).await.is_err() {
            counter!(metric::STORES, "outcome" => "dropped").increment(1);
        }
    }
}
