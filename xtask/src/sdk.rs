//! The official SDKs against the gateway: what they do works, and what it cost is booked as the provider booked it.
//!
//! Everything is of this run alone: a database, a mock provider, a gateway. Each Python SDK or framework is installed
//! into a virtual environment of its own below the target folder, and each generation of the Node SDKs beside a Node
//! of its own: once, from pinned and hashed packages.

mod node;
mod process;
mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use database::testing::TestDatabase;

use crate::cargo;
use crate::output::{heading, say};
use process::Process;

/// Where the scripts are.
const SCRIPTS: &str = "gateway/tests/sdk";

/// What the SDKs read from the environment, and would obey.
const PROVIDER_SETTINGS: [&str; 8] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GENAI_USE_VERTEXAI",
];

/// What to do where packages cannot be fetched.
const NO_PACKAGES: &str = "the SDKs could not be installed: this needs python3 (3.10 or newer) with venv, and indexes of \
     packages, which pip and npm find by their own settings; after the first time it needs neither";

/// An installed SDK or framework, and the tests that use it.
#[derive(Debug)]
struct Suite {
    /// Tells its questions from those of the others.
    name: String,
    interpreter: PathBuf,
    arguments: Vec<PathBuf>,
}

impl Suite {
    fn run(&self, base_url: &str, key: &str) -> Result<()> {
        say(&self.name);
        let mut tests = Command::new(&self.interpreter);
        tests
            .args(&self.arguments)
            .env("FLOWPILOT_BASE_URL", base_url)
            .env("FLOWPILOT_API_KEY", key)
            .env("FLOWPILOT_SUITE", &self.name);
        // Settings of this machine for the real providers would be obeyed by the SDKs.
        for name in PROVIDER_SETTINGS {
            tests.env_remove(name);
        }
        cargo::run_command(tests)
    }
}

pub(crate) fn run() -> Result<()> {
    heading("programs");
    cargo::run(&[
        "build",
        "--locked",
        "--package",
        "gateway",
        "--package",
        "loadtest",
    ])?;
    heading("SDKs");
    let folder = cargo::target_dir().join("sdk");
    let mut suites = python::install(&folder)?;
    suites.extend(node::install(&folder)?);

    heading("SDKs against the gateway");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let database = runtime.block_on(TestDatabase::new());
    let ran = with_gateway(&suites, &folder, database.url().expose());
    runtime.block_on(async { drop(database) });
    ran
}

fn with_gateway(suites: &[Suite], folder: &Path, database_url: &str) -> Result<()> {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    let mut mock = Command::new(program("loadtest"));
    mock.args(["provider", "--port", "0"]);
    let mut mock = Process::start("the mock provider", mock)?;
    let provider = mock.line_after("{\"listening\":\"")?;
    let provider = provider.trim_end_matches(['"', '}']);

    let config = folder.join("flowpilot.toml");
    fs::write(&config, configuration(&data, database_url, provider))?;
    let mut serve = flowpilot(&config, &["serve"]);
    let log = folder.join("gateway.log");
    serve.stderr(fs::File::create(&log)?);
    say(&format!("the gateway logs to {}", log.display()));
    let mut gateway = Process::start("the gateway", serve)?;
    let base_url = gateway.line_after("base URL")?;
    let create = [
        "keys",
        "create",
        "--organization",
        "platform",
        "--name",
        "sdk",
    ];
    let key = cargo::output_of(flowpilot(&config, &create))?;

    let ran = suites
        .iter()
        .try_for_each(|suite| suite.run(&base_url, key.trim()));
    gateway.stop()?;
    ran?;
    heading("books of the gateway and of the provider");
    reconcile(folder, &config, provider)?;
    mock.stop()
}

/// Compares what was booked with what the provider charges; `loadtest` says how they differ.
fn reconcile(folder: &Path, config: &Path, provider: &str) -> Result<()> {
    let report = folder.join("report.json");
    let usage = ["report", "usage", "--format", "json"];
    fs::write(&report, cargo::output_of(flowpilot(config, &usage))?)?;
    let mut reconcile = Command::new(program("loadtest"));
    reconcile
        .args(["reconcile", "--provider", provider, "--report"])
        .arg(&report)
        .current_dir(cargo::root());
    cargo::run_command(reconcile)?;
    say("the books agree");
    Ok(())
}

fn configuration(data: &Path, database_url: &str, provider: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
data_dir = "{}"

[database]
url = "{database_url}"

[providers.gemini]
base_url = "{provider}"
api_key = "mock"

[providers.anthropic]
base_url = "{provider}"
api_key = "mock"

[providers.mock]
kind = "openai"
base_url = "{provider}/v1"
api_key = "mock"
price_provider = "openai"
models = ["gpt-4o-mini", "text-embedding-3-small"]

[models.aliases]
default = "gemini/gemini-2.5-flash"
"#,
        data.display()
    )
}

/// The gateway's program, deaf to settings of this machine.
fn flowpilot(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("flowpilot"));
    command.args(arguments).arg("--config").arg(config);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy().starts_with("FLOWPILOT");
        if ours || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn program(name: &str) -> PathBuf {
    cargo::target_dir().join("debug").join(name)
}
