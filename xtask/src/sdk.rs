//! The official SDKs against the gateway: what they do works, and what it cost is booked as the provider booked it.
//!
//! Everything is of this run alone: a database, a mock provider, a gateway. Each SDK is installed into a virtual
//! environment of its own below the target folder, once, from pinned and hashed packages.

mod process;

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

/// An SDK, and the script that uses it.
#[derive(Debug, Clone, Copy)]
struct Suite {
    name: &'static str,
    script: &'static str,
}

const SUITES: [Suite; 3] = [
    Suite {
        name: "openai",
        script: "openai_chat.py",
    },
    Suite {
        name: "anthropic",
        script: "anthropic_messages.py",
    },
    Suite {
        name: "gemini",
        script: "gemini_generate.py",
    },
];

/// What to do where packages cannot be fetched.
const NO_PACKAGES: &str = "the SDKs could not be installed: this needs python3 (3.10 or newer) with venv, and a package \
     index, which pip finds by its own settings (PIP_INDEX_URL); after the first time it needs neither";

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
    let mut installed = Vec::new();
    for suite in SUITES {
        installed.push((install(&folder, suite)?, suite));
    }

    heading("SDKs against the gateway");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let database = runtime.block_on(TestDatabase::new());
    let ran = with_gateway(&installed, &folder, database.url().expose());
    runtime.block_on(async { drop(database) });
    ran
}

/// The interpreter with an SDK. What is installed is kept until the requirements change.
fn install(folder: &Path, suite: Suite) -> Result<PathBuf> {
    let requirements = format!("requirements-{}.txt", suite.name);
    let requirements = cargo::root().join(SCRIPTS).join(requirements);
    let wanted = fs::read_to_string(&requirements)?;
    let environment = folder.join(suite.name);
    // Inside, so that it goes with what it speaks of.
    let installed = environment.join("installed.txt");
    let python = environment.join("bin/python");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.exists() {
        return Ok(python);
    }
    fs::create_dir_all(folder)?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    cargo::run_command(make).context(NO_PACKAGES)?;
    let mut fetch = Command::new(&python);
    fetch
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--require-hashes", "--requirement"])
        .arg(&requirements);
    cargo::run_command(fetch).context(NO_PACKAGES)?;
    fs::write(installed, wanted)?;
    Ok(python)
}

fn with_gateway(installed: &[(PathBuf, Suite)], folder: &Path, database_url: &str) -> Result<()> {
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

    let ran = installed.iter().try_for_each(|(python, suite)| {
        let mut script = Command::new(python);
        script
            .arg(cargo::root().join(SCRIPTS).join(suite.script))
            .env("FLOWPILOT_BASE_URL", &base_url)
            .env("FLOWPILOT_API_KEY", key.trim());
        cargo::run_command(script)
    });
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
