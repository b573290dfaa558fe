//! One gateway of a run: started, killed, revived when a fail point killed it, and drained in the end.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::gateway::{Installation, Launched, free_address};
use crate::loopback::Target;
use crate::process::Process;

/// How often is looked whether it lives.
const WATCH: Duration = Duration::from_millis(10);
/// Streams under way, the journal and the leases are given this long at the end.
const STOP_MAX: Duration = Duration::from_mins(2);
/// A start without its database ends with this, at once where there is nothing to connect to, and is tried again
/// (`EX_UNAVAILABLE` of sysexits).
const UNAVAILABLE: i32 = 69;
/// A start on a disk that cannot be synced ends with this.
const FAILED: i32 = 1;
const START_AGAIN: Duration = Duration::from_millis(50);
/// How long it is started again for: longer than PostgreSQL, killed on a busy machine, takes to come back.
const STARTS_MAX: Duration = Duration::from_mins(3);
/// How often a drain may be broken off by a fail point that was still armed.
const DRAINS_MAX: u32 = 8;
/// How long a configuration stands that must be refused: longer than changes of a file are gathered.
const NONSENSE: Duration = Duration::from_millis(150);
/// Which points kill, and when.
const FAILPOINTS: &str = "FLOWPILOT_FAILPOINTS";

/// What differs between runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether answers are given again.
    pub cache: bool,
    /// The size of a journal file, in bytes.
    pub segment_bytes_max: u64,
    /// The largest slice of a token quota.
    pub lease_tokens_max: u32,
    /// After how long an unused slice goes back, in milliseconds.
    pub lease_idle_return_ms: u64,
    /// Where the journal is; in the data folder where none is given.
    pub journal: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache: true,
            segment_bytes_max: 64 << 20,
            lease_tokens_max: 200_000,
            lease_idle_return_ms: 10_000,
            journal: None,
        }
    }
}

/// A gateway.
#[derive(Debug)]
pub struct Node {
    installation: Installation,
    configuration: String,
    process: tokio::sync::Mutex<Option<Process>>,
    /// The fail points of its next starts; then there are none.
    lives: Mutex<VecDeque<String>>,
    kills: AtomicU64,
    failures: AtomicU64,
    /// Whether a start may fail, because its disk does.
    may_fail: AtomicBool,
    is_finishing: AtomicBool,
}

impl Node {
    /// A gateway of this program in this folder, at a free port; not started.
    pub fn new(
        program: PathBuf,
        folder: &Path,
        (database_url, provider): (&str, &Target),
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let data = folder.join("data");
        let configuration = format!(
            "[server]\nlisten = \"{address}\"\ndata_dir = {}\n\n[database]\nurl = {}\n{}",
            quoted(&data.to_string_lossy()),
            quoted(database_url),
            sections(provider, settings),
        );
        Ok(Self {
            installation: Installation::of(program, folder, address, &configuration)?,
            configuration,
            process: tokio::sync::Mutex::new(None),
            lives: Mutex::default(),
            kills: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            may_fail: AtomicBool::new(false),
            is_finishing: AtomicBool::new(false),
        })
    }

    /// Arms its next starts, each with a list of fail points.
    pub fn arm(&self, lives: Vec<String>) {
        *self.lives.lock() = lives.into();
    }

    /// Where it serves.
    pub const fn target(&self) -> &Target {
        &self.installation.target
    }

    /// The operator's key, as the first gateway of a database keeps it.
    pub fn operator_key(&self) -> anyhow::Result<String> {
        self.installation.read("operator-key")
    }

