//! Each call of the provider is in the events exactly once, and each event is of a call, but for what says that it may not be.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Audit, Class, Evidence};
use crate::chaos::question::mark_in;
use crate::oracle::price::{Prices, Usd};
use crate::provider::books::Call;
use crate::provider::plan::Tokens;
use crate::store::Event;

/// What one prompt led to, on both sides.
#[derive(Default)]
struct Dossier<'e> {
    calls: Vec<&'e Call>,
    events: Vec<&'e Event>,
}

/// Tokens and cost of one organization, model and day.
pub(super) type Sums = BTreeMap<(Uuid, String, NaiveDate), (u64, Usd)>;

/// What the provider charges, and what is booked of it.
#[derive(Default)]
struct Ledger {
    charged: Sums,
    booked: Sums,
}

/// Gives what the provider charges where it is known what for.
pub(super) fn check(
    evidence: &Evidence,
    prices: &Prices,
    audit: &mut Audit,
) -> anyhow::Result<Sums> {
    audit.account.provider_calls = evidence.calls.len() as u64;
    for event in requests(evidence) {
        check_cost(event, prices, audit)?;
    }
    let mut ledger = Ledger::default();
    for (mark, dossier) in dossiers(evidence, audit) {
        dossier.settle(&mark, prices, &mut ledger, audit)?;
    }
    let what = "the provider's books and the events, by organization, model and day";
    audit.same(what, &ledger.charged, &ledger.booked);
    audit.account.cost_usd = ledger.booked.into_values().map(|(_, cost)| cost).sum();
    Ok(ledger.charged)
}

fn requests(evidence: &Evidence) -> impl Iterator<Item = &Event> {
    evidence
        .events
        .iter()
        .filter(|event| event.kind == "ai_request")
}

/// Both sides by the prompt's mark; answers from the cache are nobody's calls.
fn dossiers<'e>(evidence: &'e Evidence, audit: &mut Audit) -> BTreeMap<String, Dossier<'e>> {
    let mut dossiers = BTreeMap::<String, Dossier<'_>>::new();
    for call in &evidence.calls {
        let mark = call.mark.clone().unwrap_or_default();
        dossiers.entry(mark).or_default().calls.push(call);
    }
    for event in requests(evidence) {
        if event.source == "cache" {
            audit.account.hits += 1;
            continue;
        }
        let Some(mark) = mark_in(&event.prompt) else {
            audit.finding(format!("an event of nobody's question: {event:?}"));
            continue;
        };
        let dossier = dossiers.entry(mark.to_owned()).or_default();
        dossier.events.push(event);
    }
    dossiers
}

impl<'e> Dossier<'e> {
    /// First what the provider said, which leaves no choice; then estimates, which are of a call too; then what may be of none.
    fn settle(
        mut self,
        mark: &str,
        prices: &Prices,
        ledger: &mut Ledger,
        audit: &mut Audit,
    ) -> anyhow::Result<()> {
        let (exact, mut vague): (Vec<_>, Vec<_>) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(|event| event.source == "provider");
        for event in exact {
            match self.take(event) {
                Some(call) => {
                    audit.account.exact += 1;
                    ledger.enter(call, event, prices)?;
                }
                None if is_nothing(event) => audit.account.cancelled += 1,
                None => audit.finding(format!(
                    "{mark}: booked as the provider's word, which it is not: {event:?}"
                )),
            }
        }
        vague.sort_by_key(|event| event.source == "unknown");
        for event in vague {
            self.settle_vague(mark, event, audit);
        }
        for call in self.calls {
            audit.finding(format!("{mark}: a call of the provider is lost: {call:?}"));
        }
        Ok(())
    }

    /// The call that an event tells of as the provider has it.
    fn take(&mut self, event: &Event) -> Option<&'e Call> {
        let is_it = |call: &&Call| {
            tokens(call) == event.tokens && call.model == event.model && follows(call, event)
        };
        let at = self.calls.iter().position(is_it)?;
        Some(self.calls.remove(at))
    }

    fn settle_vague(&mut self, mark: &str, event: &Event, audit: &mut Audit) {
        if is_nothing(event) && event.outcome == "cancelled" {
            audit.account.cancelled += 1;
            return;
        }
        let at = self
            .calls
            .iter()
            .position(|call| call.model == event.model && follows(call, event));
        let call = at.map(|at| self.calls.remove(at));
        match event.source.as_str() {
            "unknown" => {
                audit.account.unseen += u64::from(call.is_none());
                audit.account.unknown.enter(call, event);
            }
            "estimated" if call.is_some() => audit.account.estimated.enter(call, event),
            _ => audit.finding(format!(
                "{mark}: booked, and the provider never saw it: {event:?}"
            )),
        }
    }
}

impl Ledger {
    fn enter(&mut self, call: &Call, event: &Event, prices: &Prices) -> anyhow::Result<()> {
        let cost = match call.status {
            200 => prices.cost(&call.dialect, call)?,
            _ => Usd::default(),
        };
        // The day of a call is that of its admission, which the provider does not know.
        let day = event.created_at.date_naive();
        let key = |model: &str| (event.organization, model.to_owned(), day);
        let charged = self.charged.entry(key(&call.model)).or_default();
        charged.0 += call.input_tokens + call.output_tokens;
        charged.1 += cost;
        let booked = self.booked.entry(key(&event.model)).or_default();
        booked.0 += event.quantity;
        booked.1 += &event.cost;
        Ok(())
    }
}

impl Class {
    fn enter(&mut self, call: Option<&Call>, event: &Event) {
        self.events += 1;
        self.booked_tokens += event.quantity;
        self.provider_tokens += call.map_or(0, |call| call.input_tokens + call.output_tokens);
    }
}

/// Whatever the tokens are, and whoever counted them: they cost what the price list says.
fn check_cost(event: &Event, prices: &Prices, audit: &mut Audit) -> anyhow::Result<()> {
    let provider = match event.provider.as_str() {
        "mock" => "openai",
        other => other,
    };
    let mut as_called = Call::new(String::new(), provider, &event.model, event.tokens);
    as_called.at = event.created_at;
    let expected = match event.source.as_str() {
        "cache" => Usd::default(),
        _ => prices.cost(provider, &as_called)?,
    };
    let what = format!("the cost of {event:?}");
    audit.same(&what, &event.cost, &expected);
    let quantity = event.tokens.input + event.tokens.output;
    audit.same("the quantity of an event", &event.quantity, &quantity);
    Ok(())
}

/// Nobody was asked, and nothing is charged.
fn is_nothing(event: &Event) -> bool {
    event.quantity == 0 && event.cost == Usd::default()
}

/// A call is made after its admission.
fn follows(call: &Call, event: &Event) -> bool {
    call.at >= event.created_at
}

const fn tokens(call: &Call) -> Tokens {
    Tokens {
        input: call.input_tokens,
        cache_read: call.cache_read_tokens,
        cache_write_5m: call.cache_write_5m_tokens,
        cache_write_1h: call.cache_write_1h_tokens,
        output: call.output_tokens,
        reasoning: call.reasoning_tokens,
    }
}
