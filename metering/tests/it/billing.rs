//! A month is closed: compared, rounded, numbered and frozen; and what comes later is billed later.

use chrono::{Duration, Months};
use database::testing::TestDatabase;
use metering::billing::markups::{self, MarkupKind, MarkupSetting};
use metering::billing::{self, Closing, Credit, Error};
use rust_decimal::Decimal;
use types::{Id, SystemClock, TestClock, Usd};

use crate::month::{Books, at, closing, cost_of, last_month, sum};
use crate::node::{self, Node, Settings, caller, usage, usd};
use crate::prices::{put, setting};

#[tokio::test]
async fn a_month_is_closed_once_and_what_it_leaves_goes_to_the_next() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    let used = at(month) + Duration::days(3);
    books.used(organization, used, 40).await;

    let seen = books
        .close(
            organization,
            Closing {
                dry_run: true,
                ..closing(month)
            },
        )
        .unwrap();
    assert_eq!(
        books.count("SELECT count(*) FROM metering.invoices").await,
        0
    );
    let invoice = books.close(organization, closing(month)).unwrap();
    let again = books.close(organization, closing(month)).unwrap();

    assert_eq!(invoice.number, again.number);
    assert_eq!(seen.number, invoice.number);
    assert_eq!(invoice.exact_usd, cost_of(40));
    let total = Usd::new(invoice.total_usd);
    assert_eq!(invoice.exact_usd, total + invoice.carry_out_usd);
    assert_eq!(
        (sum(&invoice.charges), sum(&invoice.departments)),
        (invoice.total_usd, invoice.total_usd)
    );
    let exact: Usd = invoice.charges.iter().map(|line| line.exact_usd).sum();
    assert_eq!(exact, total);
    assert_eq!(again.charges, invoice.charges);
    let (status, _, frozen) = books.status(organization, month).await;
    assert_eq!((status.as_str(), frozen), ("invoiced", cost_of(40)));
    let (status, carried, _) = books.status(organization, month + Months::new(1)).await;
    assert_eq!(
        (status.as_str(), carried),
        ("active", invoice.carry_out_usd)
    );
    books.assert_balanced().await;
    books.node.stop();
}

#[tokio::test]
async fn late_usage_is_billed_in_the_open_month_and_says_so() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    let used = at(month) + Duration::days(3);
    books.used(organization, used, 3).await;
    let invoice = books.close(organization, closing(month)).unwrap();

    books.used(organization, used, 2).await;

    let (_, _, frozen) = books.status(organization, month).await;
    assert_eq!(frozen, invoice.exact_usd);
    let (_, _, open) = books.status(organization, month + Months::new(1)).await;
    assert_eq!(open, cost_of(2));
    let late = "SELECT count(*) FROM usage_events
                 WHERE billed_period = date_trunc('month', now() AT TIME ZONE 'UTC')::date
                   AND created_at < billed_period";
    assert_eq!(
        books.count(late).await,
        4,
        "two requests, each with its call"
    );
    books.assert_balanced().await;
    // Nobody used anything two months ago; the invoice of nothing is one all the same, and does not wait for a row.
    let earlier = books
        .close(organization, closing(month - Months::new(1)))
        .unwrap();
    assert_eq!(earlier.total_usd, Decimal::new(0, 2));
    assert_eq!(
        (
            invoice.number.ends_with("000001"),
            earlier.number.ends_with("000002")
        ),
        (true, true)
    );
    books.node.stop();
}

#[tokio::test]
async fn a_difference_blocks_the_close_and_leaves_nothing_behind() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    books.used(organization, at(month), 2).await;
    let spoilt = [
        (
            "UPDATE billing_usage SET total_cost_usd_exact = total_cost_usd_exact + 0.000000000001",
            "billing_usage",
        ),
        (
            "UPDATE billing_usage SET total_cost_usd_exact = total_cost_usd_exact - 0.000000000001, total_api_calls = 1",
            "billing_usage",
        ),
        (
            "UPDATE billing_usage SET total_api_calls = 2; ",
            "usage_rollup",
        ),
    ];
    for (number, (change, place)) in spoilt.into_iter().enumerate() {
        sqlx::query(change).execute(&books.admin).await.unwrap();
        if number == 2 {
            sqlx::query("UPDATE metering.usage_rollup SET events = events + 1")
                .execute(&books.admin)
                .await
                .unwrap();
        }
        match books.close(organization, closing(month)) {
            Err(Error::Differs(differences)) => {
                assert!(
                    differences.iter().all(|one| one.what.contains(place)),
                    "{differences:?}"
                );
            }
            other => panic!("{place}: {other:?}"),
        }
    }
    assert_eq!(
        books
            .count("SELECT count(*) FROM metering.invoice_numbers")
            .await,
        0
    );
    let (status, ..) = books.status(organization, month).await;
    assert_eq!(status, "active");
    books.node.stop();
}

