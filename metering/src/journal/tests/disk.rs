//! A disk that is full, and one that breaks.

use super::losses::replay;
use super::*;

/// Makes every write find no room, until the file is removed.
fn fill(folder: &Path) -> PathBuf {
    let marker = folder.join("full");
    fs_err::write(&marker, "").unwrap();
    marker
}

async fn intend(journal: &Journal, number: u128) -> Result<Pending, Error> {
    journal.intend(intent(number), form::Held::default()).await
}

/// Waits until the journal takes obligations again, or no more.
fn until(journal: &Journal, refusal: Option<Error>) {
    while journal.refusal() != refusal {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_settles_what_has_begun_and_goes_on_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let begun = intend(&journal, 1).await.unwrap();

    let marker = fill(folder.path());
    assert_eq!(intend(&journal, 2).await.unwrap_err(), Error::Full);
    assert_eq!(journal.refusal(), Some(Error::Full));
    let durable = begun.settle(settlement()).unwrap();
    journal.replayed(replay(3), None).unwrap();

    fs_err::remove_file(marker).unwrap();
    durable.await.unwrap();
    until(&journal, None);
    let later = intend(&journal, 4).await.unwrap();
    later.settle(settlement()).unwrap().await.unwrap();

    let records = read_all(&journal);
    let settled = |number: u128| {
        let request = fixed::<()>(number).uuid();
        let mut settles = records.iter().filter_map(|record| match record {
            Record::Settle(settle) if settle.request_id == request => Some(&*settle.outcome),
            _ => None,
        });
        (settles.next(), settles.next())
    };
    assert_eq!(settled(1), (Some("completed"), None));
    // Nobody was called for it, and the books say so.
    assert_eq!(settled(2), (Some("cancelled"), None));
    assert_eq!(settled(4), (Some("completed"), None));
    let hits = records.iter().filter(|r| matches!(r, Record::Replayed(_)));
    assert_eq!(hits.count(), 1);
    // And a restart reads the same.
    let after = killed(folder.path());
    assert_eq!(read_all(&open(&options(after.path()))), records);
}

#[tokio::test]
async fn a_journal_that_is_opened_on_a_full_disk_refuses_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&options(folder.path())));
    let marker = fill(folder.path());
    let journal = open_when_unlocked(&options(folder.path()));
    assert_eq!(intend(&journal, 1).await.unwrap_err(), Error::Full);
    fs_err::remove_file(marker).unwrap();
    until(&journal, None);
    let pending = intend(&journal, 1).await.unwrap();
    pending.settle(settlement()).unwrap().await.unwrap();
}

#[tokio::test]
async fn a_journal_is_closed_even_when_what_is_owed_has_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let begun = intend(&journal, 1).await.unwrap();
    let marker = fill(folder.path());
    let durable = begun.settle(settlement()).unwrap();
    let closing = journal.clone();
    tokio::task::spawn_blocking(move || closing.close())
        .await
        .unwrap();
    // It is not said to be booked, and the next start books it as unknown.
    assert_eq!(durable.await, Err(Error::Failed));
    fs_err::remove_file(marker).unwrap();
    drop(journal);
    let options = options(folder.path());
    let opening = tokio::task::spawn_blocking(move || open_when_unlocked(&options));
    let records = read_all(&opening.await.unwrap());
    assert!(
        matches!(records.as_slice(), [Record::Intent(_), Record::Settle(settle)] if settle.outcome == "unknown"),
        "{records:?}"
    );
}

