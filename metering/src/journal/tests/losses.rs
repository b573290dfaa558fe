//! What a journal may lose, and what it must not.

use super::*;

#[test]
fn damage_in_the_last_segment_loses_the_damaged_record_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut frames = Vec::new();
    let mut ends = Vec::new();
    for number in 0..4 {
        let record = Record::from(Intent::new(
            intent(number),
            &form::Held::default(),
            Usd::ZERO,
        ));
        encode(&record, &mut frames).unwrap();
        ends.push(frames.len());
    }
    // One in its payload, another in its length.
    frames[ends[0] - 1] ^= 1;
    frames[ends[1] + 3] = 0xff;
    let first = folder.path().join(format!("{:020}.journal", 0));
    fs_err::write(&first, &frames).unwrap();

    let journal = open(&options(folder.path()));

    let requests: Vec<_> = read_all(&journal)
        .iter()
        .filter_map(|record| match record {
            Record::Intent(intent) => Some(intent.subject.request_id),
            _ => None,
        })
        .collect();
    assert_eq!(requests, [fixed::<()>(1).uuid(), fixed::<()>(3).uuid()]);
    let lost = fs_err::read(first.with_extension("corrupt")).unwrap();
    assert_eq!(lost, &frames[..ends[0]]);
}

#[tokio::test]
async fn a_hit_survives_a_kill_although_nobody_waited_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    journal.replayed(replay(7), None).unwrap();

    let after = killed(folder.path());
    let records = read_all(&open(&options(after.path())));
    assert!(matches!(records.as_slice(), [Record::Replayed(_)]));
}

pub(super) fn replay(number: u128) -> form::Replay {
    let intent = intent(number);
    form::Replay {
        request_id: intent.request_id,
        caller: intent.caller,
        attribution: Attribution::default(),
        endpoint: intent.endpoint,
        dialect: intent.dialect,
        model: intent.model,
        provider: intent.provider,
        provider_model: intent.provider_model,
        stream: false,
        created_at: intent.created_at,
        prompt_text: intent.prompt_text,
        completion_text: None,
        temperature: None,
        cache_status: form::CacheStatus::Exact,
        saved_cost: Usd::ZERO,
        latency: Duration::from_millis(1),
    }
}

#[test]
fn a_journal_that_cannot_be_read_back_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    assert_eq!(journal.refusal(), None);
    journal.refuse_as_unreadable();
    assert_eq!(journal.refusal(), Some(Error::Failed));
}

#[tokio::test]
async fn damage_in_an_older_segment_is_set_aside_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes_max: 600,
        ..options(folder.path())
    };
    let journal = open(&options);
    for number in 0..6 {
        let pending = journal.intend(intent(number), form::Held::default());
        let durable = pending.await.unwrap().settle(settlement()).unwrap();
        durable.await.unwrap();
    }
    let after = killed(folder.path());
    let first = segments(after.path()).remove(0);
    let mut bytes = fs_err::read(&first).unwrap();
    let middle = bytes.len() - 10;
    bytes[middle] ^= 1;
    fs_err::write(&first, bytes).unwrap();

    let reopened = open(&Options {
        folder: after.path().to_owned(),
        ..options
    });
    let records = read_all(&reopened);

    assert!(first.with_extension("corrupt").exists());
    let settled = records
        .iter()
        .filter(|r| matches!(r, Record::Settle(_)))
        .count();
    let intents = records
        .iter()
        .filter(|r| matches!(r, Record::Intent(_)))
        .count();
    assert!(intents >= 5, "{intents}");
    // What lost its settlement to the damage was settled as unknown; nothing is left open.
    assert!(settled >= intents);
}
