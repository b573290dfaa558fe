//! The journal against kills, torn tails, damage, a full budget and impatient callers.

mod disk;
mod golden;
mod losses;
mod properties;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use types::call::{Dialect, Endpoint};
use types::id::Organization;
use types::{Caller, Outcome, Permissions, Principal, SystemClock, TestClock, UsageSource};

use super::*;
use crate::quota::Estimate;
use crate::record::Attribution;

fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        durability: Durability::Fsync,
        segment_bytes_max: 1024 * 1024,
        journal_bytes_max: 64 * 1024 * 1024,
    }
}

fn open(options: &Options) -> Journal {
    Journal::open(options, Arc::new(SystemClock)).unwrap()
}

fn fixed<T>(number: u128) -> Id<T> {
    Id::from_uuid(uuid::Uuid::from_u128(number))
}

fn caller() -> Caller {
    Caller {
        organization: fixed::<Organization>(1),
        principal: Principal::Key {
            id: fixed(2),
            user: fixed(3),
        },
        permissions: Permissions::NONE,
        department: None,
    }
}

fn intent(number: u128) -> form::Intent {
    form::Intent {
        request_id: fixed(number),
        attempt: 1,
        caller: caller(),
        attribution: Attribution {
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            ..Attribution::default()
        },
        endpoint: Endpoint::Chat,
        dialect: Dialect::Openai,
        model: "default".to_owned(),
        provider: "demo".to_owned(),
        provider_model: "demo-1".to_owned(),
        stream: true,
        created_at: TestClock::at("2026-11-22T10:00:00Z").now(),
        prompt_text: "Hello\0 there".to_owned(),
        temperature: Some("0.7".to_owned()),
        estimate: Estimate {
            input_tokens_max: 20,
            output_tokens_max: 100,
        },
        price: None,
        cache_status: Some(form::CacheStatus::Miss),
        charge_to: form::ChargeTo::Tenant,
    }
}

fn settlement() -> form::Settlement {
    form::Settlement {
        outcome: Outcome::Completed,
        usage: Usage {
            input_tokens: 12,
            output_tokens: 30,
            ..Usage::default()
        },
        usage_source: UsageSource::Provider,
        service: price::Service::Standard,
        latency: Duration::from_millis(250),
        time_to_first_token: Some(Duration::from_millis(40)),
        completion_text: Some("Hi".to_owned()),
        failure: None,
        provider_model: None,
        completed_at: TestClock::at("2026-11-22T10:00:01Z").now(),
        last_attempt: true,
    }
}

fn read_all(journal: &Journal) -> Vec<Record> {
    let mut reader = journal.reader();
    let mut records = Vec::new();
    loop {
        let entries = reader.read().unwrap();
        if entries.is_empty() {
            return records;
        }
        records.extend(entries.into_iter().map(|entry| entry.record));
    }
}

/// What another process would find after this one was killed now.
fn killed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "journal"))
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn an_intent_that_was_acknowledged_survives_a_kill_and_is_settled_as_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let pending = journal
        .intend(intent(7), form::Held::default())
        .await
        .unwrap();

    let after = killed(folder.path());
    let reopened = tokio::task::spawn_blocking({
        let options = options(after.path());
        move || open(&options)
    });
    let records = read_all(&reopened.await.unwrap());

    let [Record::Intent(found), Record::Settle(settle)] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(found.subject.prompt_text, "Hello there");
    assert_eq!(settle.request_id, found.subject.request_id);
    assert_eq!(settle.usage_source, "unknown");
    assert_eq!((settle.tokens.input, settle.tokens.output), (20, 0));
    drop(pending);
}

/// The row of a request is made of its last attempt, so there must be exactly one.
#[tokio::test]
async fn a_request_that_was_killed_with_two_attempts_open_ends_with_the_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let attempt = |attempt| form::Intent {
        attempt,
        ..intent(7)
    };
    let first = journal.intend(attempt(1), form::Held::default());
    let first = first.await.unwrap();
    let second = journal.intend(attempt(2), form::Held::default());
    let second = second.await.unwrap();

    let after = killed(folder.path());
    let reopened = tokio::task::spawn_blocking({
        let options = options(after.path());
        move || open(&options)
    });
    let records = read_all(&reopened.await.unwrap());

    let settled = records.iter().filter_map(|record| match record {
        Record::Settle(settle) => Some((settle.attempt, settle.last_attempt)),
        _ => None,
    });
    assert_eq!(settled.collect::<Vec<_>>(), [(1, false), (2, true)]);
    drop((first, second));
}

