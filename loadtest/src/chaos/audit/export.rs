//! What finance is given, the FOCUS export, is the events: by organization, model, day and token class; and of the cost that
//! is no estimate, what the provider's books come to.

use std::collections::BTreeMap;

use anyhow::ensure;
use chrono::{Datelike, NaiveDate};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::calls::Sums;
use super::{Audit, Evidence};
use crate::cluster::Node;
use crate::oracle::focus::{self, Charge};
use crate::oracle::price::Usd;
use crate::provider::plan::Tokens;
use crate::store::Event;

/// Exports the months in which there are events, organization by organization, as finance would by the command.
pub(super) async fn read(
    node: &Node,
    events: &[Event],
    organizations: &[Uuid],
) -> anyhow::Result<Vec<Charge>> {
    let month = |event: &Event| {
        let day = event.created_at.date_naive();
        (day.year(), day.month())
    };
    let mut months: Vec<_> = events.iter().map(month).collect();
    months.sort_unstable();
    months.dedup();
    let exports = organizations.iter().flat_map(|organization| {
        let export = move |(year, month)| export(node, *organization, format!("{year}-{month:02}"));
        months.iter().copied().map(export)
    });
    Ok(try_join_all(exports).await?.concat())
}

async fn export(node: &Node, organization: Uuid, month: String) -> anyhow::Result<Vec<Charge>> {
    let id = organization.to_string();
    let of = ["focus", "--organization", &id, "--month", &month];
    let charges = focus::parse(&node.report(&of).await?)?;
    let is_own = |charge: &Charge| charge.organization == organization;
    ensure!(
        charges.iter().all(is_own),
        "the export of {organization} has charges of others"
    );
    Ok(charges)
}

/// `books` is what the provider charges, where usage is known.
pub(super) fn check(evidence: &Evidence, books: &Sums, audit: &mut Audit) {
    let charges = match &evidence.charges {
        Ok(charges) => charges,
        Err(error) => return audit.finding(format!("there is no FOCUS export: {error:#}")),
    };
    audit.account.focus_rows = charges.len() as u64;
    let (exported, booked) = (exported(charges), booked(&evidence.events));
    let what = "the tokens of the FOCUS export and the events";
    audit.same(what, &exported.tokens, &booked.tokens);
    let what = "the costs of the FOCUS export and the events";
    audit.same(what, &exported.costs, &booked.costs);
    let what = "the FOCUS export, without estimates, and the provider's books";
    let books = books
        .iter()
        .map(|(key, (_, cost))| (key.clone(), cost.clone()));
    audit.same(what, &known(charges), &sums(books));
}

/// By organization, provider, model and day; tokens also by class. There is no entry for nothing.
#[derive(Default)]
struct Books {
    tokens: BTreeMap<(Product, String), u64>,
    costs: BTreeMap<Product, Usd>,
}

type Product = (Uuid, String, String, NaiveDate);

fn exported(charges: &[Charge]) -> Books {
    let product = |charge: &Charge| {
        let (provider, model) = (charge.provider.clone(), charge.model.clone());
        (charge.organization, provider, model, charge.day)
    };
    let quantity = |charge: &Charge| ((product(charge), charge.class.clone()), charge.quantity);
    let costs = charges
        .iter()
        .map(|charge| (product(charge), charge.cost.clone()));
    Books {
        tokens: counts(charges.iter().map(quantity)),
        costs: sums(costs),
    }
}

fn booked(events: &[Event]) -> Books {
    let events = events.iter().filter(|event| event.kind == "ai_request");
    let product = |event: &Event| {
        let (provider, model) = (event.provider.clone(), event.model.clone());
        let day = event.created_at.date_naive();
        (event.organization, provider, model, day)
    };
    let quantities = events.clone().flat_map(|event| {
        let of_class = |(class, tokens)| ((product(event), str::to_owned(class)), tokens);
        classes(event.tokens).map(of_class)
    });
    let costs = events
        .clone()
        .map(|event| (product(event), event.cost.clone()));
    Books {
        tokens: counts(quantities),
        costs: sums(costs),
    }
}

/// What is charged for usage that the provider told.
fn known(charges: &[Charge]) -> BTreeMap<(Uuid, String, NaiveDate), Usd> {
    let known = charges.iter().map(|charge| {
        let key = (charge.organization, charge.model.clone(), charge.day);
        (key, &charge.cost - &charge.vague_cost)
    });
    sums(known)
}

/// Tokens of an event in classes that do not overlap, as FOCUS has them.
const fn classes(tokens: Tokens) -> [(&'static str, u64); 6] {
    let written = tokens.cache_write_5m + tokens.cache_write_1h;
    [
        (
            "input",
            tokens.input.saturating_sub(tokens.cache_read + written),
        ),
        ("cache_read", tokens.cache_read),
        ("cache_write_5m", tokens.cache_write_5m),
        ("cache_write_1h", tokens.cache_write_1h),
        ("output", tokens.output.saturating_sub(tokens.reasoning)),
        ("reasoning", tokens.reasoning),
    ]
}

fn counts<K: Ord>(entries: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for (key, count) in entries.filter(|(_, count)| *count > 0) {
        *counts.entry(key).or_default() += count;
    }
    counts
}

fn sums<K: Ord>(entries: impl Iterator<Item = (K, Usd)>) -> BTreeMap<K, Usd> {
    let mut sums = BTreeMap::<K, Usd>::new();
    for (key, cost) in entries.filter(|(_, cost)| *cost != Usd::default()) {
        *sums.entry(key).or_default() += cost;
    }
    sums
}
