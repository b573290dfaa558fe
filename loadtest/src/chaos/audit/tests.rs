//! The audit finds what it is there to find: each kind of wrong in books that are right otherwise.

use chrono::{DateTime, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::*;
use crate::chaos::client::Ending;
use crate::chaos::question::{Fault, Question};
use crate::provider::plan::Tokens;

const PRICES: &str = r#"
date = "2020-01-01"
price = [{ provider = "openai", model = "m", usd = { input = "1", output = "2" } }]
"#;

const TOKENS: Tokens = Tokens {
    input: 10,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    output: 5,
    reasoning: 0,
};

/// 10 × 1 + 5 × 2 dollars, by a million.
const COST: &str = "0.00002";

fn at(second: u32) -> DateTime<Utc> {
    format!("2026-11-22T10:00:{second:02}Z").parse().unwrap()
}

fn organization() -> Uuid {
    Uuid::from_u128(1)
}

/// One question, answered and booked as the provider has it.
fn right() -> Evidence {
    let mut call = Call::new(String::new(), "openai", "m", TOKENS);
    call.mark = Some("7-0".to_owned());
    call.at = at(1);
    Evidence {
        calls: vec![call],
        seen: vec![seen(Ending::Answered)],
        organizations: vec![organization()],
        losses: [0; NODES],
        charges: Ok(vec![
            charge("input", 10, "0.00001"),
            charge("output", 5, "0.00001"),
        ]),
        events: vec![event()],
    }
}

fn charge(class: &str, quantity: u64, cost: &str) -> Charge {
    Charge {
        organization: organization(),
        day: at(0).date_naive(),
        provider: "mock".to_owned(),
        model: "m".to_owned(),
        class: class.to_owned(),
        quantity,
        cost: price::decimal(cost).unwrap(),
        vague_cost: Usd::default(),
    }
}

fn event() -> Event {
    Event {
        request: Uuid::from_u128(9),
        organization: organization(),
        created_at: at(0),
        kind: "ai_request".to_owned(),
        provider: "mock".to_owned(),
        model: "m".to_owned(),
        outcome: "completed".to_owned(),
        source: "provider".to_owned(),
        quantity: 15,
        tokens: TOKENS,
        cost: price::decimal(COST).unwrap(),
        prompt: "user: how high is the tide? [[mark=7-0]]".to_owned(),
    }
}

fn seen(ending: Ending) -> Seen {
    let mut random = StdRng::seed_from_u64(1);
    let mut question = Question::draw((7, 0), (1, 1), |_| false, &mut random);
    question.fault = None;
    Seen {
        question,
        node: 0,
        request: Some(Uuid::from_u128(9)),
        ending,
    }
}

/// The findings, but for those about totals, which are the database's.
#[track_caller]
fn check(evidence: &Evidence, expected: &[&str]) {
    let prices = Prices::parse(PRICES).unwrap();
    let mut audit = Audit::default();
    calls::check(evidence, &prices, &mut audit).unwrap();
    explained::check(evidence, &mut audit);
    compare(&audit.findings, expected);
}

/// The findings about the export.
#[track_caller]
fn check_export(evidence: &Evidence, expected: &[&str]) {
    let prices = Prices::parse(PRICES).unwrap();
    let charged = calls::check(evidence, &prices, &mut Audit::default()).unwrap();
    let mut audit = Audit::default();
    export::check(evidence, &charged, &mut audit);
    compare(&audit.findings, expected);
}

#[track_caller]
fn compare(findings: &[String], expected: &[&str]) {
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for (finding, expected) in findings.iter().zip(expected) {
        assert!(finding.contains(expected), "{finding}");
    }
}

#[test]
fn books_that_are_right_are_found_right() {
    check(&right(), &[]);
    check_export(&right(), &[]);
}

#[test]
fn a_lost_call_is_found_although_another_was_booked_as_unknown_without_one() {
    let mut evidence = right();
    let mut other = evidence.calls[0].clone();
    other.mark = Some("7-1".to_owned());
    evidence.calls.push(other);
    check(&evidence, &["7-1: a call of the provider is lost"]);
}

#[test]
fn a_call_booked_twice_is_found() {
    let mut evidence = right();
    evidence.events.push(event());
    check(&evidence, &["which it is not", "answered, and booked as"]);
}

#[test]
fn a_cost_that_is_off_by_the_last_decimal_is_found() {
    let mut evidence = right();
    evidence.events[0].cost = price::decimal("0.000020000001").unwrap();
    check(
        &evidence,
        &["the cost of", "the provider's books and the events"],
    );
}

#[test]
fn an_answer_that_is_booked_as_unknown_is_found_also_when_its_gateway_was_killed() {
    let mut evidence = right();
    evidence.events[0].source = "unknown".to_owned();
    evidence.losses = [1; NODES];
    check(&evidence, &["answered, and booked as", "0 can be"]);
    // Where the client saw it break off, it may be.
    evidence.seen = vec![seen(Ending::Broken)];
    check(&evidence, &[]);
    evidence.losses = [0; NODES];
    check(&evidence, &["1 requests are booked as unknown, of which 0"]);
}

#[test]
fn an_estimate_without_a_reason_is_found() {
    let mut evidence = right();
    evidence.events[0].source = "estimated".to_owned();
    evidence.seen = vec![seen(Ending::Broken)];
    check(&evidence, &["estimated for no reason"]);
}

#[test]
fn a_booking_that_the_provider_never_saw_is_found_unless_it_is_nothing() {
    let mut evidence = right();
    evidence.calls.clear();
    check(&evidence, &["which it is not"]);
    evidence.seen = vec![seen(Ending::Refused(503))];
    evidence.events[0] = Event {
        outcome: "cancelled".to_owned(),
        source: "estimated".to_owned(),
        quantity: 0,
        tokens: Tokens::default(),
        cost: Usd::default(),
        ..event()
    };
    check(&evidence, &[]);
}

#[test]
fn a_booking_for_another_organization_is_found() {
    let mut evidence = right();
    evidence.events[0].organization = Uuid::from_u128(2);
    check(&evidence, &["for another organization"]);
}

#[test]
fn of_an_estimate_and_an_unknown_attempt_the_estimate_has_the_call() {
    let mut evidence = right();
    evidence.losses = [1; NODES];
    let mut broken = seen(Ending::Broken);
    broken.question.fault = Some(Fault::Cut);
    evidence.seen = vec![broken];
    let attempt = |source: &str, outcome: &str| Event {
        source: source.to_owned(),
        outcome: outcome.to_owned(),
        ..event()
    };
    evidence.events = vec![
        attempt("unknown", "unknown"),
        attempt("estimated", "failed"),
    ];
    check(&evidence, &[]);
}

/// The export with one charge made another.
fn exported(change: impl Fn(&mut Charge)) -> Evidence {
    let mut evidence = right();
    evidence
        .charges
        .as_mut()
        .unwrap()
        .iter_mut()
        .for_each(change);
    evidence
}

const TOKENS_DIFFER: &str = "the tokens of the FOCUS export and the events";
const COSTS_DIFFER: &str = "the costs of the FOCUS export and the events";
const BOOKS_DIFFER: &str = "without estimates, and the provider's books";

#[test]
fn an_export_of_another_day_or_class_or_with_a_charge_too_few_is_found() {
    let late = exported(|charge| charge.day = charge.day.succ_opt().unwrap());
    check_export(&late, &[TOKENS_DIFFER, COSTS_DIFFER, BOOKS_DIFFER]);
    let reclassed = exported(|charge| charge.class = "input".to_owned());
    check_export(&reclassed, &[TOKENS_DIFFER]);
    let mut short = right();
    short.charges.as_mut().unwrap().pop();
    check_export(&short, &[TOKENS_DIFFER, COSTS_DIFFER, BOOKS_DIFFER]);
    let mut none = right();
    none.charges = Err(anyhow::anyhow!("it does not add up"));
    check_export(&none, &["there is no FOCUS export: it does not add up"]);
}

#[test]
fn what_is_estimated_must_be_so_in_the_export_too() {
    let mut evidence = exported(|charge| charge.vague_cost = charge.cost.clone());
    check_export(&evidence, &[BOOKS_DIFFER]);
    evidence.events[0].source = "unknown".to_owned();
    check_export(&evidence, &[]);
}
