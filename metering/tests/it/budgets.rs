//! Budgets hold like quotas: whatever is spent, by whomever, on however many nodes, and whatever is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use database::testing::TestDatabase;
use metering::{Attribution, Estimate, Held, Metering, Refusal, Resource, Scope, Spender};
use rust_decimal::{Decimal, dec};
use sqlx::PgPool;
use types::id::Organization;
use types::{Caller, Id};
use uuid::Uuid;

use crate::node::{self, Node, Settings, caller, eventually, usage};

/// A budget to be made.
struct Budget<'a> {
    scope: (&'a str, Option<Uuid>, Option<&'a str>),
    resource: &'a str,
    limit: Decimal,
    enforcement: &'a str,
}

/// What the tests' one model charges for an attempt of the usual estimate: 100 tokens in, 400 out.
const COST_MAX: Decimal = dec!(0.004125);

async fn put(admin: &PgPool, organization: Id<Organization>, budget: Budget<'_>) -> Uuid {
    let id = Uuid::now_v7();
    let (scope, scope_id, tag) = budget.scope;
    sqlx::query(
        "INSERT INTO metering.budgets
                (id, organization_id, name, scope_type, scope_id, scope_tag, resource_type, limit_amount, budget_period, reset_at, enforcement)
         VALUES ($1, $2, $1::text, $3, $4, $5, $6, $7, 'monthly', now() + interval '10 days', $8)",
    )
    .bind(id)
    .bind(organization.uuid())
    .bind(scope)
    .bind(scope_id)
    .bind(tag)
    .bind(budget.resource)
    .bind(budget.limit)
    .bind(budget.enforcement)
    .execute(admin)
    .await
    .unwrap();
    id
}

fn for_all(resource: &str, limit: Decimal) -> Budget<'_> {
    Budget {
        scope: ("organization", None, None),
        resource,
        limit,
        enforcement: "hard",
    }
}

/// Used, and reserved by leases that are open.
async fn amounts(admin: &PgPool, budget: Uuid) -> (Decimal, Decimal) {
    let sql = "SELECT used_amount, reserved_amount
                    , (SELECT COALESCE(sum(granted - settled - returned), 0)
                         FROM metering.quota_leases WHERE budget_id = budgets.id AND state = 'open') / metering.units_per(resource_type)
                 FROM metering.budgets WHERE id = $1";
    let (used, reserved, open): (Decimal, Decimal, Decimal) = sqlx::query_as(sql)
        .bind(budget)
        .fetch_one(admin)
        .await
        .unwrap();
    assert_eq!(reserved, open);
    (used.normalize(), reserved.normalize())
}

/// Holds what an attempt of the tests' model can use and cost at most.
async fn hold(metering: &Metering, spender: Spender<'_>) -> Result<Held, Refusal> {
    let estimate = Estimate {
        input_tokens_max: 100,
        output_tokens_max: 400,
    };
    let price = metering
        .prices()
        .find("p", "m", types::Clock::now(&types::SystemClock));
    let cost_max = || price.as_ref().unwrap().cost_max(&estimate, 0);
    Ok(Held {
        call: Some(metering.quota().take_call(spender).await?),
        tokens: Some(
            metering
                .quota()
                .reserve(spender, estimate, cost_max)
                .await?,
        ),
    })
}

/// Asks, answers and settles until a limit refuses: how often it did not.
async fn spend(
    metering: Metering,
    caller: Caller,
    tags: BTreeMap<String, String>,
) -> (i64, Refusal) {
    let attribution = Attribution {
        tags,
        ..Attribution::default()
    };
    let spender = Spender {
        caller: &caller,
        attribution: &attribution,
    };
    let mut answered = 0;
    loop {
        let held = match hold(&metering, spender).await {
            Ok(held) => held,
            Err(refusal) => return (answered, refusal),
        };
        let intent = node::intent(&metering, caller);
        let pending = metering.journal().intend(intent, held).await.unwrap();
        pending
            .settle(node::settlement(usage(100, 400)))
            .unwrap()
            .await
            .unwrap();
        answered += 1;
    }
}

#[track_caller]
fn refused_by(refusal: &Refusal) -> (&Scope, Resource, Decimal) {
    match refusal {
        Refusal::Exceeded(exceeded) => (&exceeded.scope, exceeded.resource, exceeded.limit),
        Refusal::Unavailable { .. } => panic!("{refusal}"),
    }
}

