//! Opens the journal after whatever happened to it: cuts a torn tail, sets damage aside, settles what was left open.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;

use types::{Clock, Outcome, Usage, UsageSource};
use uuid::Uuid;

use crate::failpoint;

use super::files::{Folder, OpenError, Watermark};
use super::frame::{self, Frame};
use super::log::{Admission, Await, Log};
use super::record::{DecodeError, Intent, Record, STANDARD, Settle};
use super::{Error, Journal, Limits, Open, Options, room};

/// What the files hold.
#[derive(Debug, Default)]
struct Scan {
    /// Intents without a settlement, by request and attempt, with their order.
    unsettled: HashMap<(Uuid, u32), (usize, Box<Intent>)>,
    intents: usize,
    /// The position after the last whole record.
    end: u64,
}

pub(super) fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Journal, OpenError> {
    let folder = Folder::open(&options.folder)?;
    let node = folder.node(&*clock)?;
    let known = folder.watermark()?;
    let scan = scan(&folder, known.unwrap_or_default())?;
    // The scan may have divided one.
    let starts = folder.segments()?;

    // Without a watermark nobody knows what was read: no orphan can be called an error.
    let watermark = known.unwrap_or_else(|| Watermark {
        settled: starts.first().copied().unwrap_or_default(),
        read: scan.end,
    });
    // After a power failure the files may end before what was shipped from them; no position is used twice.
    let position = scan.end.max(watermark.read).max(watermark.settled);
    let limits = Limits {
        segment_bytes_max: options.segment_bytes_max,
        journal_bytes_max: options.journal_bytes_max,
    };
    let starts = starts.into_iter().filter(|start| *start != position);
    remove_empty(&folder, position)?;
    let log = Log::start(folder, starts.collect(), position, limits)?;
    let threads = start_threads(&log)?;
    let mut open = Open {
        log,
        node,
        durability: options.durability,
        clock,
        threads: threads.into(),
        watermark,
        recovered: position,
    };
    settle_all(&mut open, scan, &options.folder)?;
    Ok(Journal {
        open: Arc::new(open),
    })
}

/// A segment that was begun and never written to has the position that the new one will have.
fn remove_empty(folder: &Folder, position: u64) -> Result<(), std::io::Error> {
    match folder.remove_segment(position) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn start_threads(log: &Arc<Log>) -> Result<Vec<thread::JoinHandle<()>>, std::io::Error> {
    let writer = Arc::clone(log);
    let writer = thread::Builder::new()
        .name("journal-writer".to_owned())
        .spawn(move || writer.write_until_closed())?;
    let syncer = Arc::clone(log);
    let syncer = thread::Builder::new()
        .name("journal-syncer".to_owned())
        .spawn(move || syncer.sync_until_closed())?;
    Ok(vec![writer, syncer])
}

/// Settles the intents of earlier lives as unknown, and waits until that is durable.
fn settle_all(open: &mut Open, scan: Scan, folder: &std::path::Path) -> Result<(), OpenError> {
    let write_error = |error| OpenError::Write(folder.to_owned(), error);
    let mut unsettled: Vec<_> = scan.unsettled.into_values().collect();
    unsettled.sort_unstable_by_key(|(order, _)| *order);
    if unsettled.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        requests = unsettled.len(),
        "the process ended while providers were being asked; the requests are booked as unknown"
    );
    metrics::counter!("flowpilot_journal_recovered_total").increment(unsettled.len() as u64);

    let completed_at = open.clock.now().timestamp_micros();
    let last_attempts = last_attempts(&unsettled);
    let mut last = None;
    for (_, intent) in unsettled {
        let is_last = last_attempts.get(&intent.subject.request_id) == Some(&intent.attempt);
        let record = Record::from(Settle {
            last_attempt: is_last,
            ..unknown(&intent, completed_at)
        });
        let mut frame = Vec::new();
        super::encode(&record, &mut frame).map_err(write_error)?;
        open.recovered += frame.len() as u64;
        let reached = open.log.append(&frame, Admission::Owed, Await::Durable);
        failpoint::pass("recovery.settling");
        last = reached.map_err(write_error)?;
    }
    match last.map(tokio::sync::oneshot::Receiver::blocking_recv) {
        Some(Ok(Err(error))) => Err(write_error(error)),
        Some(Err(_)) => Err(write_error(Error::Failed)),
        Some(Ok(Ok(()))) | None => Ok(()),
    }
}

