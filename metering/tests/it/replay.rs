//! Any pieces of a journal, shipped in any order and however often, book what the whole of it books once.

use std::path::Path;

use database::testing::TestDatabase;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rust_decimal::Decimal;
use sqlx::{PgPool, Row};
use tempfile::TempDir;
use types::id::Organization;
use types::{Id, SystemClock, Usage};

use crate::node::{self, NEVER, Node, Settings, caller, usd};

/// Each starts a few gateways.
const CASES: u32 = 6;

/// What an answer from the cache saves, in dollars.
const SAVED: &str = "0.000321";

/// As [`node::intent`] has it.
const ESTIMATED_INPUT: i64 = 100;

/// What somebody does.
#[derive(Debug, Clone)]
enum Act {
    Complete(Usage),
    Hit,
    /// Let go after its intent: what the provider made of it nobody knows, and its input is booked.
    Abandon,
}

/// A life of a gateway that ships the journal as it was after so many acts, from so many on, in batches of so many rows.
#[derive(Debug, Clone)]
struct Life {
    until: prop::sample::Index,
    from: prop::sample::Index,
    rows_max: usize,
}

/// Everything in the books of one organization.
#[derive(Debug, Default, PartialEq, Eq)]
struct Books {
    requests: i64,
    events: i64,
    calls: i64,
    tokens: i64,
    cost: Decimal,
    saved: Decimal,
}

/// The last one completes, so that all are written.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let usage =
        (0_u64..5_000, 0_u64..5_000, 0_u64..5_000).prop_map(|(text, cached, output)| Usage {
            input_tokens: text + cached,
            cache_read_tokens: cached,
            output_tokens: output,
            ..Usage::default()
        });
    let act = prop_oneof![
        4 => usage.clone().prop_map(Act::Complete),
        2 => Just(Act::Hit),
        1 => Just(Act::Abandon),
    ];
    let acts = (
        prop::collection::vec(act, 0..12),
        usage.prop_map(Act::Complete),
    );
    acts.prop_map(|(mut acts, last)| {
        acts.push(last);
        acts
    })
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let life = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        1_usize..20,
    );
    let life = life.prop_map(|(until, from, rows_max)| Life {
        until,
        from,
        rows_max,
    });
    prop::collection::vec(life, 1..4)
}

/// What a clerk writes down: 1.25, 0.125 and 10 dollars for a million are so many millionths of a millionth for one.
fn expected(acts: &[Act]) -> Books {
    let (mut books, mut pico) = (Books::default(), 0_i128);
    for act in acts {
        books.requests += 1;
        books.calls += 1;
        books.events += 2;
        match act {
            Act::Complete(usage) => {
                let uncached = usage.input_tokens - usage.cache_read_tokens;
                pico += i128::from(uncached) * 1_250_000;
                pico += i128::from(usage.cache_read_tokens) * 125_000;
                pico += i128::from(usage.output_tokens) * 10_000_000;
                books.tokens += i64::try_from(usage.input_tokens + usage.output_tokens).unwrap();
            }
            Act::Hit => books.saved += SAVED.parse::<Decimal>().unwrap(),
            Act::Abandon => {
                pico += i128::from(ESTIMATED_INPUT) * 1_250_000;
                books.tokens += ESTIMATED_INPUT;
            }
        }
    }
    books.cost = Decimal::from_i128_with_scale(pico, 12);
    books
}

/// The journal when each of the completed acts had been written, nothing shipped; what does not wait for the disk is written
/// with the next one that does.
fn pieces(database: &TestDatabase, organization: Id<Organization>, acts: &[Act]) -> Vec<TempDir> {
    let journal = tempfile::tempdir().unwrap();
    let unshipped = Settings {
        ship_interval: NEVER,
        ..Settings::default()
    };
    let node = Node::start(database, journal.path(), unshipped);
    let mut pieces = Vec::new();
    for act in acts.iter().cloned() {
        let metering = node.metering.clone();
        let is_written = matches!(act, Act::Complete(_));
        node.run(async move {
            let caller = caller(organization);
            match act {
                Act::Complete(usage) => node::complete(&metering, caller, usage).await,
                Act::Hit => node::hit(&metering, caller, usd(SAVED)).await,
                Act::Abandon => {
                    let held = node::hold(&metering, caller).await;
                    let intent = node::intent(&metering, caller);
                    drop(metering.journal().intend(intent, held).await.unwrap());
                }
            }
        });
        if is_written {
            pieces.push(node::copy_of(journal.path()));
        }
    }
    drop(node.kill(journal.path()));
    pieces
}

