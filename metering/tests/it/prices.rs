//! Prices that an operator puts: from their moment on, for whom they are meant, and never changed.

use chrono::{DateTime, Duration, Utc};
use database::testing::TestDatabase;
use metering::Price;
use metering::prices::{self, Error, PriceSetting, RatesView};
use sqlx::PgPool;
use types::id::Organization;
use types::{Clock, Id, SystemClock};

use crate::node::{self, Node, Settings, caller, usage};

pub(crate) fn setting(input: &str, from: Option<DateTime<Utc>>) -> PriceSetting {
    PriceSetting {
        provider: "p".to_owned(),
        model: "m".to_owned(),
        organization_id: None,
        from,
        backdate: from.is_some(),
        source: "a test".to_owned(),
        usd: RatesView {
            input: input.parse().unwrap(),
            output: "10".parse().unwrap(),
            cache_read: None,
            cache_write_5m: None,
            cache_write_1h: None,
            reasoning: None,
            audio_input: None,
            audio_output: None,
            image_input: None,
        },
        tiers: Vec::new(),
        web_search_usd: None,
    }
}

pub(crate) fn put(node: &Node, setting: PriceSetting) -> Result<prices::PriceView, Error> {
    let database = node.database.clone();
    node.run(async move { prices::put(&database, &SystemClock, &setting, None).await })
}

/// What an organization pays for a million input tokens.
fn input_usd(node: &Node, organization: Id<Organization>, at: DateTime<Utc>) -> String {
    let price = node.metering.prices();
    let price = price.find_for(organization, ("p", "m"), at).unwrap();
    price.listed().rates.input.decimal().to_string()
}

async fn count(admin: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(admin).await.unwrap()
}

#[tokio::test]
async fn an_organizations_price_comes_before_the_operators_and_that_before_the_list() {
    let database = TestDatabase::new().await;
    let ours = database.seed_organization("ours").await.organization;
    let theirs = database.seed_organization("theirs").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let from = SystemClock.now() + Duration::hours(1);
    let before = from - Duration::microseconds(1);
    assert_eq!(input_usd(&node, ours, from), "1.25");

    let for_all = put(&node, setting("2", Some(from))).unwrap();
    let own = PriceSetting {
        organization_id: Some(ours),
        ..setting("3", Some(from))
    };
    let own = put(&node, own).unwrap();
    node::eventually("the gateway knows both", || async {
        let book = node.metering.prices();
        book.by_id(for_all.id).is_some() && book.by_id(own.id).is_some()
    })
    .await;

    assert_eq!(input_usd(&node, ours, from), "3");
    assert_eq!(input_usd(&node, theirs, from), "2");
    assert_eq!(input_usd(&node, ours, before), "1.25");
    assert_eq!(input_usd(&node, theirs, before), "1.25");

    // A second one ends the first where it begins, and a later start reads both.
    let later = from + Duration::hours(1);
    put(&node, setting("4", Some(later))).unwrap();
    node.stop();
    let node = Node::start(&database, journal.path(), Settings::default());
    assert_eq!(
        input_usd(&node, theirs, later - Duration::microseconds(1)),
        "2"
    );
    assert_eq!(input_usd(&node, theirs, later), "4");
    assert_eq!(input_usd(&node, ours, later), "3");
    node.stop();
}

#[tokio::test]
async fn what_an_event_cost_can_be_looked_up_by_its_price_however_often_gateways_start() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let node = Node::start(&database, journal.path(), Settings::default());
        node.complete(caller(organization), usage(100, 7));
        node.stop();
    }

    let prices = "SELECT count(*) FROM metering.prices JOIN metering.price_rates ON price_id = id";
    assert_eq!(count(&admin, prices).await, 1);
    let explained = "SELECT count(*)
                       FROM usage_events AS event
                       JOIN metering.prices AS price ON price.id = event.price_id
                       JOIN metering.price_rates AS rates ON rates.price_id = price.id
                      WHERE event.cost_usd * 1000000
                          = event.input_tokens * rates.input_usd + event.output_tokens * rates.output_usd";
    assert_eq!(count(&admin, explained).await, 2);
}

#[tokio::test]
async fn a_price_can_end_and_nothing_else() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let from = SystemClock.now() - Duration::days(1);
    put(&node, setting("2", Some(from))).unwrap();
    node.stop();

    let changes = [
        "UPDATE metering.prices SET source = 'another' WHERE origin = 'operator'",
        "UPDATE metering.prices SET valid = tstzrange(NULL, NULL) WHERE origin = 'operator'",
        "UPDATE metering.prices SET valid = tstzrange(lower(valid) + interval '1 h', NULL) WHERE origin = 'operator'",
        "INSERT INTO metering.prices (id, origin, provider, model, valid, source)
         SELECT gen_random_uuid(), origin, provider, model, valid, source FROM metering.prices WHERE origin = 'operator'",
    ];
    for change in changes {
        let refused = sqlx::query(change).execute(&admin).await;
        assert!(refused.is_err(), "{change}");
    }
    let end = "UPDATE metering.prices SET valid = tstzrange(lower(valid), now()) WHERE origin = 'operator'";
    sqlx::query(end).execute(&admin).await.unwrap();
    let rights =
        "SELECT count(*)::bigint FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS wanted
                   WHERE has_table_privilege('flowpilot_worker', 'metering.price_rates', wanted)
                      OR has_table_privilege('flowpilot_app', 'metering.price_rates', wanted)";
    assert_eq!(count(&admin, rights).await, 0);
}

#[tokio::test]
async fn a_price_that_cannot_be_meant_is_refused_and_says_why() {
    let database = TestDatabase::new().await;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let now = SystemClock.now();
    let backdated = PriceSetting {
        backdate: false,
        ..setting("1", Some(now))
    };
    let too_fine = setting("0.0000001", None);
    let negative = setting("-1", None);
    let nameless = PriceSetting {
        model: String::new(),
        ..setting("1", None)
    };
    let expected = [
        (backdated, "from"),
        (too_fine, "usd.input"),
        (negative, "usd.input"),
        (nameless, "model"),
    ];
    for (setting, expected) in expected {
        match put(&node, setting) {
            Err(Error::Field { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let stranger = PriceSetting {
        organization_id: Some(Id::new(&SystemClock)),
        ..setting("1", None)
    };
    assert!(matches!(
        put(&node, stranger),
        Err(Error::OrganizationNotFound)
    ));
    node.stop();
}

#[test]
fn no_two_prices_of_the_shipped_list_share_an_id() {
    let list = config::PriceList::shipped().unwrap();
    let ids: std::collections::HashSet<_> = list
        .iter()
        .map(|listed| Price::of(std::sync::Arc::clone(listed)).id())
        .collect();
    assert_eq!(ids.len(), list.iter().count());
}
