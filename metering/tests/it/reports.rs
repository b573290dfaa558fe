//! Reports add up, whatever they are divided by, and show what belongs to nobody.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};
use database::testing::TestDatabase;
use metering::reconcile::{self, Bill};
use metering::report::{self, CostRow, Error, Filter, Paging, Scope, UsageRow};
use metering::{Held, Metering, focus};
use rust_decimal::Decimal;
use types::id::Organization;
use types::{Caller, Clock, Id, Outcome, SystemClock, Usd};

use crate::node::{self, Node, Settings, caller, usage, usd};

/// A year around now.
fn filter(group_by: &[&str]) -> Filter {
    let today = SystemClock.now().date_naive();
    let from = today.checked_sub_days(Days::new(180)).unwrap();
    let until = today.checked_add_days(Days::new(180)).unwrap();
    Filter {
        group_by: group_by.iter().map(|word| word.parse().unwrap()).collect(),
        ..Filter::of(from, until)
    }
}

/// An attempt with a tag, at a step of a workflow, that ended somehow.
async fn attempt(metering: &Metering, caller: Caller, team: Option<&str>, outcome: Outcome) {
    let mut intent = node::intent(metering, caller);
    intent.attribution.tags = team
        .map(|team| ("team".to_owned(), team.to_owned()))
        .into_iter()
        .collect();
    intent.attribution.workflow = team.map(|team| caller.organization.derive(team));
    let pending = metering
        .journal()
        .intend(intent, Held::default())
        .await
        .unwrap();
    let mut settlement = node::settlement(usage(1_000, 100));
    settlement.outcome = outcome;
    pending.settle(settlement).unwrap().await.unwrap();
}

fn booked(database: &TestDatabase, organizations: [Id<Organization>; 2]) -> Node {
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(database, journal.path(), Settings::default());
    let metering = node.metering.clone();
    node.run(async move {
        let [one, other] = organizations.map(caller);
        for _ in 0..2 {
            attempt(&metering, one, Some("search"), Outcome::Completed).await;
            attempt(&metering, other, Some("search"), Outcome::Completed).await;
        }
        attempt(&metering, one, Some("chat"), Outcome::Failed).await;
        attempt(&metering, one, None, Outcome::Completed).await;
        node::hit(&metering, one, usd("0.5")).await;
    });
    node.stop();
    Node::start(database, journal.path(), Settings::default())
}

fn rows(node: &Node, scope: Scope, filter: Filter) -> Vec<UsageRow> {
    let database = node.database.clone();
    let report =
        node.run(async move { report::read(&database, scope, &filter, Paging::default()).await });
    report.unwrap().rows
}

fn cost<'a>(rows: impl IntoIterator<Item = &'a UsageRow>) -> Decimal {
    rows.into_iter().map(|row| row.cost_usd.decimal()).sum()
}

/// 1,000 input and 100 output tokens at 1.25 and 10 dollars per million.
fn each() -> Decimal {
    "0.00225".parse().unwrap()
}

#[tokio::test]
async fn every_division_of_the_usage_adds_up_to_the_whole() {
    let database = TestDatabase::new().await;
    let one = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let node = booked(&database, [one, other]);

    let divisions: [&[&str]; 9] = [
        &[],
        &["organization", "day"],
        &["parent", "month"],
        &["department", "user"],
        &["api_key", "workflow"],
        &["provider", "model", "price"],
        &["service", "usage_source", "outcome"],
        &["tag:team", "organization"],
        &["step"],
    ];
    for division in divisions {
        let all = rows(&node, Scope::All, filter(division));
        assert_eq!(cost(&all), Decimal::from(6) * each(), "{division:?}");
        assert_eq!(
            all.iter().map(|row| row.requests).sum::<i64>(),
            7,
            "{division:?}"
        );
        let own = rows(&node, Scope::Organization(one), filter(division));
        assert_eq!(cost(&own), Decimal::from(4) * each(), "{division:?}");
    }
    node.stop();
}

