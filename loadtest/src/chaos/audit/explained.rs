//! What clients saw is booked as they saw it; and what is vague in the books is explained by what was done to the request.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Audit, Evidence};
use crate::chaos::client::{Ending, Seen};
use crate::chaos::question::{Fault, mark_in};
use crate::store::Event;

pub(super) fn check(evidence: &Evidence, audit: &mut Audit) {
    let events = by_request(evidence);
    for seen in &evidence.seen {
        match seen.ending {
            Ending::Answered => answered(seen, &events, audit),
            Ending::Hit => hit(seen, evidence, &events, audit),
            Ending::Refused(_) | Ending::Broken | Ending::Left => {}
        }
    }
    let mut unknown = BTreeMap::<&str, BTreeSet<Uuid>>::new();
    for event in evidence
        .events
        .iter()
        .filter(|event| event.kind == "ai_request")
    {
        let mark = mark_in(&event.prompt).unwrap_or_default();
        match event.source.as_str() {
            "estimated" => estimated(mark, event, evidence, audit),
            // A kill between two attempts leaves both open.
            "unknown" => drop(unknown.entry(mark).or_default().insert(event.request)),
            _ => {}
        }
        belongs(mark, event, evidence, audit);
    }
    for (mark, requests) in unknown {
        let count = requests.len();
        let explained = broken_off(mark, evidence);
        if count > explained {
            audit.finding(format!(
                "{mark}: {count} requests are booked as unknown, of which {explained} can be for a gateway that was killed"
            ));
        }
    }
}

fn by_request(evidence: &Evidence) -> BTreeMap<Uuid, Vec<&Event>> {
    let mut events = BTreeMap::<Uuid, Vec<&Event>>::new();
    for event in evidence
        .events
        .iter()
        .filter(|event| event.kind == "ai_request")
    {
        events.entry(event.request).or_default().push(event);
    }
    events
}

/// The booking is on disk before the last byte is out, so that no kill can make it unknown.
fn answered(seen: &Seen, events: &BTreeMap<Uuid, Vec<&Event>>, audit: &mut Audit) {
    let booked = seen.request.and_then(|request| events.get(&request));
    let expected = match seen.question.fault {
        Some(Fault::UsageHidden) => "estimated",
        _ => "provider",
    };
    let booked = booked.map(Vec::as_slice).unwrap_or_default();
    let completed: Vec<_> = booked
        .iter()
        .filter(|event| event.outcome == "completed")
        .collect();
    let is_booked = matches!(completed.as_slice(), [event] if event.source == expected);
    // What was attempted before it failed, and is known to have.
    let others_failed = booked.len() - completed.len()
        == booked
            .iter()
            .filter(|event| event.outcome == "failed")
            .count();
    if !is_booked || !others_failed {
        let mark = &seen.question.mark;
        audit.finding(format!("{mark}: answered, and booked as {booked:?}"));
    }
}

/// An answer from the cache is journaled without waiting: a kill at that moment may lose it, and nothing else may.
fn hit(seen: &Seen, evidence: &Evidence, events: &BTreeMap<Uuid, Vec<&Event>>, audit: &mut Audit) {
    let booked = seen.request.and_then(|request| events.get(&request));
    match booked.map(Vec::as_slice) {
        Some([event]) if event.source == "cache" => {}
        None if evidence.had_losses(seen.node) => audit.account.hits_unbooked += 1,
        other => {
            let mark = &seen.question.mark;
            audit.finding(format!(
                "{mark}: answered from the cache, and booked as {other:?}"
            ));
        }
    }
}

/// Usage is estimated where the provider broke off or kept it to itself, and nowhere else.
fn estimated(mark: &str, event: &Event, evidence: &Evidence, audit: &mut Audit) {
    let is_nothing = event.quantity == 0 && event.outcome == "cancelled";
    let mut seen = evidence
        .seen
        .iter()
        .filter(|seen| seen.question.mark == mark);
    let is_explained =
        seen.any(|seen| matches!(seen.question.fault, Some(Fault::Cut | Fault::UsageHidden)));
    if !is_explained && !is_nothing {
        audit.finding(format!(
            "{mark}: the usage is estimated for no reason: {event:?}"
        ));
    }
}

/// Requests with this mark that a killed gateway, or one whose disk broke, did not answer.
fn broken_off(mark: &str, evidence: &Evidence) -> usize {
    let seen = evidence
        .seen
        .iter()
        .filter(|seen| seen.question.mark == mark);
    let broken = seen.filter(|seen| {
        let is_open = match seen.ending {
            Ending::Broken | Ending::Left => true,
            // What the provider refused is settled without waiting for the disk: nobody was given anything.
            Ending::Refused(status) => {
                status >= 500 || matches!(seen.question.fault, Some(Fault::Status(_)))
            }
            Ending::Answered | Ending::Hit => false,
        };
        is_open && evidence.had_losses(seen.node)
    });
    broken.count()
}

/// Booked for the organization that asked.
fn belongs(mark: &str, event: &Event, evidence: &Evidence, audit: &mut Audit) {
    let mut seen = evidence
        .seen
        .iter()
        .filter(|seen| seen.question.mark == mark);
    let owner = seen
        .next()
        .and_then(|seen| evidence.organizations.get(seen.question.tenant));
    if owner != Some(&event.organization) {
        audit.finding(format!(
            "{mark}: booked for another organization: {event:?}"
        ));
    }
}
