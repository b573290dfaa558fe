//! What is journaled is booked exactly once, whatever happens in between.

use chrono::Days;
use database::testing::TestDatabase;
use metering::reconciliation;
use metering::record::Held;
use metering::report::Scope;
use rust_decimal::Decimal;
use sqlx::{PgPool, Row};
use types::id::Organization;
use types::{Caller, Clock, Id, SystemClock, Usage};

use crate::node::{self, NEVER, Node, Settings, caller, usage, usd};

/// The same sums, reckoned in every place that has them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sums {
    requests: i64,
    calls: i64,
    tokens: i64,
    cost: Decimal,
    saved: Decimal,
}

async fn sums(admin: &PgPool, sql: &'static str) -> Sums {
    let row = sqlx::query(sql).fetch_one(admin).await.unwrap();
    Sums {
        requests: row.get("requests"),
        calls: row.get("calls"),
        tokens: row.get("tokens"),
        cost: row.get("cost"),
        saved: row.get("saved"),
    }
}

async fn events(admin: &PgPool) -> Sums {
    sums(
        admin,
        "SELECT count(*) FILTER (WHERE event_type = 'ai_request') AS requests
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'api_call'), 0)::bigint AS calls
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS tokens
              , COALESCE(sum(cost_usd), 0) AS cost
              , COALESCE(sum(saved_cost_usd), 0) AS saved
           FROM usage_events",
    )
    .await
}

/// Asserts that every total is the sum of the events.
async fn assert_books_balance(admin: &PgPool) -> Sums {
    let events = events(admin).await;
    let rollup = sums(
        admin,
        "SELECT COALESCE(sum(events) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS requests
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'api_call'), 0)::bigint AS calls
              , COALESCE(sum(quantity) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS tokens
              , COALESCE(sum(cost_usd), 0) AS cost
              , COALESCE(sum(saved_cost_usd), 0) AS saved
           FROM metering.usage_rollup",
    );
    assert_eq!(rollup.await, events);
    let periods = sqlx::query(
        "SELECT COALESCE(sum(total_api_calls), 0)::bigint AS calls
              , COALESCE(sum(total_ai_tokens), 0)::bigint AS tokens
              , COALESCE(sum(total_cost_usd_exact), 0) AS cost
           FROM billing_usage",
    );
    let days = sqlx::query(
        "SELECT COALESCE(sum(total_api_calls), 0)::bigint AS calls
              , COALESCE(sum(total_ai_tokens), 0)::bigint AS tokens
              , COALESCE(sum(total_ai_cost_usd), 0) AS cost
           FROM daily_metrics",
    );
    let charges: Decimal =
        sqlx::query_scalar("SELECT COALESCE(sum(cost_usd), 0) FROM metering.charge_rollup")
            .fetch_one(admin)
            .await
            .unwrap();
    assert_eq!(charges, events.cost);
    for totals in [periods, days] {
        let row = totals.fetch_one(admin).await.unwrap();
        assert_eq!(row.get::<i64, _>("calls"), events.calls);
        assert_eq!(row.get::<i64, _>("tokens"), events.tokens);
        assert_eq!(row.get::<Decimal, _>("cost"), events.cost);
    }
    events
}

async fn count(admin: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(admin).await.unwrap()
}

/// Sixty requests, fifteen of them hits.
fn some_traffic(node: &Node, caller: Caller) {
    let metering = node.metering.clone();
    node.run(async move {
        for number in 0..45 {
            node::complete(&metering, caller, usage(10 + number, 7)).await;
        }
        for _ in 0..15 {
            node::hit(&metering, caller, usd("0.000321")).await;
        }
    });
}