/// Ships a piece from where another ends, all before which is booked; or from its beginning.
fn live(database: &TestDatabase, piece: &Path, from: Option<&Path>, rows_max: usize) {
    let journal = node::copy_of(piece);
    if let Some(from) = from {
        let position = length(from);
        let watermark = format!("{position:020} {position:020}\n");
        fs_err::write(journal.path().join("watermark"), watermark).unwrap();
    }
    let settings = Settings {
        ship_rows_max: rows_max,
        ..Settings::default()
    };
    Node::start(database, journal.path(), settings).stop();
}

/// The bytes of a journal that was never restarted.
fn length(journal: &Path) -> u64 {
    let entries = fs_err::read_dir(journal).unwrap().map(Result::unwrap);
    let segments: Vec<_> = entries
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "journal"))
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    assert_eq!(segments.len(), 1);
    segments[0]
}

async fn booked(admin: &PgPool, organization: Id<Organization>) -> Books {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM ai_requests WHERE organization_id = $1) AS requests
              , count(*) AS events
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'api_call'), 0)::bigint AS calls
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS tokens
              , COALESCE(sum(cost_usd), 0) AS cost
              , COALESCE(sum(saved_cost_usd), 0) AS saved
           FROM usage_events
          WHERE organization_id = $1",
    );
    let row = row.bind(organization.uuid()).fetch_one(admin);
    let row = row.await.unwrap();
    Books {
        requests: row.get("requests"),
        events: row.get("events"),
        calls: row.get("calls"),
        tokens: row.get("tokens"),
        cost: row.get("cost"),
        saved: row.get("saved"),
    }
}

/// The same from every sum that is kept beside the events.
async fn summed(admin: &PgPool, organization: Id<Organization>) -> [(i64, i64, Decimal); 3] {
    let totals = [
        "SELECT sum(total_api_calls)::bigint AS calls, sum(total_ai_tokens)::bigint AS tokens, sum(total_cost_usd_exact) AS cost
           FROM billing_usage WHERE organization_id = $1",
        "SELECT sum(total_api_calls)::bigint AS calls, sum(total_ai_tokens)::bigint AS tokens, sum(total_ai_cost_usd) AS cost
           FROM daily_metrics WHERE organization_id = $1",
        "SELECT COALESCE(sum(quantity) FILTER (WHERE event_type = 'api_call'), 0)::bigint AS calls
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS tokens
              , sum(cost_usd) AS cost
           FROM metering.usage_rollup WHERE organization_id = $1",
    ];
    let mut sums = Vec::new();
    for total in totals {
        let row = sqlx::query(total).bind(organization.uuid());
        let row = row.fetch_one(admin).await.unwrap();
        sums.push((row.get("calls"), row.get("tokens"), row.get("cost")));
    }
    sums.try_into().unwrap()
}

fn try_it(
    (database, admin): (&TestDatabase, &PgPool),
    runtime: &tokio::runtime::Handle,
    acts: &[Act],
    lives: &[Life],
) {
    let slug = format!("org-{}", Id::<Organization>::new(&SystemClock));
    let seeded = runtime.block_on(database.seed_organization(&slug));
    let pieces = pieces(database, seeded.organization, acts);
    let mut shipped = 0;
    for life in lives {
        let until = life.until.index(pieces.len());
        // Nothing, or the end of a piece that was shipped as a whole.
        let from = life.from.index(shipped + 1).min(until + 1);
        let from = from.checked_sub(1).map(|from| pieces[from].path());
        live(database, pieces[until].path(), from, life.rows_max);
        shipped = shipped.max(until + 1);
    }
    live(database, pieces.last().unwrap().path(), None, 7);

    let expected = expected(acts);
    let sum = (expected.calls, expected.tokens, expected.cost);
    let summed = runtime.block_on(summed(admin, seeded.organization));
    assert_eq!(
        runtime.block_on(booked(admin, seeded.organization)),
        expected
    );
    assert_eq!(summed, [sum; 3]);
}

#[tokio::test]
async fn pieces_of_a_journal_shipped_in_any_order_book_each_act_once() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let runtime = tokio::runtime::Handle::current();
    let tried = tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: CASES,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner.run(&(acts(), lives()), |(acts, lives)| {
            try_it((&database, &admin), &runtime, &acts, &lives);
            Ok(())
        })
    });
    tried.await.unwrap().unwrap();
}
