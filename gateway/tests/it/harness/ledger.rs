//! What the gateway booked, read with SQL of the tests' own.

use loadtest::oracle::price::{Usd, decimal};
use loadtest::provider::books::Call;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::eventually;

/// The database, as its administrator sees it.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(pub(crate) PgPool);

/// A row of `ai_requests`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) status: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) cache: String,
    pub(crate) source: String,
    pub(crate) tokens: Tokens,
    pub(crate) total_tokens: i64,
    pub(crate) cost: Usd,
    pub(crate) saved: Usd,
}

/// An `ai_request` row of `usage_events`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UsageEvent {
    pub(crate) request: String,
    pub(crate) outcome: String,
    pub(crate) source: String,
    pub(crate) quantity: i64,
    pub(crate) tokens: Tokens,
    pub(crate) cost: Usd,
    pub(crate) saved: Usd,
}

/// Tokens by class, as everybody counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tokens {
    pub(crate) input: i64,
    pub(crate) cache_read: i64,
    pub(crate) output: i64,
    pub(crate) reasoning: i64,
}

/// The sums of a set of books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) calls: i64,
    pub(crate) tokens: i64,
    pub(crate) cost: Usd,
}

impl Ledger {
    /// All requests, as they came.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        let rows = sqlx::query(
            "SELECT id::text, organization_id::text AS organization, status, provider, provider_model AS model
                  , cache_status AS cache, usage_source AS source, prompt_tokens AS input, cache_read_tokens AS cache_read
                  , completion_tokens AS output, reasoning_tokens AS reasoning, total_tokens
                  , cost_usd::text AS cost, saved_cost_usd::text AS saved
               FROM ai_requests
              ORDER BY created_at",
        );
        let rows = rows.fetch_all(&self.0).await.unwrap();
        rows.iter().map(Request::of).collect()
    }

    /// All usage events of requests, as they came.
    pub(crate) async fn usage_events(&self) -> Vec<UsageEvent> {
        let rows = sqlx::query(
            "SELECT request_id::text AS request, outcome, usage_source AS source, quantity, input_tokens AS input
                  , cache_read_tokens AS cache_read, output_tokens AS output, reasoning_tokens AS reasoning
                  , cost_usd::text AS cost, saved_cost_usd::text AS saved
               FROM usage_events
              WHERE event_type = 'ai_request'
              ORDER BY created_at",
        );
        let rows = rows.fetch_all(&self.0).await.unwrap();
        rows.iter().map(UsageEvent::of).collect()
    }

    /// Waits until so many requests are booked, and reads them.
    pub(crate) async fn booked(&self, requests: usize) -> Vec<Request> {
        let mut rows = Vec::new();
        eventually(&format!("{requests} requests are booked"), async || {
            rows = self.requests().await;
            assert!(rows.len() <= requests, "too many: {rows:#?}");
            rows.len() == requests
        })
        .await;
        rows
    }

    /// Asserts that every total is the sum of the events, to the last digit; and returns it.
    pub(crate) async fn balanced(&self) -> Sums {
        let events = self
            .sums(
                "SELECT count(*) FILTER (WHERE event_type = 'api_call') AS calls
                      , COALESCE(sum(quantity) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS tokens
                      , COALESCE(sum(cost_usd), 0)::text AS cost
                   FROM usage_events",
            )
            .await;
        let periods = self
            .sums(
                "SELECT COALESCE(sum(total_api_calls), 0)::bigint AS calls
                      , COALESCE(sum(total_ai_tokens), 0)::bigint AS tokens
                      , COALESCE(sum(total_cost_usd_exact), 0)::text AS cost
                   FROM billing_usage",
            )
            .await;
        let requests = self
            .sums(
                "SELECT count(*) AS calls
                      , COALESCE(sum(total_tokens), 0)::bigint AS tokens
                      , COALESCE(sum(cost_usd), 0)::text AS cost
                   FROM ai_requests",
            )
            .await;
        assert_eq!(periods, events, "billing_usage and usage_events");
        assert_eq!(requests, events, "ai_requests and usage_events");
        events
    }

    async fn sums(&self, sql: &'static str) -> Sums {
        let row = sqlx::query(sql).fetch_one(&self.0).await.unwrap();
        Sums {
            calls: row.get("calls"),
            tokens: row.get("tokens"),
            cost: usd(&row, "cost"),
        }
    }

    /// A number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.0).await.unwrap()
    }

    /// Waits until so many answers are in the cache: they are stored behind the client's back.
    pub(crate) async fn cached(&self, answers: i64) {
        eventually(&format!("{answers} answers are cached"), async || {
            self.count("SELECT count(*) FROM semantic_cache").await == answers
        })
        .await;
    }
}

impl Request {
    fn of(row: &PgRow) -> Self {
        Self {
            id: row.get("id"),
            organization: row.get("organization"),
            status: row.get("status"),
            provider: row.get("provider"),
            model: row.get("model"),
            cache: row.get("cache"),
            source: row.get("source"),
            tokens: Tokens::of(row),
            total_tokens: row.get("total_tokens"),
            cost: usd(row, "cost"),
            saved: usd(row, "saved"),
        }
    }
}

impl UsageEvent {
    fn of(row: &PgRow) -> Self {
        Self {
            request: row.get("request"),
            outcome: row.get("outcome"),
            source: row.get("source"),
            quantity: row.get("quantity"),
            tokens: Tokens::of(row),
            cost: usd(row, "cost"),
            saved: usd(row, "saved"),
        }
    }
}

impl Tokens {
    fn of(row: &PgRow) -> Self {
        Self {
            input: row.get("input"),
            cache_read: row.get("cache_read"),
            output: row.get("output"),
            reasoning: row.get("reasoning"),
        }
    }

    pub(crate) const fn total(self) -> i64 {
        self.input + self.output
    }
}

impl From<&Call> for Tokens {
    fn from(call: &Call) -> Self {
        let count = |tokens: u64| i64::try_from(tokens).unwrap();
        Self {
            input: count(call.input_tokens),
            cache_read: count(call.cache_read_tokens),
            output: count(call.output_tokens),
            reasoning: count(call.reasoning_tokens),
        }
    }
}

fn usd(row: &PgRow, column: &str) -> Usd {
    decimal(row.get(column)).unwrap()
}