#[tokio::test]
async fn a_watermark_moves_on_a_full_disk_so_that_segments_can_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes_max: 64,
        ..options(folder.path())
    };
    let journal = open(&options);
    for number in 0..4 {
        let pending = intend(&journal, number).await.unwrap();
        pending.settle(settlement()).unwrap().await.unwrap();
    }
    let at = |settled| Watermark {
        settled,
        read: settled,
    };
    journal.set_watermark(at(1)).unwrap();
    let before = segments(folder.path()).len();
    fill(folder.path());
    assert!(journal.set_watermark(at(journal.written())).is_ok());
    assert!(segments(folder.path()).len() < before);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_called_durable_and_only_a_restart_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let begun = intend(&journal, 1).await.unwrap();
    let marker = break_down(folder.path());
    let durable = begun.settle(settlement()).unwrap();
    assert_eq!(durable.await, Err(Error::Failed));
    fs_err::remove_file(marker).unwrap();

    // The device answers again, and yet nobody knows what it holds.
    assert_eq!(intend(&journal, 2).await.unwrap_err(), Error::Failed);
    assert_eq!(
        journal.replayed(replay(3), None).unwrap_err(),
        Error::Failed
    );
    drop(journal);
    let restarted = open_when_unlocked(&options(folder.path()));
    let pending = intend(&restarted, 4).await.unwrap();
    pending.settle(settlement()).unwrap().await.unwrap();
}

/// Makes every sync fail, until the file is removed.
fn break_down(folder: &Path) -> PathBuf {
    let marker = folder.join("broken");
    fs_err::write(&marker, "").unwrap();
    marker
}

#[test]
fn a_node_has_no_name_before_its_name_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let marker = break_down(folder.path());
    let opened = Journal::open(&options(folder.path()), Arc::new(SystemClock));
    assert!(matches!(opened, Err(OpenError::Io(_))), "{opened:?}");
    // A name that was given away and lost with the power would leave its leases to nobody.
    assert!(!folder.path().join("node-id").exists());
    fs_err::remove_file(marker).unwrap();
    let node = open(&options(folder.path())).node();
    assert_eq!(open_when_unlocked(&options(folder.path())).node(), node);
}

#[tokio::test]
async fn what_an_earlier_life_only_wrote_is_settled_by_nobody_before_it_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&options(folder.path()));
    let pending = intend(&journal, 1).await.unwrap();
    let after = killed(folder.path());
    drop(pending);
    let marker = break_down(after.path());
    let before = segments(after.path());
    let opened = Journal::open(&options(after.path()), Arc::new(SystemClock));
    assert!(matches!(opened, Err(OpenError::Io(_))), "{opened:?}");
    assert_eq!(segments(after.path()), before);

    fs_err::remove_file(marker).unwrap();
    let options = options(after.path());
    let opening = tokio::task::spawn_blocking(move || open_when_unlocked(&options));
    let records = read_all(&opening.await.unwrap());
    assert!(
        matches!(records.as_slice(), [Record::Intent(_), Record::Settle(settle)] if settle.outcome == "unknown"),
        "{records:?}"
    );
}

#[tokio::test]
async fn segments_stay_as_long_as_the_watermark_that_releases_them_is_not_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes_max: 64,
        ..options(folder.path())
    };
    let journal = open(&options);
    for number in 0..4 {
        let pending = intend(&journal, number).await.unwrap();
        pending.settle(settlement()).unwrap().await.unwrap();
    }
    let all = Watermark {
        settled: journal.written(),
        read: journal.written(),
    };
    let before = segments(folder.path());
    break_down(folder.path());
    assert!(journal.set_watermark(all).is_err());
    assert_eq!(segments(folder.path()), before);
}

#[tokio::test]
async fn room_is_kept_for_a_segment_before_it_is_written_and_given_back_after() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let kept = |segment: &PathBuf| fs_err::metadata(segment).unwrap().blocks() * 512;
    let journal = open(&options(folder.path()));
    let first = segments(folder.path()).remove(0);
    // A file system that promises nothing keeps nothing.
    let promises = kept(&first) > 0;
    assert!(!promises || kept(&first) >= options(folder.path()).segment_bytes_max);
    let pending = intend(&journal, 1).await.unwrap();
    pending.settle(settlement()).unwrap().await.unwrap();
    drop(journal);
    drop(open_when_unlocked(&options(folder.path())));
    assert!(kept(&first) < 64 * 1024);
}
