//! Every difference is divided without a rest, and each cause is found where it alone is at work.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use proptest::prelude::*;
use rust_decimal::Decimal;
use types::Usd;

use super::*;

fn usd(text: &str) -> Usd {
    Usd::new(text.parse::<Decimal>().unwrap())
}

fn line(model: &str, class: &str) -> Line {
    Line {
        day: NaiveDate::from_ymd_opt(2026, 11, 2).unwrap(),
        model: model.to_owned(),
        class: class.to_owned(),
    }
}

fn ours(quantity: i64, cost: &str) -> Ours {
    Ours {
        quantity,
        cost: usd(cost),
        unsure: Unsure::default(),
    }
}

fn theirs(quantity: i64, cost: &str) -> Theirs {
    Theirs {
        quantity,
        cost: usd(cost),
    }
}

/// The bill of a provider that differs from us in every way there is.
#[test]
fn a_bill_that_differs_in_each_way_is_taken_apart() {
    let bill = "day,model,token_class,quantity,cost_usd\r\n\
                2026-11-02,same,input,1000000,2.50\r\n\
                2026-11-02,dearer,input,1000000,3.00\r\n\
                2026-11-02,killed,output,300,0.003\r\n\
                2026-11-02,counted,output,90,0.0009\r\n\
                2026-11-02,broken,input,0,0\r\n\
                2026-11-02,never,input,7,0.1\r\n";
    let unsure = |unknown: &str, estimated: &str, failed: &str| Unsure {
        unknown: usd(unknown),
        estimated: usd(estimated),
        failed: usd(failed),
    };
    let with = |ours: Ours, unsure| Ours { unsure, ..ours };
    let books = BTreeMap::from([
        (line("same", "input"), ours(1_000_000, "2.5")),
        (line("dearer", "input"), ours(1_000_000, "2.5")),
        (
            line("killed", "output"),
            with(ours(100, "0.001"), unsure("0.0015", "0", "0")),
        ),
        (
            line("counted", "output"),
            with(ours(100, "0.001"), unsure("0", "0.001", "0")),
        ),
        (
            line("broken", "input"),
            with(ours(50, "0.0005"), unsure("0", "0", "0.0005")),
        ),
    ]);
    let rows = compare(&books, Bill::parse(bill).unwrap().lines());
    let by_model: BTreeMap<_, _> = rows.iter().map(|row| (row.model.as_str(), row)).collect();

    assert_eq!(by_model["same"].difference_usd, Usd::ZERO);
    assert_eq!(by_model["dearer"].price_mismatch_usd, usd("0.5"));
    assert_eq!(by_model["killed"].unknown_usd, usd("0.0015"));
    assert_eq!(by_model["killed"].unexplained_usd, usd("0.0005"));
    assert_eq!(by_model["counted"].estimated_usd, usd("-0.0001"));
    assert_eq!(by_model["broken"].failed_usd, usd("-0.0005"));
    assert_eq!(by_model["never"].unexplained_usd, usd("0.1"));
}

#[test]
fn a_bill_says_where_it_is_wrong() {
    let check =
        |text: &str, expected: BillError| assert_eq!(Bill::parse(text).unwrap_err(), expected);
    check("model,cost\n", BillError::Header);
    let with = |line: &str| format!("{}\n2026-11-01,m,input,1,0.5\n{line}\n", bill::HEADER);
    check(
        &with("2026-11-02,m,input,1"),
        BillError::Line(3, "it has not five cells"),
    );
    check(
        &with("2026-11-02,m,input,1.5,1"),
        BillError::Line(3, "the quantity is no whole number"),
    );
    check(
        &with("2026-11-02,m,input,1,x"),
        BillError::Line(3, "the cost is no decimal number"),
    );
    let bill = Bill::parse(&with("2026-11-01,m,input,2,0.25")).unwrap();
    assert_eq!(
        bill.lines()[&Line {
            day: NaiveDate::from_ymd_opt(2026, 11, 1).unwrap(),
            ..line("m", "input")
        }],
        theirs(3, "0.75")
    );
    let october = (
        NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(),
        NaiveDate::from_ymd_opt(2026, 11, 1).unwrap(),
    );
    assert!(matches!(
        bill.check(october.0, october.1),
        Err(BillError::Outside(_))
    ));
}

proptest! {
    #[test]
    fn the_parts_of_every_difference_add_up_to_it(
        amounts in prop::collection::vec((0_i64..5, 0_i64..1_000_000, 0_i64..1_000_000, 0_i64..1_000_000, 0_i64..1_000_000, 0_i64..3_000), 1..12),
    ) {
        let classes = ["input", "output", "cache_read"];
        let (mut books, mut bill) = (BTreeMap::new(), BTreeMap::new());
        for (place, (model, quantity, cost, their_quantity, their_cost, unsure)) in amounts.iter().enumerate() {
            let line = line(&format!("m{model}"), classes[place % 3]);
            let part = Usd::new(Decimal::new(*unsure, 6));
            let unsure = Unsure { unknown: part, estimated: part, failed: part };
            books.insert(line.clone(), Ours { quantity: *quantity, cost: Usd::new(Decimal::new(*cost, 6)), unsure });
            bill.insert(line, Theirs { quantity: *their_quantity, cost: Usd::new(Decimal::new(*their_cost, 6)) });
        }
        for row in compare(&books, &bill) {
            let parts = row.price_mismatch_usd + row.unknown_usd + row.estimated_usd + row.failed_usd + row.unexplained_usd;
            prop_assert_eq!(parts, row.difference_usd);
            prop_assert_eq!(row.their_cost_usd - row.our_cost_usd, row.difference_usd);
        }
    }
}
