//! The roll-ups can be made anew from the events at any time, and come to what the shipper made of them.

use database::testing::TestDatabase;
use metering::rollup::{self, Recomputed};
use sqlx::{PgPool, Row};
use types::id::Organization;
use types::{Id, SystemClock};

use crate::node::{self, Node, Settings, caller, usage, usd};

/// Every row of every roll-up, as text.
async fn contents(admin: &PgPool) -> Vec<String> {
    let rows = "SELECT rollup::text AS row FROM metering.usage_rollup AS rollup
                 UNION ALL SELECT rollup::text FROM metering.tag_rollup AS rollup
                 UNION ALL SELECT rollup::text FROM metering.charge_rollup AS rollup
                 UNION ALL SELECT actors::text FROM metering.daily_actors AS actors
                 UNION ALL SELECT (organization_id, metric_date, total_ai_requests, total_ai_tokens, total_ai_cost_usd
                                  , total_api_calls, active_users, active_workflows)::text
                             FROM daily_metrics
                 ORDER BY row";
    let rows = sqlx::query(rows).fetch_all(admin).await.unwrap();
    rows.iter().map(|row| row.get("row")).collect()
}

fn traffic(node: &Node, organizations: [Id<Organization>; 2]) {
    let metering = node.metering.clone();
    node.run(async move {
        for number in 0..12 {
            for organization in organizations {
                node::complete(&metering, caller(organization), usage(10 + number, 7)).await;
            }
        }
        node::hit(&metering, caller(organizations[0]), usd("0.000321")).await;
    });
}

fn recompute(node: &Node) -> Recomputed {
    let (database, prices) = (node.database.clone(), node.metering.prices());
    let from = chrono::NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();
    let until = chrono::NaiveDate::from_ymd_opt(2100, 1, 1).unwrap();
    node.run(async move {
        let done = rollup::recompute(&database, &prices, None, (from, until)).await;
        done.unwrap()
    })
}

#[tokio::test]
async fn recomputing_comes_to_what_the_shipper_made_however_often_and_whatever_was_there() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let one = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    traffic(&node, [one, other]);
    node.stop();
    let shipped = contents(&admin).await;

    let node = Node::start(&database, journal.path(), Settings::default());
    let first = recompute(&node);
    assert_eq!(first.cost_before, first.cost_after);
    assert_eq!(first.events, 2 * (12 + 12 + 1));
    assert_eq!(contents(&admin).await, shipped);
    assert_eq!(recompute(&node), first);
    assert_eq!(contents(&admin).await, shipped);

    let damage =
        "WITH usage AS (UPDATE metering.usage_rollup SET cost_usd = cost_usd + 1, events = 0),
                       tags AS (DELETE FROM metering.tag_rollup),
                       charges AS (DELETE FROM metering.charge_rollup WHERE token_class = 'output')
                  UPDATE daily_metrics SET active_users = 77";
    sqlx::query(damage).execute(&admin).await.unwrap();
    assert_ne!(contents(&admin).await, shipped);
    assert!(recompute(&node).cost_before > first.cost_after);
    assert_eq!(contents(&admin).await, shipped);
    node.stop();
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_recomputing_beside_a_running_shipper() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let settings = Settings {
        ship_rows_max: 3,
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), settings);
    for _ in 0..6 {
        traffic(&node, [organization, organization]);
        recompute(&node);
    }
    node.stop();
    let shipped = contents(&admin).await;

    let node = Node::start(&database, journal.path(), Settings::default());
    recompute(&node);
    assert_eq!(contents(&admin).await, shipped);
    node.stop();
}

#[tokio::test]
async fn a_day_counts_each_active_user_once() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let settings = Settings {
        ship_rows_max: 2,
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), settings);
    let mut another = caller(organization);
    another.principal = types::Principal::Key {
        id: Id::new(&SystemClock),
        user: Id::new(&SystemClock),
    };
    for _ in 0..3 {
        node.complete(caller(organization), usage(1, 1));
        node.complete(another, usage(1, 1));
    }
    node.stop();

    let active = "SELECT sum(active_users)::bigint FROM daily_metrics";
    let days = "SELECT count(*) FROM daily_metrics";
    let count = |sql| sqlx::query_scalar::<_, i64>(sql).fetch_one(&admin);
    assert_eq!(count(active).await.unwrap(), 2 * count(days).await.unwrap());
}
