//! A gateway of our own: started on a free port with an empty data folder, and a mock behind it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use http::Method;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::loopback::Target;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::{client, program};

/// Making the embedded database takes a while on a slow disk.
const READY_MAX: Duration = Duration::from_mins(3);
const READY_POLL: Duration = Duration::from_millis(20);
/// A gateway that has bound its address and does not serve yet lets a connection wait.
const ANSWER_MAX: Duration = Duration::from_secs(2);
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
    /// Where it will serve.
    pub target: Target,
}

/// What became of a start.
#[derive(Debug)]
pub enum Launched {
    /// It serves.
    Serving(Box<Process>),
    /// It ended before it did.
    Ended(ExitStatus),
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
        let program = program::beside(options.gateway.as_deref(), &program::SERVING)?;
        Self::of(program, scratch.path(), address, &config)
    }

    /// Writes the configuration into a folder that holds nothing else of a gateway's, and may hold it all.
    pub fn of(
        program: PathBuf,
        folder: &Path,
        address: SocketAddr,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        let installation = Self {
            program,
            config: folder.join("config").join("flowpilot.toml"),
            data: folder.join("data"),
            log: folder.join("gateway.log"),
            target: Target::at(address)?,
        };
        std::fs::create_dir_all(folder.join("config"))
            .with_context(|| format!("cannot make a folder in {}", folder.display()))?;
        installation.configure(configuration)?;
        Ok(installation)
    }

    /// Replaces the configuration as a whole; a running gateway follows it.
    pub fn configure(&self, configuration: &str) -> anyhow::Result<()> {
        let scratch = self.config.with_extension("new");
        std::fs::write(&scratch, configuration)
            .and_then(|()| std::fs::rename(&scratch, &self.config))
            .with_context(|| format!("cannot write {}", self.config.display()))
    }

    /// Starts the gateway with these variables and waits until it serves, which it may do without being ready, or is gone.
    pub async fn launch(&self, variables: &[(&str, &str)]) -> anyhow::Result<Launched> {
        let mut command = self.serve()?;
        command.envs(variables.iter().copied());
        let mut process = Process::start("the gateway", command, &self.log)?;
        let started = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                return Ok(Launched::Ended(status));
            }
            if self.answers("/livez").await {
                return Ok(Launched::Serving(Box::new(process)));
            }
            if started.elapsed() > READY_MAX {
                bail!(
                    "the gateway did not serve within {READY_MAX:?}:\n{}",
                    process.log_end()
                );
            }
            sleep(READY_POLL).await;
        }
    }

    fn serve(&self) -> anyhow::Result<Command> {
        let mut command = self.command("serve");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        command.stdout(log);
        Ok(command)
    }

    async fn answers(&self, path: &str) -> bool {
        let answer = client::fetch(&self.target, None, Method::GET, path);
        let answer = timeout(ANSWER_MAX, answer).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|(status, _)| status.is_success()))
    }

    /// Where its log is, for people.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// A file of its data folder, without the line's end.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.data.join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the gateway left no {}", path.display()))?;
        Ok(text.trim().to_owned())
    }

    /// Starts the gateway and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<Gateway> {
        let command = self.serve()?;
        let mut process = Process::start("the gateway", command, &self.log)?;
        if let Err(error) = self.wait(&mut process).await {
            let log = process.log_end();
            return Err(error.context(format!("the gateway says:\n{log}")));
        }
        Ok(Gateway {
            process,
            target: self.target.clone(),
            key: self.read("demo-key")?,
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

    /// What `flowpilot report` prints with these arguments.
    pub async fn report(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("report");
        let output = command.args(arguments).kill_on_drop(true).output().await;
        let output = output.context("cannot run the gateway's report")?;
        ensure!(
            output.status.success(),
            "the gateway's report ends with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).context("the gateway's report is no text")
    }

    async fn wait(&self, process: &mut Process) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                bail!("the gateway ended with {status}");
            }
            if self.answers("/readyz").await {
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
        ensure!(status.success(), "the gateway stopped with {status}");
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

/// An address that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let listener = TcpListener::bind(any).context("no free port")?;
    Ok(listener.local_addr()?)
}
