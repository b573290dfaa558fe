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
use metering::journal::{Durability, Options as JournalOptions};
use metering::price::Service;
use metering::record::Held;
use metering::report::{self, Filter, Paging, Scope};
use metering::{
    Attribution, CacheStatus, ChargeTo, Estimate, Intent, Journal, Metering, Options, PriceBook,
    Settlement,
};
use tokio_util::task::TaskTracker;
use types::call::{Dialect, Endpoint};
use types::id::Organization;
use types::{Caller, Clock, Id, Outcome, Permissions, Principal, SystemClock, Usage, UsageSource};

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
    let (began, (own, postgres)) = (Instant::now(), cpu_times()?);
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
    let (own_after, postgres_after) = cpu_times()?;
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
    let options = JournalOptions {
        folder: folder.to_owned(),
        durability: Durability::Written,
        segment_bytes_max: 64 << 20,
        journal_bytes_max: 10 << 30,
    };
    let opening =
        tokio::task::spawn_blocking(move || Journal::open(&options, Arc::new(SystemClock)));
    let journal = opening.await??;
    let prices = PriceBook::new(&PriceList::parse(PRICES)?);
    for (number, organization) in (0..load.requests).zip(organizations.iter().cycle()) {
        let mut intent = intent(*organization, number % load.models);
        intent.price = prices.find("p", "m", intent.created_at);
        let pending = journal.intend(intent, Held::default()).await?;
        pending.settle(settlement())?.await?;
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

/// User and system time of this process, and of all its descendants, which are the database's: from the kernel's own count in
/// ticks of 10 ms.
fn cpu_times() -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let mut processes = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        // Processes come and go meanwhile.
        let stat = fs_err::read_to_string(format!("/proc/{name}/stat"));
        if let (Ok(id), Ok(stat)) = (name.parse::<u32>(), stat) {
            processes.push((id, Times::parse(&stat)?));
        }
    }
    let mut own = Duration::ZERO;
    let mut family = vec![std::process::id()];
    let mut database = Duration::ZERO;
    while let Some(member) = family.pop() {
        let children = processes.iter().filter(|(_, times)| times.parent == member);
        family.extend(children.map(|(id, _)| *id));
        let times = processes.iter().find(|(id, _)| *id == member);
        match times {
            Some((id, times)) if *id == std::process::id() => own = times.itself,
            Some((_, times)) => database += times.itself + times.ended_children,
            None => {}
        }
    }
    Ok((own, database))
}

/// What `/proc/PID/stat` says.
struct Times {
    parent: u32,
    itself: Duration,
    ended_children: Duration,
}

impl Times {
    /// Counted from the state, which follows the name in parentheses: the parent is the second field, the times begin at the
    /// twelfth.
    fn parse(stat: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let (_, fields) = stat.rsplit_once(") ").ok_or("no process name")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let field = |at: usize| -> Result<u64, Box<dyn std::error::Error>> {
            Ok(fields.get(at).ok_or("too few fields")?.trim().parse()?)
        };
        let ticks = |a, b| -> Result<Duration, Box<dyn std::error::Error>> {
            Ok(Duration::from_millis((field(a)? + field(b)?) * 10))
        };
        Ok(Self {
            parent: field(1)?.try_into()?,
            itself: ticks(11, 12)?,
            ended_children: ticks(13, 14)?,
        })
    }
}

fn intent(organization: Id<Organization>, model: usize) -> Intent {
    Intent {
        request_id: Id::new(&SystemClock),
        attempt: 1,
        caller: Caller {
            organization,
            principal: Principal::Key {
                id: organization.derive("key"),
                user: organization.derive("user"),
            },
            permissions: Permissions::NONE,
            department: None,
        },
        attribution: Attribution {
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            ..Attribution::default()
        },
        endpoint: Endpoint::Chat,
        dialect: Dialect::Openai,
        model: "default".to_owned(),
        provider: "p".to_owned(),
        provider_model: format!("model-{model}"),
        stream: true,
        created_at: SystemClock.now(),
        prompt_text: "What is the capital of France, and how many people live there today?"
            .to_owned(),
        temperature: Some("0.7".to_owned()),
        estimate: Estimate {
            input_tokens_max: 40,
            output_tokens_max: 1024,
        },
        price: None,
        cache_status: Some(CacheStatus::Miss),
        charge_to: ChargeTo::Tenant,
    }
}

fn settlement() -> Settlement {
    Settlement {
        outcome: Outcome::Completed,
        usage: Usage {
            input_tokens: 21,
            output_tokens: 35,
            ..Usage::default()
        },
        usage_source: UsageSource::Provider,
        service: Service::Standard,
        latency: Duration::from_millis(800),
        time_to_first_token: Some(Duration::from_millis(200)),
        completion_text: Some(
            "Paris; about two million people live in the city itself.".to_owned(),
        ),
        failure: None,
        provider_model: None,
        completed_at: SystemClock.now(),
        last_attempt: true,
    }
}
