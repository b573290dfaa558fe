//! When the shipper waits and when it does not, and when the leases of earlier lives end.

use database::testing::TestDatabase;
use metering::Resource;
use sqlx::{PgPool, Row};
use types::Caller;

use crate::leases::put_quota;
use crate::node::{self, NEVER, Node, Settings, caller, usage};

/// Together with their number more than two readings of the journal, which are of a megabyte each.
const LONG_TEXT_BYTES: usize = 64 * 1024;
const LONG_REQUESTS: u64 = 40;

const UNSHIPPED: Settings = Settings {
    ship_interval: NEVER,
    ship_rows_max: 50,
    lease_max: 1_000_000,
    lease_idle_return: NEVER,
};

/// Requests whose prompts fill the journal.
fn long_requests(node: &Node, caller: Caller) {
    let metering = node.metering.clone();
    node.run(async move {
        for _ in 0..LONG_REQUESTS {
            let held = node::hold(&metering, caller).await;
            let mut intent = node::intent(&metering, caller);
            intent.prompt_text = "x".repeat(LONG_TEXT_BYTES);
            let pending = metering.journal().intend(intent, held).await.unwrap();
            let settled = pending.settle(node::settlement(usage(10, 5))).unwrap();
            settled.await.unwrap();
        }
    });
}

async fn booked(admin: &PgPool) -> i64 {
    let sql = "SELECT count(*) FROM usage_events WHERE event_type = 'ai_request'";
    sqlx::query_scalar(sql).fetch_one(admin).await.unwrap()
}

#[tokio::test]
async fn what_an_earlier_life_left_is_shipped_piece_after_piece_without_waiting_for_the_time() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), UNSHIPPED);
    long_requests(&node, caller(organization));
    let left = node.kill(journal.path());

    // Its time to look comes once, at the start; the rest is shipped because it is behind.
    let node = Node::start(&database, left.path(), UNSHIPPED);
    let expected = i64::try_from(LONG_REQUESTS).unwrap();
    node::eventually("all of it is booked", || async {
        booked(&admin).await == expected
    })
    .await;
    node.stop();
}

#[tokio::test]
async fn what_comes_while_nothing_is_behind_waits_for_the_time_and_goes_together() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), UNSHIPPED);
    for _ in 0..20 {
        node.complete(caller(organization), usage(1, 1));
    }
    node.stop();

    assert_eq!(booked(&admin).await, 20);
    let transactions = "SELECT count(DISTINCT xmin::text) FROM usage_events";
    let transactions: i64 = sqlx::query_scalar(transactions)
        .fetch_one(&admin)
        .await
        .unwrap();
    // One at the start may have had a first request already; each on its own would be twenty.
    assert!(transactions <= 2, "{transactions}");
}

#[tokio::test]
async fn a_lease_of_an_earlier_life_ends_after_all_that_was_spent_from_it_is_booked() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::AiTokens, 1_000_000).await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), UNSHIPPED);
    long_requests(&node, caller(organization));
    let left = node.kill(journal.path());
    // Without it nobody knows what was read; it must not be taken for "all".
    let _ = fs_err::remove_file(left.path().join("watermark"));

    let node = Node::start(&database, left.path(), UNSHIPPED);
    node::eventually("the lease is closed", || async {
        let closed = "SELECT count(*) FROM metering.quota_leases WHERE state = 'closed'";
        let closed: i64 = sqlx::query_scalar(closed).fetch_one(&admin).await.unwrap();
        closed == 1
    })
    .await;
    let lease = "SELECT settled, overshoot FROM metering.quota_leases WHERE state = 'closed'";
    let lease = sqlx::query(lease).fetch_one(&admin).await.unwrap();
    let spent = i64::try_from(15 * LONG_REQUESTS).unwrap();
    // What is booked after a lease has ended is beyond it.
    assert_eq!(lease.get::<i64, _>("settled"), spent);
    assert_eq!(lease.get::<i64, _>("overshoot"), 0);
    node.stop();
}
