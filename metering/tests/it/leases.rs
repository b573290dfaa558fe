//! A hard limit is never exceeded: not under concurrency, not by several nodes, not after a kill.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use database::testing::TestDatabase;
use metering::{Estimate, Refusal, Resource, Spender};
use sqlx::{PgPool, Row};
use types::id::Organization;
use types::{Id, Usd};

use crate::node::{self, Node, Settings, caller, eventually, usage};

pub(crate) async fn put_quota(
    admin: &PgPool,
    organization: Id<Organization>,
    resource: Resource,
    limit: i64,
) {
    let put = "INSERT INTO usage_quotas (organization_id, resource_type, quota_limit, quota_period, reset_at)
               VALUES ($1, $2, $3, 'monthly', now() + interval '10 days')
                   ON CONFLICT (organization_id, resource_type) DO UPDATE SET quota_limit = EXCLUDED.quota_limit";
    sqlx::query(put)
        .bind(organization.uuid())
        .bind(resource.as_str())
        .bind(limit)
        .execute(admin)
        .await
        .unwrap();
}

/// Used and reserved, which must be what the open leases hold.
async fn quota(admin: &PgPool, resource: Resource) -> (i64, i64) {
    let sql = "SELECT quota_used
                    , quota_reserved
                    , (SELECT COALESCE(sum(granted - settled - returned), 0)::bigint
                         FROM metering.quota_leases
                        WHERE state = 'open' AND resource_type = $1) AS open
                 FROM usage_quotas WHERE resource_type = $1";
    let row = sqlx::query(sql)
        .bind(resource.as_str())
        .fetch_one(admin)
        .await
        .unwrap();
    let reserved = row.get::<i64, _>("quota_reserved");
    assert_eq!(reserved, row.get::<i64, _>("open"));
    (row.get("quota_used"), reserved)
}

#[tokio::test]
async fn several_nodes_together_take_the_limit_and_not_one_more() {
    const LIMIT: i64 = 5_000;
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::ApiCalls, LIMIT).await;
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let nodes: Vec<_> = folders
        .iter()
        .map(|folder| Node::start(&database, folder.path(), Settings::default()))
        .collect();

    let admitted = Arc::new(AtomicI64::new(0));
    std::thread::scope(|threads| {
        for node in &nodes {
            for _ in 0..4 {
                threads.spawn(|| {
                    node.run(take_calls(
                        node.metering.clone(),
                        organization,
                        admitted.clone(),
                    ));
                });
            }
        }
    });

    assert_eq!(admitted.load(Ordering::SeqCst), LIMIT);
    let (used, reserved) = quota(&admin, Resource::ApiCalls).await;
    assert_eq!(used + reserved, LIMIT);
    nodes.into_iter().for_each(Node::stop);
}

/// Takes calls until there are none, and never gives one back.
async fn take_calls(
    metering: metering::Metering,
    organization: Id<Organization>,
    admitted: Arc<AtomicI64>,
) {
    let mut held = Vec::new();
    loop {
        match metering
            .quota()
            .take_call(Spender::of(&caller(organization)))
            .await
        {
            Ok(permit) => {
                admitted.fetch_add(1, Ordering::SeqCst);
                held.push(permit);
            }
            Err(refusal) => {
                let Refusal::Exceeded(exceeded) = refusal else {
                    panic!("{refusal}");
                };
                assert_eq!(exceeded.limit, 5_000.into());
                assert!(exceeded.reset_at.is_some());
                std::mem::forget(held);
                return;
            }
        }
    }
}

#[tokio::test]
async fn requests_of_many_sizes_on_several_nodes_never_overspend_and_the_books_agree() {
    const LIMIT: i64 = 60_000;
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::AiTokens, LIMIT).await;
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let nodes: Vec<_> = folders
        .iter()
        .map(|folder| Node::start(&database, folder.path(), Settings::default()))
        .collect();

    let used = Arc::new(AtomicU64::new(0));
    std::thread::scope(|threads| {
        for (number, node) in nodes.iter().enumerate() {
            for task in 0..4 {
                let seed = number as u64 * 100 + task;
                threads.spawn(move || node.run(spend(node.metering.clone(), organization, seed)));
            }
        }
    });
    for node in nodes {
        node.stop();
        let (used, reserved) = quota(&admin, Resource::AiTokens).await;
        assert!(used + reserved <= LIMIT, "{used} + {reserved}");
    }

    let (settled, reserved) = quota(&admin, Resource::AiTokens).await;
    assert_eq!(reserved, 0);
    let events: i64 = sqlx::query_scalar(
        "SELECT sum(quantity)::bigint FROM usage_events WHERE event_type = 'ai_request'",
    )
    .fetch_one(&admin)
    .await
    .unwrap();
    assert_eq!(settled, events);
    // All but what no request of the smallest size fitted into.
    assert!(settled > LIMIT - 2_000, "{settled}");
    drop(used);
}

