//! A gateway of our own: started on a free port with an empty data folder, and a mock behind it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use tokio::process::Command;
use tokio::time::sleep;

use crate::client;
use crate::loopback::Target;
use crate::process::Process;
use crate::scratch::Scratch;

/// Making the embedded database takes a while on a slow disk.
const READY_MAX: Duration = Duration::from_mins(3);
const READY_POLL: Duration = Duration::from_millis(50);
/// Streams under way and the journal are given this long.
const STOP_MAX: Duration = Duration::from_mins(2);

/// Which gateway to start.
#[derive(Debug, Clone, Args)]
#[group(id = "installation")]
pub struct Options {
    /// The gateway's program; by default `flowpilot` beside this one.
    #[arg(long, value_name = "PATH")]
    pub gateway: Option<PathBuf>,
    /// A PostgreSQL for it; by default it brings its own.
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

/// How to start a gateway, as often as needed.
#[derive(Debug)]
pub struct Installation {
    program: PathBuf,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    target: Target,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Where it serves.
    pub target: Target,
    /// A key that it accepts.
    pub key: String,
}

impl Installation {
    /// Writes the configuration of a gateway whose every model is the mock's.
    pub fn new(options: &Options, scratch: &Scratch, provider: &Target) -> anyhow::Result<Self> {
        let address = free_address()?;
        let data = scratch.path().join("data");
        let database_url = options.database_url.as_deref();
        let config = configuration(address, &data, provider, database_url);
        Ok(Self {
            program: program(options)?,
            config: scratch.write("flowpilot.toml", &config)?,
            data,
            log: scratch.path().join("gateway.log"),
            target: Target::at(address)?,
        })
    }

    /// Starts the gateway and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<Gateway> {
        let mut command = self.command("serve");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        command.stdout(log);
        let mut process = Process::start("the gateway", command, &self.log)?;
        if let Err(error) = self.wait(&mut process).await {
            let log = process.log_end();
            return Err(error.context(format!("the gateway says:\n{log}")));
        }
        let key = self.data.join("demo-key");
        let key = std::fs::read_to_string(&key)
            .with_context(|| format!("the gateway left no key in {}", key.display()))?;
        Ok(Gateway {
            process,
            target: self.target.clone(),
            key: key.trim().to_owned(),
        })
    }

    /// A sub-command of the gateway with this configuration. A database named in the environment is not ours to use.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(subcommand).arg("--config").arg(&self.config);
        for name in [
            "DATABASE_URL",
            "FLOWPILOT__DATABASE__URL",
            "FLOWPILOT__SERVER__LISTEN",
        ] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    async fn wait(&self, process: &mut Process) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                bail!("the gateway ended with {status}");
            }
            let ready = client::fetch(&self.target, None, Method::GET, "/readyz").await;
            if ready.is_ok_and(|(status, _)| status.is_success()) {
                return Ok(());
            }
            if started.elapsed() > READY_MAX {
                bail!("the gateway was not ready within {READY_MAX:?}");
            }
            sleep(READY_POLL).await;
        }
    }
}

impl Gateway {
    /// Asks it to stop, and waits until it is gone.
    pub async fn stop(self) -> anyhow::Result<()> {
        let status = self.process.stop(STOP_MAX).await?;
        anyhow::ensure!(status.success(), "the gateway stopped with {status}");
        Ok(())
    }
}

/// Prices are those of OpenAI's model, so that what the gateway books can be checked against the price list.
fn configuration(
    listen: SocketAddr,
    data: &Path,
    provider: &Target,
    database_url: Option<&str>,
) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let data = text(&data.to_string_lossy());
    let base_url = text(&provider.path_url("/v1"));
    let database_url = text(database_url.unwrap_or_default());
    format!(
        r#"[server]
listen = "{listen}"
data_dir = {data}

[database]
url = {database_url}

[providers.mock]
kind = "openai"
base_url = {base_url}
api_key = "mock"
price_provider = "openai"
models = ["{MODEL}"]

[models.aliases]
default = "mock/{MODEL}"
"*" = "mock/{MODEL}"
"#
    )
}

/// What every model's name means to a gateway of ours.
pub const MODEL: &str = "gpt-4o-mini";

fn program(options: &Options) -> anyhow::Result<PathBuf> {
    let program = match &options.gateway {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("flowpilot"),
    };
    let found = program.is_file();
    anyhow::ensure!(
        found,
        "there is no gateway at {}; give --gateway",
        program.display()
    );
    Ok(program)
}

/// An address that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let listener = TcpListener::bind(any).context("no free port")?;
    Ok(listener.local_addr()?)
}
