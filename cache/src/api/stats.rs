//! `GET /api/v1/cache`: what an organization has in the cache, and how often it was wrong.

use ::api::{Authorized, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ActingFor, Answers};
use crate::semantic::{lower_bound, upper_bound};
use crate::store::{self, Audited};

/// How sure the bounds are to be wrong, at most.
const ALPHA: f64 = 0.05;

/// What is in the cache, and how often it was wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct CacheReport {
    /// Entries that have not expired.
    #[schema(example = 1200)]
    pub entries: i64,
    /// Of them, those that can be found by meaning.
    #[schema(example = 1100)]
    pub semantic_entries: i64,
    /// Of them, those that are given to nobody, because somebody said that they are wrong.
    #[schema(example = 0)]
    pub quarantined: i64,
    /// How often these entries were given. Counted in batches, so it lags by seconds.
    #[schema(example = 5400)]
    pub hits: i64,
    /// What was found where answers by meaning were checked, by model.
    pub audits: Vec<AuditReport>,
}

/// Answers by meaning of one model that were checked against fresh ones.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditReport {
    /// The model.
    #[schema(example = "gemini/gemini-2.5-flash")]
    pub model: String,
    /// Would-be hits that the provider answered too.
    #[schema(example = 320)]
    pub audits: i64,
    /// Of them, those that would have been wrong.
    #[schema(example = 1)]
    pub wrong: i64,
    /// The share that was wrong; null before the first audit.
    #[schema(example = 0.003)]
    pub wrong_per_hit: Option<f64>,
    /// The bounds of that share, each with 95 % confidence (Clopper and Pearson).
    #[schema(example = 0.0002)]
    pub wrong_per_hit_lower95: f64,
    /// The upper bound.
    #[schema(example = 0.0148)]
    pub wrong_per_hit_upper95: f64,
    /// Answers that people said are wrong.
    #[schema(example = 0)]
    pub complaints: i64,
    /// Whether this gateway gives no answers by meaning for this model, because too many were wrong.
    #[schema(example = false)]
    pub closed: bool,
}

/// Report on the cache
///
/// What the organization has in it, how often that was given, and how often answers by meaning were wrong.
#[utoipa::path(
    get,
    path = "/api/v1/cache",
    tag = "Cache",
    params(ActingFor),
    responses((status = OK, description = "The report", body = CacheReport)),
)]
pub(crate) async fn report_cache(
    State(answers): State<Answers>,
    authorized: Authorized,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<CacheReport>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let now = answers.clock.now();
    let read = answers
        .database
        .tenant("cache: report", Bulkhead::Control, organization, |tx| {
            Box::pin(async move {
                let counts = store::counts(tx.connection(), organization, now).await?;
                Ok((counts, store::audited(tx.connection(), organization).await?))
            })
        });
    let read: Result<_, database::Error> = read.await;
    let (counts, audited) = read?;
    let realised = answers.cache.realised(organization);
    let is_closed = |model: &str| {
        realised
            .iter()
            .any(|(own, it)| **own == *model && it.closed)
    };
    Ok(Json(CacheReport {
        entries: counts.entries,
        semantic_entries: counts.semantic_entries,
        quarantined: counts.quarantined,
        hits: counts.hits,
        audits: audited
            .into_iter()
            .map(|audited| {
                let closed = is_closed(&audited.model);
                AuditReport::of(audited, closed)
            })
            .collect(),
    }))
}

impl AuditReport {
    fn of(audited: Audited, closed: bool) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let (wrong, audits) = (count(audited.wrong), count(audited.audits));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share is no more exact than this"
        )]
        let share = (audits > 0).then(|| wrong as f64 / audits as f64);
        Self {
            model: audited.model,
            audits: audited.audits,
            wrong: audited.wrong,
            wrong_per_hit: share,
            wrong_per_hit_lower95: lower_bound(wrong, audits, ALPHA),
            wrong_per_hit_upper95: upper_bound(wrong, audits, ALPHA),
            complaints: audited.complaints,
            closed,
        }
    }
}