fn expected_traffic() -> Sums {
    let input: i64 = (0..45).map(|number| 10 + number).sum();
    let output = 45 * 7;
    // 1.25 and 10 dollars per million tokens are 1,250,000 and 10,000,000 pico-dollars per token.
    let pico = i128::from(input) * 1_250_000 + i128::from(output) * 10_000_000;
    Sums {
        requests: 60,
        calls: 60,
        tokens: input + output,
        cost: Decimal::from_i128_with_scale(pico, 12),
        saved: "0.004815".parse().unwrap(),
    }
}

#[tokio::test]
async fn every_request_is_booked_once_and_all_totals_are_its_sums() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());

    some_traffic(&node, caller(organization));
    node.stop();

    assert_eq!(assert_books_balance(&admin).await, expected_traffic());
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE status = 'completed') AS completed
              , count(*) FILTER (WHERE status = 'cached') AS cached
              , sum(cost_usd) AS cost
              , max(prompt_text) AS prompt
           FROM ai_requests",
    );
    let row = row.fetch_one(&admin).await.unwrap();
    assert_eq!(row.get::<i64, _>("completed"), 45);
    assert_eq!(row.get::<i64, _>("cached"), 15);
    assert_eq!(row.get::<Decimal, _>("cost"), expected_traffic().cost);
    assert_eq!(
        row.get::<String, _>("prompt"),
        "What is the capital of France?"
    );
}

#[tokio::test]
async fn reading_the_whole_journal_again_books_nothing_again() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    some_traffic(&node, caller(organization));
    node.stop();

    for _ in 0..2 {
        fs_err::remove_file(journal.path().join("watermark")).unwrap();
        restart_and_stop(&database, journal.path());
    }

    assert_eq!(assert_books_balance(&admin).await, expected_traffic());
    assert_eq!(count(&admin, "SELECT count(*) FROM ai_requests").await, 60);
}

fn restart_and_stop(database: &TestDatabase, journal: &std::path::Path) {
    Node::start(database, journal, Settings::default()).stop();
}

#[tokio::test]
async fn a_kill_after_the_commit_and_before_the_watermark_books_once() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let unshipped = Settings {
        ship_interval: NEVER,
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), unshipped);
    some_traffic(&node, caller(organization));
    let before = node::copy_of(journal.path());
    node.stop();

    restart_and_stop(&database, before.path());

    assert_eq!(assert_books_balance(&admin).await, expected_traffic());
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_call_books_its_input_as_unknown() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let metering = node.metering.clone();
    let pending = node.run(async move {
        let intent = node::intent(&metering, caller(organization));
        metering.journal().intend(intent, Held::default()).await
    });
    let left = node.kill(journal.path());

    restart_and_stop(&database, left.path());
    drop(pending);

    let booked = assert_books_balance(&admin).await;
    assert_eq!((booked.requests, booked.tokens), (1, 100));
    assert_eq!(booked.cost, usd("0.000125").decimal());
    let flagged =
        "SELECT count(*) FROM usage_events WHERE usage_source = 'unknown' AND outcome = 'unknown'";
    assert_eq!(count(&admin, flagged).await, 1);
    let failed =
        "SELECT count(*) FROM ai_requests WHERE status = 'failed' AND error_kind = 'unknown'";
    assert_eq!(count(&admin, failed).await, 1);

    // An operator finds it, its owner too, and nobody else.
    let stranger = database.seed_organization("two").await.organization;
    let listed = async |scope| {
        let today = SystemClock.now().date_naive();
        let span = (today - Days::new(1), today + Days::new(1));
        let list = reconciliation::unknown(database.database(), scope, span);
        list.await.unwrap()
    };
    let [unknown] = listed(Scope::All).await.try_into().unwrap();
    assert_eq!(unknown.organization_id, organization.uuid());
    assert_eq!((unknown.attempt, unknown.input_tokens), (1, 100));
    assert_eq!(unknown.cost_usd, usd("0.000125"));
    let own = listed(Scope::Organization(organization)).await;
    assert_eq!(own, [unknown]);
    assert_eq!(listed(Scope::Organization(stranger)).await, []);
}