#[tokio::test]
async fn what_has_no_tag_and_no_workflow_is_a_row_of_its_own() {
    let database = TestDatabase::new().await;
    let one = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let node = booked(&database, [one, other]);

    let by_team: BTreeMap<_, _> = rows(&node, Scope::Organization(one), filter(&["tag:team"]))
        .into_iter()
        .map(|row| (row.tag.clone(), row))
        .collect();
    assert_eq!(
        cost([&by_team[&Some("search".to_owned())]]),
        Decimal::TWO * each()
    );
    let chat = &by_team[&Some("chat".to_owned())];
    assert_eq!(
        (chat.failed_requests, chat.failed_cost_usd.decimal()),
        (1, each())
    );
    let untagged = &by_team[&None];
    assert!(untagged.unallocated);
    assert_eq!((untagged.requests, untagged.hits), (2, 1));
    assert_eq!(
        (untagged.cost_usd.decimal(), untagged.saved_cost_usd),
        (each(), usd("0.5"))
    );

    let by_workflow = rows(&node, Scope::Organization(one), filter(&["workflow"]));
    let nobodys: Vec<_> = by_workflow.iter().filter(|row| row.unallocated).collect();
    assert_eq!((nobodys.len(), nobodys[0].requests), (1, 2));
    node.stop();
}

#[tokio::test]
async fn costs_are_quantities_times_unit_prices_and_add_up_to_the_usage() {
    let database = TestDatabase::new().await;
    let one = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let node = booked(&database, [one, other]);
    let asked = filter(&["organization", "model", "token_class", "price"]);

    let connection = node.database.clone();
    let costs = node.run(async move {
        report::read::<CostRow>(&connection, Scope::All, &asked, Paging::default()).await
    });
    let costs = costs.unwrap().rows;
    assert_eq!(costs.len(), 4);
    for row in &costs {
        let product = Decimal::from(row.quantity.unwrap()) * row.unit_price_usd.unwrap();
        assert_eq!(product, row.cost_usd.decimal() * Decimal::from(1_000_000));
        assert!(row.by.organization.is_some());
    }
    let whole: Usd = costs.iter().map(|row| row.cost_usd).sum();
    assert_eq!(whole.decimal(), cost(&rows(&node, Scope::All, filter(&[]))));
    node.stop();
}

#[tokio::test]
async fn pages_follow_each_other_and_an_impossible_question_says_why() {
    let database = TestDatabase::new().await;
    let one = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let node = booked(&database, [one, other]);
    let page = |offset| {
        let connection = node.database.clone();
        node.run(async move {
            let paging = Paging { offset, limit: 1 };
            report::read::<UsageRow>(&connection, Scope::All, &filter(&["organization"]), paging)
                .await
                .unwrap()
        })
    };
    let (first, second) = (page(0), page(1));
    assert!(first.more && !second.more);
    assert_ne!(
        first.rows[0].by.organization_id,
        second.rows[0].by.organization_id
    );

    let refused = |filter: Filter| {
        let connection = node.database.clone();
        let report = node.run(async move {
            report::read::<UsageRow>(&connection, Scope::All, &filter, Paging::default()).await
        });
        report.unwrap_err()
    };
    assert!(matches!(
        refused(filter(&["tag:a", "user"])),
        Error::Combination(_)
    ));
    assert!(matches!(
        refused(filter(&["tag:a", "tag:b"])),
        Error::Combination(_)
    ));
    assert!(matches!(
        refused(filter(&["token_class"])),
        Error::Combination(_)
    ));
    assert!(matches!(
        refused(filter(&["day", "month"])),
        Error::MonthAndDay
    ));
    let day = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    assert!(matches!(refused(Filter::of(day, day)), Error::Span));
    node.stop();
}

#[tokio::test]
async fn the_focus_export_and_an_empty_bill_come_to_what_was_booked() {
    let database = TestDatabase::new().await;
    let one = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let node = booked(&database, [one, other]);
    let today = SystemClock.now().date_naive();
    let month = today.with_day(1).unwrap();
    let until = today.checked_add_days(Days::new(2)).unwrap();

    for (scope, attempts) in [(Scope::All, 6), (Scope::Organization(one), 4)] {
        let connection = node.database.clone();
        let export =
            node.run(async move { focus::export(&connection, scope, month, "Operator").await });
        let whole = Decimal::from(attempts) * each();
        assert_eq!(export.unwrap().sum("BilledCost"), whole);
    }

    let bill = Bill::parse("day,model,token_class,quantity,cost_usd\n").unwrap();
    let connection = node.database.clone();
    let rows = node
        .run(async move { reconcile::reconcile(&connection, "p", (month, until), &bill).await });
    let rows = rows.unwrap();
    let unexplained: Usd = rows.iter().map(|row| row.unexplained_usd).sum();
    let failed: Usd = rows.iter().map(|row| row.failed_usd).sum();
    assert_eq!(failed.decimal(), -each());
    assert_eq!(unexplained.decimal(), Decimal::from(-5) * each());
    node.stop();
}
