//! Measures how fast a full journal is shipped: fills one, ships it into a database of its own, and prints one line of JSON.
//!
//! `cargo run --release -p metering --example shipping -- [requests] [organizations] [models]`. One request is an INTENT with a
//! SETTLE, and becomes a request's row, two usage events, and its part of every total. The database is the tests': on this
//! machine's processors, without durability, so that processors are measured and not the disk, which sees ten commits a second. What two processors could do follows from
//! the processor time of both sides, whoever else uses the machine.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Days;
use config::{Config, PriceList};
use database::testing::TestDatabase;
use metering::journal::Durability;
use metering::record::Held;
use metering::report::{self, Filter, Paging, Scope};
use metering::{Attribution, Intent, Metering, Options, PriceBook};
use tokio_util::task::TaskTracker;
use types::id::Organization;
use types::{Caller, Clock, Id, Principal, SystemClock};

#[path = "common/cpu.rs"]
mod cpu;
#[path = "common/journal.rs"]
mod journal;
#[path = "common/request.rs"]
mod request;

const PRICES: &str = r#"
date = "2020-01-01"
source = "bench"
price = [{ provider = "p", model = "m", usd = { input = "1.25", output = "10" } }]
"#;

/// How often is looked how much is booked.
const POLL: Duration = Duration::from_millis(20);

/// What is shipped.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests: usize,
    organizations: usize,
    models: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let load = Load {
        requests: number(100_000)?,
        organizations: number(10)?.max(1),
        models: number(5)?.max(1),
    };
    let database = TestDatabase::new().await;
    let mut organizations = Vec::new();
    for at in 0..load.organizations {
        let name = format!("organization-{at}");
        organizations.push(database.seed_organization(&name).await.organization);
    }
    let folder = tempfile::tempdir()?;
    fill(folder.path(), load, &organizations).await?;

    let options = options(folder.path())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (began, (own, postgres)) = (Instant::now(), cpu::times()?);
    let metering = Metering::start(
        options,
        database.database().clone(),
        clock,
        TaskTracker::new(),
    );
    let metering = metering.await?;
    while booked(&database).await? < i64::try_from(load.requests)? {
        tokio::time::sleep(POLL).await;
    }
    let wall = began.elapsed();
    let (own_after, postgres_after) = cpu::times()?;
    metering.stop().await;

    let requests = u128::try_from(load.requests)?;
    let per_request = |after: Duration, before| after.saturating_sub(before).as_micros() / requests;
    let own = u64::try_from(per_request(own_after, own))?;
    let postgres = u64::try_from(per_request(postgres_after, postgres))?;
    let line = serde_json::json!({
        "requests": load.requests,
        "organizations": load.organizations,
        "models": load.models,
        "seconds": format!("{:.2}", wall.as_secs_f64()),
        "requests_per_second": u64::try_from(requests * 1_000_000 / wall.as_micros().max(1))?,
        "own_cpu_us_per_request": own,
        "postgres_cpu_us_per_request": postgres,
        "requests_per_second_of_two_processors": 2_000_000 / (own + postgres).max(1),
        "load_average": fs_err::read_to_string("/proc/loadavg")?.split(' ').next(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Writes the journal that an outage would have left.
async fn fill(
    folder: &Path,
    load: Load,
    organizations: &[Id<Organization>],
) -> Result<(), Box<dyn std::error::Error>> {
    let journal = journal::open(folder, Durability::Written).await?;
    let prices = PriceBook::new(&PriceList::parse(PRICES)?);
    for (number, organization) in (0..load.requests).zip(organizations.iter().cycle()) {
        let mut intent = attempt(*organization, number % load.models);
        intent.price = prices.find("p", "m", intent.created_at);
        let pending = journal.intend(intent, Held::default()).await?;
        pending.settle(request::settlement())?.await?;
    }
    tokio::task::spawn_blocking(move || journal.close()).await?;
    Ok(())
}

fn options(folder: &Path) -> Result<Options, Box<dyn std::error::Error>> {
    let mut config = Config::from_toml("")?;
    folder.clone_into(&mut config.metering.journal_dir);
    Ok(Options {
        metering: config.metering,
        quota: config.quota,
        prices: PriceList::parse(PRICES)?,
    })
}

/// By the roll-up, which grows in the transaction that books.
async fn booked(database: &TestDatabase) -> Result<i64, report::Error> {
    let today = SystemClock.now().date_naive();
    let (from, until) = (today - Days::new(1), today + Days::new(1));
    let (filter, paging) = (Filter::of(from, until), Paging::default());
    let rows =
        report::read::<report::UsageRow>(database.database(), Scope::All, &filter, paging).await?;
    Ok(rows.rows.iter().map(|row| row.requests).sum())
}

/// An attempt of an organization, at one of its models, with a tag.
fn attempt(organization: Id<Organization>, model: usize) -> Intent {
    let intent = request::intent();
    Intent {
        caller: Caller {
            organization,
            principal: Principal::Key {
                id: organization.derive("key"),
                user: organization.derive("user"),
            },
            ..intent.caller
        },
        attribution: Attribution {
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            ..Attribution::default()
        },
        provider: "p".to_owned(),
        provider_model: format!("model-{model}"),
        ..intent
    }
}