#[tokio::test]
async fn a_record_the_database_refuses_is_parked_and_the_others_are_booked() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());

    let nobody: Id<Organization> = Id::new(&SystemClock);
    some_traffic(&node, caller(organization));
    node.complete(caller(nobody), usage(1, 1));
    node.complete(caller(organization), Usage::default());
    node.stop();

    let booked = assert_books_balance(&admin).await;
    assert_eq!(booked.tokens, expected_traffic().tokens);
    assert_eq!(booked.requests, 61);
    assert!(
        journal
            .path()
            .join("dead-letters")
            .metadata()
            .unwrap()
            .len()
            > 0
    );
}

#[tokio::test]
async fn an_outage_of_the_database_loses_nothing() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    // Known before the outage: served through it.
    node.complete(caller(organization), Usage::default());

    go_away(&admin).await;
    some_traffic(&node, caller(organization));
    come_back(&admin).await;
    node::eventually("everything is booked", || async {
        events(&admin).await.requests == 61
    })
    .await;
    node.stop();

    let booked = assert_books_balance(&admin).await;
    assert_eq!(booked.tokens, expected_traffic().tokens);
    assert_eq!(booked.cost, expected_traffic().cost);
}

/// For everyone but superusers, the database is away.
async fn go_away(admin: &PgPool) {
    limit_connections(admin, 0).await;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database()
                        AND pid <> pg_backend_pid()
                        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = usename)";
    sqlx::query(terminate).fetch_all(admin).await.unwrap();
}

async fn come_back(admin: &PgPool) {
    limit_connections(admin, -1).await;
}

async fn limit_connections(admin: &PgPool, limit: i32) {
    let statement = "DO $$ BEGIN
                         EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT ' || current_setting('test.limit'),
                                        current_database());
                     END $$";
    let mut tx = admin.begin().await.unwrap();
    sqlx::query("SELECT set_config('test.limit', $1, true)")
        .bind(limit.to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query(statement).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn usage_of_a_month_that_is_closed_is_billed_in_the_first_open_one() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let invoiced = "INSERT INTO billing_usage
                           (organization_id, billing_period_start, billing_period_end, status, invoice_id)
                    SELECT $1, month, month + interval '1 month', 'invoiced', 'INV-1'
                      FROM date_trunc('month', now() AT TIME ZONE 'UTC') AS month";
    sqlx::query(invoiced)
        .bind(organization.uuid())
        .execute(&admin)
        .await
        .unwrap();
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());

    some_traffic(&node, caller(organization));
    node.stop();

    assert_eq!(assert_books_balance(&admin).await, expected_traffic());
    let late = "SELECT count(*)
                  FROM usage_events JOIN billing_usage USING (organization_id)
                 WHERE billing_usage.status = 'active'
                   AND usage_events.billed_period = billing_usage.billing_period_start";
    assert_eq!(count(&admin, late).await, 120);
}

/// Not a test: how many requests a second one shipper books. Shown with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn measure_the_shipper() {
    const REQUESTS: u32 = 20_000;
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let settings = Settings {
        ship_interval: NEVER,
        ship_rows_max: 1_000,
        lease_max: 1_000_000,
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), settings);
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let metering = node.metering.clone();
            async move {
                for _ in 0..REQUESTS / 32 {
                    node::complete(&metering, caller(organization), usage(100, 30)).await;
                }
            }
        })
        .collect();
    node.run(async move { futures_util::future::join_all(tasks).await });

    let before = events(&admin).await.calls;
    let begun = std::time::Instant::now();
    node.stop();
    let rate = f64::from(REQUESTS - u32::try_from(before).unwrap()) / begun.elapsed().as_secs_f64();
    let mut out = std::io::stderr();
    std::io::Write::write_all(
        &mut out,
        format!("booked {rate:.0} requests/s\n").as_bytes(),
    )
    .unwrap();
    assert_eq!(events(&admin).await.calls, i64::from(REQUESTS));
}