#[tokio::test]
async fn a_budget_in_dollars_is_spent_by_several_nodes_to_the_last_attempt_and_not_beyond() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    // Not a multiple of what an attempt costs.
    let budget = put(&admin, organization, for_all("usd", dec!(0.05))).await;
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let nodes: Vec<_> = folders
        .iter()
        .map(|folder| Node::start(&database, folder.path(), Settings::default()))
        .collect();

    let answered = Arc::new(AtomicI64::new(0));
    std::thread::scope(|threads| {
        for node in nodes.iter().cycle().take(6) {
            threads.spawn(|| {
                let spent = spend(node.metering.clone(), caller(organization), BTreeMap::new());
                let (count, refusal) = node.run(spent);
                assert_eq!(
                    refused_by(&refusal),
                    (&Scope::Organization, Resource::Usd, dec!(0.05))
                );
                answered.fetch_add(count, Ordering::SeqCst);
            });
        }
    });
    nodes.into_iter().for_each(Node::stop);

    let (used, reserved) = amounts(&admin, budget).await;
    assert_eq!(reserved, Decimal::ZERO);
    assert_eq!(
        used,
        COST_MAX * Decimal::from(answered.load(Ordering::SeqCst))
    );
    assert!(used <= dec!(0.05), "{used}");
    let cost: Decimal = sqlx::query_scalar("SELECT sum(cost_usd) FROM usage_events")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert_eq!(used, cost.normalize());
}

#[tokio::test]
async fn a_budget_counts_whom_it_is_for_and_nobody_else() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let (mine, other) = (
        caller(organization),
        Caller {
            principal: types::Principal::User(organization.derive("somebody else")),
            department: Some(organization.derive("department")),
            ..caller(organization)
        },
    );
    let key = mine.api_key().map(|key| key.uuid());
    let department = other.department.map(|id| id.uuid());
    let two = |scope| Budget {
        scope,
        ..for_all("api_calls", dec!(2))
    };
    let by_key = put(&admin, organization, two(("api_key", key, None))).await;
    let by_department = put(&admin, organization, two(("department", department, None))).await;
    let by_tag = put(
        &admin,
        organization,
        two(("tag", None, Some("team=search"))),
    )
    .await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let spend = |caller, tag: Option<&str>| {
        let tags = tag.map(|value| ("team".to_owned(), value.to_owned()));
        node.run(spend(
            node.metering.clone(),
            caller,
            tags.into_iter().collect(),
        ))
    };

    let (answered, refusal) = spend(mine, None);
    assert_eq!(answered, 2);
    assert!(matches!(refused_by(&refusal).0, Scope::ApiKey(_)));
    let (answered, refusal) = spend(other, Some("search"));
    assert_eq!(answered, 2);
    assert!(matches!(refused_by(&refusal).0, Scope::Department(_)));
    let unlabelled = Caller {
        department: None,
        ..other
    };
    let metering = node.metering.clone();
    assert!(
        node.run(async move { hold(&metering, Spender::of(&unlabelled)).await.map(drop) })
            .is_ok()
    );
    node.stop();

    for budget in [by_key, by_department, by_tag] {
        assert_eq!(amounts(&admin, budget).await, (dec!(2), Decimal::ZERO));
    }
}

#[tokio::test]
async fn what_one_limit_refuses_takes_nothing_of_the_others() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let first = put(&admin, organization, for_all("ai_tokens", dec!(100000))).await;
    put(&admin, organization, for_all("usd", dec!(0))).await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());

    let (answered, refusal) = node.run(spend(
        node.metering.clone(),
        caller(organization),
        BTreeMap::new(),
    ));
    assert_eq!((answered, refused_by(&refusal).1), (0, Resource::Usd));
    node.stop();

    assert_eq!(amounts(&admin, first).await, (Decimal::ZERO, Decimal::ZERO));
}

#[tokio::test]
async fn a_soft_budget_refuses_nothing_and_alerts_once_at_each_part() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let soft = Budget {
        enforcement: "soft",
        ..for_all("usd", COST_MAX * dec!(3))
    };
    let budget = put(&admin, organization, soft).await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let alerts = async || -> Vec<i16> {
        sqlx::query_scalar("SELECT percent FROM metering.budget_alerts ORDER BY percent")
            .fetch_all(&admin)
            .await
            .unwrap()
    };

    for (attempts, expected) in [(1, vec![]), (2, vec![50_i16]), (4, vec![50, 80, 100])] {
        let settled = async || amounts(&admin, budget).await.0 / COST_MAX;
        while settled().await < Decimal::from(attempts) {
            let before = settled().await;
            let metering = node.metering.clone();
            node.run(async move {
                let caller = caller(organization);
                let held = hold(&metering, Spender::of(&caller)).await.unwrap();
                let pending = metering
                    .journal()
                    .intend(node::intent(&metering, caller), held)
                    .await
                    .unwrap();
                pending
                    .settle(node::settlement(usage(100, 400)))
                    .unwrap()
                    .await
                    .unwrap();
            });
            eventually("it is booked", async || settled().await > before).await;
        }
        assert_eq!(alerts().await, expected, "after {attempts}");
    }
    node.stop();
    assert_eq!(
        amounts(&admin, budget).await,
        (COST_MAX * dec!(4), Decimal::ZERO)
    );
}