#[tokio::test]
async fn a_settlement_is_in_the_files_before_it_is_called_durable() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let pending = journal
        .intend(intent(7), form::Held::default())
        .await
        .unwrap();
    pending.settle(settlement()).unwrap().await.unwrap();

    let after = killed(folder.path());
    let reopened = open(&options(after.path()));
    let records = read_all(&reopened);

    let [Record::Intent(_), Record::Settle(settle)] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(settle.outcome, "completed");
    assert_eq!(settle.usage_source, "provider");
}

#[tokio::test]
async fn an_attempt_that_is_dropped_is_settled_as_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    drop(
        journal
            .intend(intent(7), form::Held::default())
            .await
            .unwrap(),
    );
    journal.close();

    let records = read_all(&journal);
    assert!(
        matches!(records.as_slice(), [Record::Intent(_), Record::Settle(s)] if s.outcome == "unknown")
    );
}

#[tokio::test]
async fn a_wait_that_is_dropped_before_the_intent_is_written_books_nothing_used() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let mut intend = Box::pin(journal.intend(intent(7), form::Held::default()));
    let polled = futures_util::poll!(&mut intend);
    drop(intend);
    let was_waiting = polled.is_pending();
    drop(polled);
    journal.close();

    let records = read_all(&journal);
    let settle = match records.as_slice() {
        [Record::Intent(_), Record::Settle(settle)] => settle,
        other => panic!("{other:?}"),
    };
    // Had the writer been faster than the poll, the provider might have been called.
    if was_waiting {
        assert_eq!(settle.outcome, "cancelled");
        assert_eq!(settle.tokens, Tokens::default());
    }
}

#[tokio::test]
async fn full_segments_are_left_behind_and_removed_once_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes_max: 600,
        ..options(folder.path())
    };
    let journal = open(&options);
    for number in 0..20 {
        let pending = journal.intend(intent(number), form::Held::default());
        let durable = pending.await.unwrap().settle(settlement()).unwrap();
        durable.await.unwrap();
    }
    assert!(segments(folder.path()).len() > 3);
    assert_eq!(read_all(&journal).len(), 40);

    let end = journal.written();
    journal
        .set_watermark(Watermark {
            settled: end,
            read: end,
        })
        .unwrap();
    assert_eq!(segments(folder.path()).len(), 1);

    drop(journal);
    let reopened = open_when_unlocked(&options);
    assert_eq!(read_all(&reopened).len(), 0);
}

/// The lock of a journal in this process ends when its threads have.
fn open_when_unlocked(options: &Options) -> Journal {
    loop {
        match Journal::open(options, Arc::new(SystemClock)) {
            Ok(journal) => return journal,
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_full_journal_refuses_new_intents_but_takes_every_settlement() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&Options {
        journal_bytes_max: 1_000,
        ..options(folder.path())
    });
    let mut pending = Vec::new();
    let refused = loop {
        match journal
            .intend(intent(pending.len() as u128), form::Held::default())
            .await
        {
            Ok(one) => pending.push(one),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, Error::Full);
    assert!(!pending.is_empty());
    for one in pending {
        one.settle(settlement()).unwrap().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_ever_however_many_write_at_once() {
    const CALLERS: u128 = 16;
    const REQUESTS: u128 = 100;
    /// Far more than it takes; a wake-up that is lost would take for ever.
    const PATIENCE: Duration = Duration::from_mins(1);
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let callers = tokio_util::task::TaskTracker::new();
    for caller in 0..CALLERS {
        let journal = journal.clone();
        callers.spawn(async move {
            for request in 0..REQUESTS {
                let intent = intent(1 + caller * REQUESTS + request);
                let pending = journal.intend(intent, form::Held::default()).await.unwrap();
                pending.settle(settlement()).unwrap().await.unwrap();
            }
        });
    }
    callers.close();
    tokio::time::timeout(PATIENCE, callers.wait())
        .await
        .unwrap();
    let records = usize::try_from(2 * CALLERS * REQUESTS).unwrap();
    assert_eq!(read_all(&journal).len(), records);
}

#[test]
fn two_processes_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _journal = open(&options(folder.path()));
    let second = Journal::open(&options(folder.path()), Arc::new(SystemClock));
    assert!(matches!(second, Err(OpenError::Locked(_))));
}
