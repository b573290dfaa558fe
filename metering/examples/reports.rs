//! Measures how fast reports answer over many events: sums them as the product does, asks every grouping, prints one line of JSON.
//!
//! `cargo run --release -p metering --example reports -- [events] [organizations] [keys of each] [models] [days]`. A grouping is asked
//! several times, for one organization and for all; its time is the median. The days are this month's and the next's, which have
//! partitions.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use chrono::{Datelike, Days, NaiveDate};
use config::PriceList;
use database::testing::TestDatabase;
use indicatif::ProgressBar;
use metering::report::{self, CostRow, Dimension, Filter, Paging, ReportRow, Scope, UsageRow};
use metering::{PriceBook, rollup};
use types::{Clock, SystemClock};

#[path = "common/store.rs"]
mod store;

/// What finance groups by.
const GROUPINGS: [&[&str]; 14] = [
    &[],
    &["organization"],
    &["department"],
    &["user"],
    &["api_key"],
    &["month"],
    &["day"],
    &["provider"],
    &["model"],
    &["outcome"],
    &["tag:team"],
    &["organization", "model"],
    &["organization", "month", "model"],
    &["organization", "day"],
];

/// What costs by token class are not kept by.
const USAGE_ONLY: [&str; 4] = ["department", "user", "api_key", "tag:team"];

/// How often each is asked.
const ROUNDS: usize = 5;

/// The span of the reports, and who asks.
#[derive(Clone, Copy)]
struct Asked<'a> {
    database: &'a TestDatabase,
    span: (NaiveDate, NaiveDate),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: i64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (events, organizations) = (number(10_000_000)?, number(200)?.max(1));
    let (keys, models, days) = (number(5)?, number(4)?, number(45)?.max(1));

    let database = TestDatabase::new().await;
    let mut organization = None;
    for at in 0..organizations {
        let name = format!("organization-{at}");
        organization = Some(database.seed_organization(&name).await.organization);
    }
    let organization = organization.ok_or("no organization")?;
    let today = SystemClock.now().date_naive();
    let from = today.with_day(1).unwrap_or(today);
    let until = from + Days::new(days.try_into()?);
    let day = store::Day {
        date: from,
        events: events / days,
        keys,
        models,
    };
    let summed = sum(&database, day, until).await?;
    let rows = store::analyze(&database.admin()).await?;

    let asked = Asked {
        database: &database,
        span: (from, until),
    };
    let one = asked
        .all_groupings(Scope::Organization(organization))
        .await?;
    let all = asked.all_groupings(Scope::All).await?;
    let slowest = |times: &BTreeMap<String, u128>| times.values().max().copied();
    let line = serde_json::json!({
        "events": summed,
        "organizations": organizations,
        "rollup_rows": rows,
        "slowest_us": { "organization": slowest(&one), "all": slowest(&all) },
        "median_us": { "organization": one, "all": all },
        "load_average": fs_err::read_to_string("/proc/loadavg")?.split(' ').next(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Sums day by day, by the product's own recomputation. How many events.
async fn sum(
    database: &TestDatabase,
    first: store::Day,
    until: NaiveDate,
) -> Result<u64, Box<dyn std::error::Error>> {
    let prices = PriceBook::new(&PriceList::parse(
        "date = \"2020-01-01\"\nsource = \"bench\"\n",
    )?);
    let days: Vec<_> = first
        .date
        .iter_days()
        .take_while(|date| *date < until)
        .collect();
    let progress = ProgressBar::new(days.len().try_into()?);
    let mut events = 0;
    for date in days {
        store::insert(&database.admin(), store::Day { date, ..first }).await?;
        let span = (date, date + Days::new(1));
        let done = rollup::recompute(database.database(), &prices, None, span).await?;
        events += done.events;
        store::forget(&database.admin(), date).await?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(events)
}

impl Asked<'_> {
    /// The median of each grouping of both sheets, in microseconds.
    async fn all_groupings(
        self,
        scope: Scope,
    ) -> Result<BTreeMap<String, u128>, Box<dyn std::error::Error>> {
        let mut times = BTreeMap::new();
        for words in GROUPINGS {
            let name = words.join("+");
            let usage = self.median::<UsageRow>(scope, words).await?;
            times.insert(format!("usage by {name}"), usage);
            if !words.iter().any(|word| USAGE_ONLY.contains(word)) {
                let costs = self.median::<CostRow>(scope, words).await?;
                times.insert(format!("costs by {name}"), costs);
            }
        }
        Ok(times)
    }

    async fn median<R: ReportRow>(
        self,
        scope: Scope,
        words: &[&str],
    ) -> Result<u128, Box<dyn std::error::Error>> {
        let (from, until) = self.span;
        let mut filter = Filter::of(from, until);
        for word in words {
            filter.group_by.insert(word.parse::<Dimension>()?);
        }
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let paging = Paging::default();
            let rows = report::read::<R>(self.database.database(), scope, &filter, paging).await?;
            times.push(began.elapsed());
            if rows.rows.is_empty() {
                return Err(format!("no rows by {words:?}").into());
            }
        }
        times.sort_unstable();
        let median = times.get(ROUNDS / 2).ok_or("not asked")?;
        Ok(median.as_micros())
    }
}