#[tokio::test]
async fn a_killed_nodes_share_is_booked_and_freed_by_its_next_life() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let budget = put(&admin, organization, for_all("usd", dec!(10))).await;
    let journal = tempfile::tempdir().unwrap();
    let settings = Settings {
        ship_interval: node::NEVER,
        ..Settings::default()
    };
    let node = Node::start(&database, journal.path(), settings);
    let metering = node.metering.clone();
    node.run(async move {
        let caller = caller(organization);
        let held = hold(&metering, Spender::of(&caller)).await.unwrap();
        let pending = metering
            .journal()
            .intend(node::intent(&metering, caller), held)
            .await
            .unwrap();
        pending
            .settle(node::settlement(usage(30, 12)))
            .unwrap()
            .await
            .unwrap();
        let held = hold(&metering, Spender::of(&caller)).await.unwrap();
        let unknown = metering
            .journal()
            .intend(node::intent(&metering, caller), held)
            .await
            .unwrap();
        std::mem::forget(unknown);
    });
    let left = node.kill(journal.path());
    assert!(amounts(&admin, budget).await.1 > Decimal::ZERO);

    let node = Node::start(&database, left.path(), Settings::default());
    // 30 in and 12 out as settled; of the other attempt nobody knows more than its input of 100.
    let expected = dec!(0.0001575) + dec!(0.000125);
    eventually(
        "the earlier life is booked and its lease closed",
        async || amounts(&admin, budget).await == (expected, Decimal::ZERO),
    )
    .await;
    node.stop();
}

#[tokio::test]
async fn budgets_that_are_made_raised_or_deleted_are_noticed() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let takes = || {
        let metering = node.metering.clone();
        node.run(async move {
            let caller = caller(organization);
            metering
                .quota()
                .take_call(Spender::of(&caller))
                .await
                .is_ok()
        })
    };
    assert!(takes());

    let budget = put(&admin, organization, for_all("api_calls", dec!(0))).await;
    eventually("the budget refuses", async || !takes()).await;
    let raise = "UPDATE metering.budgets SET limit_amount = 100 WHERE id = $1";
    sqlx::query(raise)
        .bind(budget)
        .execute(&admin)
        .await
        .unwrap();
    eventually("more is allowed", async || takes()).await;
    let lower = "UPDATE metering.budgets SET limit_amount = 0, enforcement = 'soft' WHERE id = $1";
    sqlx::query(lower)
        .bind(budget)
        .execute(&admin)
        .await
        .unwrap();
    sqlx::query("DELETE FROM metering.budgets WHERE id = $1")
        .bind(budget)
        .execute(&admin)
        .await
        .unwrap();
    eventually("nothing limits any more", async || takes()).await;
    node.stop();
}

#[tokio::test]
async fn a_budgets_period_begins_anew_by_itself_and_a_day_has_24_hours() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let budget = put(&admin, organization, for_all("api_calls", dec!(5))).await;
    let over = "UPDATE metering.budgets SET used_amount = 5, budget_period = 'daily', reset_at = now() - interval '30 hours', anchor_at = NULL";
    sqlx::query(over).execute(&admin).await.unwrap();
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());

    let metering = node.metering.clone();
    let taken = node.run(async move {
        let caller = caller(organization);
        metering
            .quota()
            .take_call(Spender::of(&caller))
            .await
            .is_ok()
    });
    assert!(taken);
    node.stop();

    let left: f64 = sqlx::query_scalar("SELECT round(extract(epoch FROM reset_at - now()) / 3600)::float8 FROM metering.budgets WHERE id = $1 AND period = 2")
        .bind(budget)
        .fetch_one(&admin)
        .await
        .unwrap();
    assert!((17.0..=18.0).contains(&left), "{left} hours");
    for (period, after, expected) in [
        ("daily", "2028-02-28T12:00:00Z", "2028-02-29"),
        ("daily", "2026-10-25T00:00:00Z", "2026-10-26"),
        ("annual", "2028-02-29T00:00:00Z", "2029-02-28"),
    ] {
        let end: String = sqlx::query_scalar("SELECT to_char(metering.period_end('2024-02-29Z', $1, $2::timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD')")
            .bind(period)
            .bind(after)
            .fetch_one(&admin)
            .await
            .unwrap();
        assert_eq!(end, expected, "{period} after {after}");
    }
}