#[tokio::test]
async fn a_month_waits_for_its_end_its_nodes_and_the_months_before() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    let this_month = month + Months::new(1);
    assert!(matches!(
        books.close(organization, closing(this_month)),
        Err(Error::TooEarly { .. })
    ));
    let long = Closing {
        grace: Duration::days(62),
        ..closing(month)
    };
    assert!(matches!(
        books.close(organization, long),
        Err(Error::TooEarly { .. })
    ));
    assert!(matches!(
        books.close(organization, closing(month + Duration::days(1))),
        Err(Error::NoMonth)
    ));

    books
        .used(organization, at(month) - Duration::days(1), 1)
        .await;
    match books.close(organization, closing(month)) {
        Err(Error::EarlierOpen { month: earlier }) => assert_eq!(earlier, month - Months::new(1)),
        other => panic!("{other:?}"),
    }
    let lost: uuid::Uuid = sqlx::query_scalar(
        "INSERT INTO metering.journal_watermarks (node_id, settled_position, read_position, shipped_at, booked_until)
         VALUES (gen_random_uuid(), 0, 0, now(), now() - interval '3 months') RETURNING node_id",
    )
    .fetch_one(&books.admin)
    .await
    .unwrap();
    let earlier = closing(month - Months::new(1));
    match books.close(organization, earlier.clone()) {
        Err(Error::NodesBehind { nodes }) => assert_eq!(nodes.first().unwrap().0, lost),
        other => panic!("{other:?}"),
    }
    let without = Closing {
        without_nodes: vec![lost],
        ..earlier
    };
    assert!(books.close(organization, without).is_ok());
    books.node.stop();
}

#[tokio::test]
async fn a_node_that_stopped_in_order_holds_up_no_month() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    node.complete(caller(organization), usage(100, 7));
    node.stop();
    let complete = "SELECT is_complete FROM metering.journal_watermarks";
    assert!(
        sqlx::query_scalar::<_, bool>(complete)
            .fetch_one(&admin)
            .await
            .unwrap()
    );
    let node = Node::start(&database, journal.path(), Settings::default());
    node.complete(caller(organization), usage(100, 7));
    node::eventually("the node says that it is there again", || async {
        !sqlx::query_scalar::<_, bool>(complete)
            .fetch_one(&admin)
            .await
            .unwrap()
    })
    .await;
    node.stop();
}

#[tokio::test]
async fn a_mark_up_is_a_line_and_an_event_of_its_own() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    books.used(organization, at(month), 40).await;
    let settings = [
        ("Platform fee", MarkupKind::Percent, "7.5"),
        ("Support", MarkupKind::PerMillionTokens, "3"),
    ];
    for (name, kind, rate) in settings {
        let setting = MarkupSetting {
            organization_id: organization,
            name: name.to_owned(),
            kind,
            rate: rate.parse().unwrap(),
            first_period: month,
        };
        books.run(move |database, _| async move {
            markups::put(&database, &SystemClock, &setting, None)
                .await
                .unwrap()
        });
    }

    let invoice = books.close(organization, closing(month)).unwrap();

    let exact = |name: &str| {
        let line = invoice
            .charges
            .iter()
            .find(|line| line.model.as_deref() == Some(name))
            .unwrap();
        assert_eq!(line.kind, "markup");
        line.exact_usd.decimal()
    };
    let provider = cost_of(40).decimal();
    assert_eq!(exact("Platform fee"), provider * Decimal::new(75, 3));
    let tokens = Decimal::from(invoice.total_tokens);
    assert_eq!(exact("Support"), tokens * Decimal::new(3, 6));
    assert_eq!(
        invoice.exact_usd.decimal(),
        provider + exact("Platform fee") + exact("Support")
    );
    assert_eq!(sum(&invoice.charges), invoice.total_usd);
    let events =
        "SELECT count(*) FROM usage_events WHERE event_type = 'markup' AND price_id IS NULL";
    assert_eq!(books.count(events).await, 2);
    books.assert_balanced().await;
    books.node.stop();
}

#[tokio::test]
async fn departments_share_the_total_to_the_cent() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    let department = |number: u128| Some(Id::from_uuid(uuid::Uuid::from_u128(number)));
    for (number, times) in [(1, 5), (2, 3)] {
        books
            .used_by(organization, department(number), at(month), times)
            .await;
    }
    books.used(organization, at(month), 1).await;

    let invoice = books.close(organization, closing(month)).unwrap();

    assert_eq!(sum(&invoice.departments), invoice.total_usd);
    let used: Vec<_> = invoice
        .departments
        .iter()
        .map(|line| (line.department_id.is_some(), line.exact_usd))
        .collect();
    assert_eq!(
        used,
        [(true, cost_of(5)), (true, cost_of(3)), (false, cost_of(1))]
    );
    books.node.stop();
}