async fn spend(metering: metering::Metering, organization: Id<Organization>, seed: u64) {
    let caller = caller(organization);
    let mut refusals = 0;
    for number in 0_u64.. {
        let size = 50 + (number * 7_919 + seed * 104_729) % 1_000;
        let estimate = Estimate {
            input_tokens_max: size / 2,
            output_tokens_max: size - size / 2,
        };
        match metering
            .quota()
            .reserve(Spender::of(&caller), estimate, || Usd::ZERO)
            .await
        {
            Ok(tokens) => {
                let held = metering::Held {
                    call: None,
                    tokens: Some(tokens),
                };
                let intent = node::intent(&metering, caller);
                let pending = metering.journal().intend(intent, held).await.unwrap();
                // Some use all they reserved, some half, some are let go.
                match number % 3 {
                    0 => drop(pending.settle(node::settlement(usage(size, 0))).unwrap()),
                    1 => drop(
                        pending
                            .settle(node::settlement(usage(size / 2, 0)))
                            .unwrap(),
                    ),
                    _ => drop(pending.settle(node::settlement(usage(0, 0))).unwrap()),
                }
            }
            Err(Refusal::Exceeded(_)) => {
                refusals += 1;
                if refusals > 40 {
                    return;
                }
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

#[tokio::test]
async fn what_was_reserved_and_not_used_is_free_again() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::AiTokens, 100_000).await;
    put_quota(&admin, organization, Resource::ApiCalls, 100).await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());

    for _ in 0..10 {
        node.complete(caller(organization), usage(30, 12));
    }
    node.stop();

    assert_eq!(quota(&admin, Resource::AiTokens).await, (420, 0));
    assert_eq!(quota(&admin, Resource::ApiCalls).await, (10, 0));
}

#[tokio::test]
async fn an_idle_lease_is_given_back_for_others_to_use() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::AiTokens, 10_000).await;
    let journal = tempfile::tempdir().unwrap();
    let settings = Settings {
        lease_idle_return: Duration::from_millis(50),
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), settings);

    node.complete(caller(organization), usage(30, 12));

    eventually("only what was used is taken", || async {
        quota(&admin, Resource::AiTokens).await == (42, 0)
    })
    .await;
    node.stop();
}

#[tokio::test]
async fn a_killed_nodes_lease_is_free_again_once_its_journal_is_booked() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::AiTokens, 1_000).await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    node.complete(caller(organization), usage(30, 12));
    let left = node.kill(journal.path());
    let (_, reserved) = quota(&admin, Resource::AiTokens).await;
    assert!(reserved > 0);

    let node = Node::start(&database, left.path(), Settings::default());

    eventually("the lease of the earlier life is closed", || async {
        quota(&admin, Resource::AiTokens).await == (42, 0)
    })
    .await;
    node.stop();
}

#[tokio::test]
async fn what_was_spent_is_booked_although_somebody_set_the_reserve_by_hand() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::AiTokens, 10_000).await;
    let journal = tempfile::tempdir().unwrap();
    let settings = Settings {
        ship_interval: Duration::from_hours(1),
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), settings);
    node.complete(caller(organization), usage(30, 12));

    let by_hand = "UPDATE usage_quotas SET quota_reserved = 0";
    sqlx::query(by_hand).execute(&admin).await.unwrap();
    node.stop();

    let columns = "SELECT quota_used, quota_reserved FROM usage_quotas WHERE resource_type = $1";
    let row: (i64, i64) = sqlx::query_as(columns)
        .bind(Resource::AiTokens.as_str())
        .fetch_one(&admin)
        .await
        .unwrap();
    assert_eq!(row, (42, 0));
}

#[tokio::test]
async fn a_limit_that_is_put_or_raised_is_noticed() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let take = || {
        let metering = node.metering.clone();
        node.run(async move {
            metering
                .quota()
                .take_call(Spender::of(&caller(organization)))
                .await
                .map(drop)
        })
    };
    assert_eq!(take(), Ok(()));

    put_quota(&admin, organization, Resource::ApiCalls, 0).await;
    eventually("the limit holds", || async { take().is_err() }).await;
    put_quota(&admin, organization, Resource::ApiCalls, 100).await;
    eventually("the limit is raised", || async { take().is_ok() }).await;
    node.stop();
}

#[tokio::test]
async fn a_period_ends_on_its_day_wherever_the_month_has_it() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    for (period, after, expected) in [
        ("monthly", "2026-02-10", "2026-02-28"),
        ("monthly", "2026-02-28", "2026-03-31"),
        ("monthly", "2028-02-28", "2028-02-29"),
        ("annual", "2026-02-10", "2027-01-31"),
        ("monthly", "2026-01-30", "2026-01-31"),
    ] {
        let end: String = sqlx::query_scalar(
            "SELECT to_char(metering.period_end('2026-01-31Z', $1, ($2 || 'Z')::timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
        )
        .bind(period)
        .bind(after)
        .fetch_one(&admin)
        .await
        .unwrap();
        assert_eq!(end, expected, "{period} after {after}");
    }
}

#[tokio::test]
async fn a_period_that_is_over_begins_anew_and_old_leases_no_longer_count() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    put_quota(&admin, organization, Resource::ApiCalls, 10).await;
    let journal = tempfile::tempdir().unwrap();
    let first = Node::start(&database, journal.path(), Settings::default());
    let metering = first.metering.clone();
    let spent = first.run(async move {
        let mut permits = Vec::new();
        while let Ok(permit) = metering
            .quota()
            .take_call(Spender::of(&caller(organization)))
            .await
        {
            permits.push(permit);
        }
        permits
    });
    assert_eq!(spent.len(), 10);
    sqlx::query("UPDATE usage_quotas SET reset_at = now() - interval '1 day'")
        .execute(&admin)
        .await
        .unwrap();

    let other = tempfile::tempdir().unwrap();
    let second = Node::start(&database, other.path(), Settings::default());
    let metering = second.metering.clone();
    second
        .run(async move {
            metering
                .quota()
                .take_call(Spender::of(&caller(organization)))
                .await
                .map(drop)
        })
        .unwrap();
    drop(spent);
    first.stop();
    second.stop();

    assert_eq!(quota(&admin, Resource::ApiCalls).await, (0, 0));
}
