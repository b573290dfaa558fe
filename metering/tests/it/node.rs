//! A gateway's metering, on a runtime of its own, so that a test can kill it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Config, PriceList};
use database::Database;
use database::testing::TestDatabase;
use metering::record::Held;
use metering::{
    Attribution, ChargeTo, Estimate, Intent, Metering, Options, Replay, Settlement, Spender,
};
use rust_decimal::Decimal;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use types::call::{Dialect, Endpoint};
use types::id::Organization;
use types::{
    Caller, Clock, Id, Outcome, Permissions, Principal, SystemClock, Usage, UsageSource, Usd,
};

/// How long a test waits for a condition that must come true: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// One model, whose every token costs something.
const PRICES: &str = r#"
date = "2026-11-22"
source = "test"
[[price]]
provider = "p"
model = "m"
usd = { input = "1.25", output = "10", cache_read = "0.125" }
"#;

/// One gateway's metering.
pub(crate) struct Node {
    pub(crate) metering: Metering,
    pub(crate) database: Database,
    runtime: Option<Runtime>,
}

/// What differs between tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) ship_interval: Duration,
    pub(crate) ship_rows_max: usize,
    pub(crate) lease_max: u32,
    pub(crate) lease_idle_return: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ship_interval: Duration::from_millis(10),
            ship_rows_max: 50,
            lease_max: 1_000,
            lease_idle_return: Duration::from_mins(10),
        }
    }
}

/// Never ships by itself before the test ends.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

impl Node {
    pub(crate) fn start(database: &TestDatabase, journal: &Path, settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut config = Config::from_toml("").unwrap();
        config.metering.journal_dir = journal.to_owned();
        config.metering.ship_interval = settings.ship_interval;
        config.metering.ship_rows_max = settings.ship_rows_max;
        config.quota.lease_tokens_max = settings.lease_max;
        config.quota.lease_calls_max = settings.lease_max;
        config.quota.lease_idle_return = settings.lease_idle_return;
        let options = Options {
            metering: config.metering,
            quota: config.quota,
            prices: PriceList::parse(PRICES).unwrap(),
        };
        let database = database.options();
        let (metering, database) = block_on(&runtime, async move {
            let database = Database::connect(&database).await.unwrap();
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let tasks = TaskTracker::new();
            let metering = Metering::start(options, database.clone(), clock, tasks).await;
            (metering.unwrap(), database)
        });
        Self {
            metering,
            database,
            runtime: Some(runtime),
        }
    }

    /// Runs on the node's own runtime.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        block_on(self.runtime.as_ref().unwrap(), work)
    }

    /// Ends as the gateway does.
    pub(crate) fn stop(mut self) {
        let metering = self.metering.clone();
        self.run(async move { metering.stop().await });
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Ends without a chance to do anything. Its journal, as it was then, is returned.
    pub(crate) fn kill(mut self, journal: &Path) -> TempDir {
        let copy = copy_of(journal);
        self.runtime.take().unwrap().shutdown_background();
        copy
    }

    /// A request from admission to its last byte.
    pub(crate) fn complete(&self, caller: Caller, usage: Usage) {
        let metering = self.metering.clone();
        self.run(async move { complete(&metering, caller, usage).await });
    }
}

/// From a thread that has no runtime, whatever the test's own thread has.
fn block_on<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let handle = runtime.handle().clone();
    std::thread::spawn(move || handle.block_on(work))
        .join()
        .unwrap()
}

pub(crate) fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

pub(crate) fn caller(organization: Id<Organization>) -> Caller {
    Caller {
        organization,
        principal: Principal::Key {
            id: organization.derive("key"),
            user: organization.derive("user"),
        },
        permissions: Permissions::NONE,
        department: None,
    }
}

pub(crate) fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        output_tokens: output,
        ..Usage::default()
    }
}

pub(crate) fn intent(metering: &Metering, caller: Caller) -> Intent {
    let now = SystemClock.now();
    Intent {
        request_id: Id::new(&SystemClock),
        attempt: 1,
        caller,
        attribution: Attribution {
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            ..Attribution::default()
        },
        endpoint: Endpoint::Chat,
        dialect: Dialect::Openai,
        model: "default".to_owned(),
        provider: "p".to_owned(),
        provider_model: "m".to_owned(),
        stream: false,
        created_at: now,
        prompt_text: "What is the\0 capital of France?".to_owned(),
        temperature: Some("0.70".to_owned()),
        estimate: Estimate {
            input_tokens_max: 100,
            output_tokens_max: 400,
        },
        price: metering.prices().find("p", "m", now),
        cache_status: Some(metering::CacheStatus::Miss),
        charge_to: ChargeTo::Tenant,
    }
}

pub(crate) fn settlement(usage: Usage) -> Settlement {
    Settlement {
        outcome: Outcome::Completed,
        usage,
        usage_source: UsageSource::Provider,
        service: metering::price::Service::Standard,
        latency: Duration::from_millis(120),
        time_to_first_token: Some(Duration::from_millis(30)),
        completion_text: Some("Paris".to_owned()),
        failure: None,
        provider_model: None,
        completed_at: SystemClock.now(),
        last_attempt: true,
    }
}

pub(crate) async fn hold(metering: &Metering, caller: Caller) -> Held {
    let estimate = Estimate {
        input_tokens_max: 100,
        output_tokens_max: 400,
    };
    Held {
        call: Some(
            metering
                .quota()
                .take_call(Spender::of(&caller))
                .await
                .unwrap(),
        ),
        tokens: Some(
            metering
                .quota()
                .reserve(Spender::of(&caller), estimate, || Usd::ZERO)
                .await
                .unwrap(),
        ),
    }
}

pub(crate) async fn complete(metering: &Metering, caller: Caller, usage: Usage) {
    let held = hold(metering, caller).await;
    let intent = intent(metering, caller);
    let pending = metering.journal().intend(intent, held).await.unwrap();
    pending.settle(settlement(usage)).unwrap().await.unwrap();
}

pub(crate) async fn hit(metering: &Metering, caller: Caller, saved: Usd) {
    let call = metering
        .quota()
        .take_call(Spender::of(&caller))
        .await
        .unwrap();
    let replay = Replay {
        request_id: Id::new(&SystemClock),
        caller,
        attribution: Attribution::default(),
        endpoint: Endpoint::Chat,
        dialect: Dialect::Openai,
        model: "default".to_owned(),
        provider: "p".to_owned(),
        provider_model: "m".to_owned(),
        stream: true,
        created_at: SystemClock.now(),
        prompt_text: String::new(),
        completion_text: None,
        temperature: None,
        cache_status: metering::CacheStatus::Exact,
        saved_cost: saved,
        latency: Duration::from_millis(1),
    };
    metering.journal().replayed(replay, Some(call)).unwrap();
}

pub(crate) fn usd(text: &str) -> Usd {
    Usd::new(text.parse::<Decimal>().unwrap())
}

/// Waits until it is true.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "it never came true that {what}");
        tokio::time::sleep(POLL).await;
    }
}
