//! The bytes of versions 1 and 2, as they were the day each was frozen.

use super::*;
use crate::journal::record::Claim;

/// If this fails, old journals cannot be read: make a version 2.
#[test]
fn version_1_stays_readable() {
    let golden = include_str!("../golden-v1.txt");
    let records = golden_records();
    for (line, record) in golden.lines().zip(&records) {
        assert_eq!(line, hex(record));
    }
    assert_eq!(golden.lines().count(), records.len());
}

/// The same of version 2, whose records end in the budgets they count against.
#[test]
fn version_2_stays_readable() {
    let golden = include_str!("../golden-v2.txt");
    let records = golden_records().into_iter().map(with_claims);
    let encoded = records.map(|record| hex(&record) + "\n");
    assert_eq!(golden, encoded.collect::<String>());
}

/// With budgets, where a record can have any: a settlement is found by its intent's.
fn with_claims(mut record: Record) -> Record {
    let claim = |number: u128, resource: &'static str, lease: Option<u128>| Claim {
        budget: uuid::Uuid::from_u128(number),
        resource: resource.into(),
        lease: lease.map(uuid::Uuid::from_u128),
    };
    match &mut record {
        Record::Intent(intent) => {
            intent.subject.claims = vec![claim(1, "usd", Some(2)), claim(3, "ai_tokens", None)];
        }
        Record::Replayed(replayed) => {
            replayed.subject.claims = vec![claim(4, "api_calls", Some(5))];
        }
        Record::Settle(_) => {}
    }
    record
}

/// Every kind of record: first as little as it may say, then all that it can.
fn golden_records() -> Vec<Record> {
    let intent = Intent::new(intent(9), &form::Held::default(), Usd::ZERO);
    let settle = Settle::new((fixed(9), 1), settlement(), usd(1_234_567, 12));
    let replayed = Replayed {
        subject: intent.subject.clone(),
        completion_text: None,
        saved_cost: usd(5, 2),
        latency_ms: 3,
    };
    let full = full_subject(&intent.subject);
    vec![
        Record::from(intent),
        Record::from(settle.clone()),
        Record::from(replayed),
        Record::from(full_intent(full.clone())),
        Record::from(full_settle(settle)),
        Record::from(Replayed {
            subject: full,
            completion_text: Some("Paris".to_owned()),
            saved_cost: usd(1, 12),
            latency_ms: u64::MAX,
        }),
    ]
}

fn full_subject(subject: &Subject) -> Subject {
    let id = |number| Some(fixed::<()>(number).uuid());
    Subject {
        department: id(4),
        workflow: id(5),
        execution: id(6),
        step: id(7),
        call_lease: id(8),
        cache_status: Some("bypass".into()),
        ..subject.clone()
    }
}

fn full_intent(subject: Subject) -> Intent {
    Intent {
        subject,
        attempt: 3,
        charge_to: "platform".into(),
        input_tokens_max: 300,
        output_tokens_max: 70_000,
        lease: Some(fixed::<()>(10).uuid()),
        reserved_tokens: 70_300,
        price: Some(fixed::<()>(11).uuid()),
        unknown_cost: usd(-1, 12),
    }
}

fn full_settle(settle: Settle) -> Settle {
    Settle {
        last_attempt: false,
        tokens: Tokens {
            input: 1,
            cache_read: 2,
            cache_write_5m: 3,
            cache_write_1h: 4,
            audio_input: 5,
            image: 6,
            output: 7,
            reasoning: 8,
            audio_output: 9,
            web_searches: 10,
        },
        service: "batch".into(),
        error_kind: Some("upstream_timeout".to_owned()),
        error_message: Some("the provider took too long".to_owned()),
        provider_model: Some("demo-1-0925".to_owned()),
        ..settle
    }
}

fn usd(amount: i64, scale: u32) -> Usd {
    Usd::new(rust_decimal::Decimal::new(amount, scale))
}

fn hex(record: &Record) -> String {
    use std::fmt::Write as _;
    let mut bytes = Vec::new();
    record.encode(&mut bytes).unwrap();
    assert_eq!(&Record::decode(&bytes).unwrap(), record);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