#[tokio::test]
async fn repricing_books_the_difference_once_and_an_invoiced_month_stays() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    books.used(organization, at(month), 3).await;
    let invoice = books.close(organization, closing(month)).unwrap();
    let this_month = at(month + Months::new(1));
    books.used(organization, this_month, 2).await;
    // Twice the price of input, from before both months on.
    let wrong = put(&books.node, setting("2.5", Some(at(month)))).unwrap();
    node::eventually("the price is known", || async {
        books.node.metering.prices().by_id(wrong.id).is_some()
    })
    .await;

    let seen = books.reprice(true);
    assert_eq!((seen.events, seen.differing, seen.booked), (5, 5, 0));
    books.assert_balanced().await;
    let first = books.reprice(false);
    let second = books.reprice(false);

    assert_eq!((first.booked, second.differing, second.booked), (5, 0, 0));
    assert_eq!(seen.differences, first.differences);
    let more: Usd = first
        .differences
        .iter()
        .map(|one| one.after_usd - one.before_usd)
        .sum();
    // 303 and 201 input tokens at another 1.25 dollars for a million.
    assert_eq!(more, usd("0.00063"));
    let (_, _, frozen) = books.status(organization, month).await;
    assert_eq!(frozen, invoice.exact_usd);
    let (_, _, open) = books.status(organization, month + Months::new(1)).await;
    assert_eq!(open, cost_of(2) + more);
    let unchanged = "SELECT count(*) FROM usage_events WHERE event_type = 'ai_request' AND corrects_id IS NOT NULL";
    assert_eq!(books.count(unchanged).await, 0);
    books.assert_balanced().await;
    // All five have the tag, and so have their corrections, which are no requests.
    let tagged = "SELECT sum(cost_usd) FROM metering.tag_rollup WHERE tag_key = 'team'";
    let all = "SELECT sum(cost_usd) FROM usage_events";
    assert_eq!(books.decimal(tagged).await, books.decimal(all).await);
    let requests = "SELECT sum(events)::bigint FROM metering.tag_rollup WHERE tag_key = 'team'";
    assert_eq!(books.count(requests).await, 5);

    // Back again: each event has a second correction, and costs what it did.
    let right = put(&books.node, setting("1.25", Some(at(month)))).unwrap();
    node::eventually("the price is known", || async {
        books.node.metering.prices().by_id(right.id).is_some()
    })
    .await;
    assert_eq!(books.reprice(false).booked, 5);
    let (_, _, open) = books.status(organization, month + Months::new(1)).await;
    assert_eq!(open, cost_of(2));
    books.assert_balanced().await;
    books.node.stop();
}

#[tokio::test]
async fn a_credit_is_given_once_and_never_beyond_the_invoice() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    // Enough for some cents.
    let markup = MarkupSetting {
        organization_id: organization,
        name: "Base fee".to_owned(),
        kind: MarkupKind::PerMillionTokens,
        rate: "100000".parse().unwrap(),
        first_period: month,
    };
    books.run(move |database, _| async move {
        markups::put(&database, &SystemClock, &markup, None)
            .await
            .unwrap()
    });
    books.used(organization, at(month), 1).await;
    let invoice = books.close(organization, closing(month)).unwrap();
    let credit = |reference: &str, amount: Decimal| {
        let number = invoice.number.clone();
        let credit = Credit {
            reference: reference.to_owned(),
            amount_usd: amount,
            reason: "a test".to_owned(),
        };
        books.run(move |database, metering| async move {
            billing::credit(&database, &metering.prices(), &number, &credit).await
        })
    };
    let cent = Decimal::new(1, 2);

    assert!(credit("CN-1", cent).unwrap());
    assert!(!credit("CN-1", cent).unwrap());
    assert!(matches!(
        credit("CN-2", invoice.total_usd),
        Err(Error::Field {
            field: "amount_usd",
            ..
        })
    ));
    assert!(credit("CN-2", invoice.total_usd - cent).unwrap());
    assert!(matches!(credit("CN-3", cent), Err(Error::Field { .. })));

    let (_, _, open) = books.status(organization, month + Months::new(1)).await;
    assert_eq!(open, Usd::new(-invoice.total_usd));
    books.assert_balanced().await;
    books.node.stop();
}

#[tokio::test]
async fn an_invoice_is_paid_once_and_changed_by_nobody() {
    let books = Books::start().await;
    let organization = books.organization("one").await;
    let month = last_month();
    books.used(organization, at(month), 1).await;
    let invoice = books.close(organization, closing(month)).unwrap();
    let pay = || {
        let number = invoice.number.clone();
        books.run(move |database, _| async move {
            billing::pay(
                &database,
                &TestClock::at("2030-01-01T00:00:00Z"),
                &number,
                "wire 7",
            )
            .await
        })
    };
    assert_eq!(pay().unwrap().status, "paid");
    assert!(matches!(pay(), Err(Error::Paid)));
    let (status, ..) = books.status(organization, month).await;
    assert_eq!(status, "paid");
    let changes = [
        "UPDATE metering.invoices SET total_usd = total_usd + 1, carry_out_usd = carry_out_usd - 1",
        "UPDATE metering.invoices SET payment_reference = 'another'",
        "DELETE FROM metering.invoice_lines",
        "UPDATE metering.invoice_lines SET amount_usd = 0",
        "UPDATE billing_usage SET total_cost_usd = 7 WHERE status = 'paid'",
    ];
    for change in changes {
        assert!(
            sqlx::query(change).execute(&books.admin).await.is_err(),
            "{change}"
        );
    }
    books.node.stop();
}