/// Where a request has several intents open, it ends with the last of them: it is one row, whatever was attempted.
fn last_attempts(unsettled: &[(usize, Box<Intent>)]) -> HashMap<Uuid, u32> {
    let mut last = HashMap::new();
    for (_, intent) in unsettled {
        let attempt = last.entry(intent.subject.request_id).or_default();
        *attempt = intent.attempt.max(*attempt);
    }
    last
}

/// The settlement of an intent that nobody will ever settle; see the module `journal` for why it is this.
fn unknown(intent: &Intent, completed_at: i64) -> Settle {
    let usage = Usage {
        input_tokens: intent.input_tokens_max,
        ..Usage::default()
    };
    Settle {
        request_id: intent.subject.request_id,
        attempt: intent.attempt,
        last_attempt: true,
        outcome: Outcome::Unknown.as_str().into(),
        tokens: usage.into(),
        usage_source: UsageSource::Unknown.as_str().into(),
        service: STANDARD.into(),
        cost: intent.unknown_cost,
        latency_ms: None,
        time_to_first_token_ms: None,
        completion_text: None,
        error_kind: Some(Outcome::Unknown.as_str().to_owned()),
        error_message: Some("the gateway ended while the provider was being asked".to_owned()),
        provider_model: None,
        completed_at,
    }
}

fn scan(folder: &Folder, watermark: Watermark) -> Result<Scan, OpenError> {
    let mut scan = Scan::default();
    let mut starts: VecDeque<_> = folder.segments()?.into();
    while let Some(start) = starts.pop_front() {
        let segment = folder.reopen_segment(start)?;
        // What an earlier life kept for it and did not use.
        room::give_back(&segment)?;
        // Only written, as far as is known: what is settled on its word must not outlive it.
        failpoint::sync(segment.path())?;
        segment.sync_data()?;
        let bytes = fs_err::read(folder.segment_path(start))?;
        let mut offset = usize::try_from(watermark.settled.saturating_sub(start))
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let Frame::Whole {
                payload,
                bytes: length,
            } = frame::read(rest)
            else {
                let damaged = Damaged {
                    start,
                    offset: offset as u64,
                    rest,
                };
                let next = damaged.set_aside(folder, starts.is_empty())?;
                // A crash between copying and cutting left it already.
                if let Some(next) = next.filter(|next| starts.front() != Some(next)) {
                    starts.push_front(next);
                }
                break;
            };
            let record = Record::decode(payload).map_err(|error| unreadable(folder, error))?;
            scan.add(record);
            offset += length;
        }
        scan.end = start + offset as u64;
    }
    Ok(scan)
}

/// A segment from the first byte on that is no record.
struct Damaged<'a> {
    /// Of the segment.
    start: u64,
    offset: u64,
    rest: &'a [u8],
}

impl Damaged<'_> {
    /// Cuts the segment and keeps what is cut off; what is readable after the damage becomes a segment of its own, whose
    /// position is returned.
    fn set_aside(&self, folder: &Folder, last: bool) -> Result<Option<u64>, OpenError> {
        let position = self.start + self.offset;
        let Some((bad, readable)) = frame::next_whole(self.rest) else {
            let extension = if last { "torn" } else { "corrupt" };
            if last {
                tracing::warn!(
                    position,
                    bytes = self.rest.len(),
                    "the journal ends in an unfinished record, which is cut off"
                );
            } else {
                report_lost(position, self.rest);
            }
            folder.cut_segment(self.start, self.offset, self.rest, extension)?;
            return Ok(None);
        };
        report_lost(position, bad);
        let next = position + bad.len() as u64;
        // First the copy: a crash between the two leaves the records twice rather than never.
        folder.write_segment(next, readable)?;
        folder.cut_segment(self.start, self.offset, bad, "corrupt")?;
        Ok(Some(next))
    }
}

fn report_lost(position: u64, lost: &[u8]) {
    tracing::error!(
        position,
        bytes = lost.len(),
        "the journal is damaged; the damaged bytes are set aside and NOT BILLED until somebody looks at them"
    );
    metrics::counter!("flowpilot_journal_corrupt_total").increment(1);
}

fn unreadable(folder: &Folder, error: DecodeError) -> OpenError {
    OpenError::Unreadable(folder.path().to_owned(), Box::new(error))
}

impl Scan {
    fn add(&mut self, record: Record) {
        match record {
            Record::Intent(intent) => {
                let key = (intent.subject.request_id, intent.attempt);
                self.intents += 1;
                self.unsettled.insert(key, (self.intents, intent));
            }
            Record::Settle(settle) => {
                self.unsettled.remove(&(settle.request_id, settle.attempt));
            }
            Record::Replayed(_) => {}
        }
    }
}