    /// Times it was killed, by the run or by itself.
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    /// Of these, how often it killed itself at a fail point.
    pub fn kills_at_points(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// What `flowpilot report` prints with its configuration, whether it runs or not.
    pub async fn report(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.installation.report(arguments).await
    }

    /// Its process, while there is one.
    pub async fn process_id(&self) -> Option<u32> {
        self.process.lock().await.as_ref().map(Process::id)
    }

    /// Starts it and waits until it serves, however often it kills itself meanwhile.
    pub async fn start(&self) -> anyhow::Result<()> {
        let mut process = self.process.lock().await;
        self.revive(&mut process).await
    }

    /// Starts it again whenever it ended, until it is to be drained.
    pub async fn keep(&self) -> anyhow::Result<()> {
        while !self.is_finishing.load(Ordering::Relaxed) {
            self.start().await?;
            sleep(WATCH).await;
        }
        Ok(())
    }

    /// Kills it, if it lives; whoever keeps it starts it again.
    pub async fn kill(&self) -> anyhow::Result<()> {
        if let Some(process) = self.process.lock().await.take() {
            process.kill().await?;
            self.kills.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Says whether its starts may fail: those on a disk that cannot be synced do.
    pub fn let_starts_fail(&self, may_fail: bool) {
        self.may_fail.store(may_fail, Ordering::Relaxed);
    }

    /// Adds to its configuration, and says so by a signal.
    pub async fn reload(&self, addition: &str) -> anyhow::Result<()> {
        let process = self.process.lock().await;
        self.configure(
            &format!("{}\n{addition}\n", self.configuration),
            process.as_ref(),
        )
    }

    /// Gives it a configuration that it must refuse, and takes that back. Nobody starts it meanwhile.
    pub async fn reload_nonsense(&self) -> anyhow::Result<()> {
        let process = self.process.lock().await;
        self.configure("[server]\nlisten = 7\n", process.as_ref())?;
        sleep(NONSENSE).await;
        self.configure(&self.configuration, process.as_ref())
    }

    fn configure(&self, configuration: &str, process: Option<&Process>) -> anyhow::Result<()> {
        self.installation.configure(configuration)?;
        if let Some(process) = process {
            process.signal(Signal::SIGHUP);
        }
        Ok(())
    }

    /// From now on nobody starts it again.
    pub fn finish(&self) {
        self.is_finishing.store(true, Ordering::Relaxed);
    }

    /// Stops it in order, with everything shipped; where a fail point breaks that off, it is started again for it.
    pub async fn drain(&self) -> anyhow::Result<()> {
        self.lives.lock().clear();
        let mut process = self.process.lock().await;
        for _ in 0..DRAINS_MAX {
            self.revive(&mut process).await?;
            let running = process.take().context("it was started")?;
            let status = running.stop(STOP_MAX).await?;
            if status.success() {
                return Ok(());
            }
            self.check(status)?;
        }
        bail!("it killed itself in every drain")
    }

    async fn revive(&self, process: &mut Option<Process>) -> anyhow::Result<()> {
        if let Some(running) = process {
            let Some(status) = running.ended() else {
                return Ok(());
            };
            *process = None;
            self.check(status)?;
        }
        let began = Instant::now();
        while began.elapsed() < STARTS_MAX {
            let points = self.lives.lock().pop_front().unwrap_or_default();
            match self.installation.launch(&[(FAILPOINTS, &points)]).await? {
                Launched::Serving(serving) => {
                    *process = Some(*serving);
                    return Ok(());
                }
                Launched::Ended(status) if self.is_excused(status) => sleep(START_AGAIN).await,
                Launched::Ended(status) => self.check(status)?,
            }
        }
        bail!(
            "the gateway could not be started within {STARTS_MAX:?}; see {}",
            self.installation.log().display()
        )
    }

    /// Whether a start may end like that, because of what was done to its database or its disk.
    fn is_excused(&self, status: ExitStatus) -> bool {
        match status.code() {
            Some(UNAVAILABLE) => true,
            Some(FAILED) => self.may_fail.load(Ordering::Relaxed),
            _ => false,
        }
    }

    /// The only end that it may come to by itself.
    fn check(&self, status: ExitStatus) -> anyhow::Result<()> {
        ensure!(
            status.signal() == Some(Signal::SIGKILL as i32),
            "the gateway ended with {status}; see {}",
            self.installation.log().display()
        );
        self.kills.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Models are priced as those of the providers whose dialect the mock speaks.
fn sections(provider: &Target, settings: Settings) -> String {
    let mode = if settings.cache { "exact" } else { "off" };
    let journal = settings.journal.unwrap_or_default();
    format!(
        r#"
# A machine that runs this is busy: only what a run makes unavailable may be so.
[database.hot]
acquire_timeout_ms = 1000
statement_timeout_ms = 10000
lock_timeout_ms = 10000

[providers.gemini]
base_url = {gemini}
api_key = "mock"

[providers.mock]
kind = "openai"
base_url = {openai}
api_key = "mock"
price_provider = "openai"
models = ["gpt-4o-mini", "gpt-4o"]

[models.aliases]
default = "mock/gpt-4o-mini"

[routing]
backoff_ms = 20

[cache]
mode = "{mode}"

[quota]
lease_tokens_max = {lease_tokens_max}
lease_idle_return_ms = {lease_idle_return_ms}

[metering]
journal_dir = {journal}
segment_bytes_max = {segment_bytes_max}
ship_interval_ms = 20
"#,
        gemini = quoted(&provider.url()),
        openai = quoted(&provider.path_url("/v1")),
        journal = quoted(&journal.to_string_lossy()),
        lease_tokens_max = settings.lease_tokens_max,
        lease_idle_return_ms = settings.lease_idle_return_ms,
        segment_bytes_max = settings.segment_bytes_max,
    )
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
