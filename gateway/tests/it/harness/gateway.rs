//! The program `flowpilot` as a process: a folder with its configuration and data, started as often as needed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use toml::Table;

use super::http::Client;
use super::{eventually, watchdog};

/// Log lines shown when a test fails.
const LOG_LINES: usize = 60;

/// What a gateway is started from, and keeps.
#[derive(Debug)]
pub(crate) struct Installation {
    folder: TempDir,
    settings: Table,
}

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    client: Client,
    log: PathBuf,
}

impl Installation {
    /// Writes the configuration.
    pub(crate) fn new(settings: Table) -> Self {
        let folder = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(watchdog::folder())
            .unwrap();
        // The folder of the configuration is watched for changes; nothing else happens in it.
        fs::create_dir(folder.path().join("config")).unwrap();
        let mut installation = Self {
            folder,
            settings: Table::new(),
        };
        installation.configure(settings);
        installation
    }

    /// Replaces the configuration, which a running gateway follows.
    pub(crate) fn configure(&mut self, settings: Table) {
        self.write_config(&settings.to_string());
        self.settings = settings;
    }

    /// Puts any text in the place of the configuration.
    pub(crate) fn write_config(&self, text: &str) {
        let scratch = self.folder.path().join("new.toml");
        fs::write(&scratch, text).unwrap();
        fs::rename(scratch, self.config()).unwrap();
    }

    /// The configuration.
    pub(crate) const fn settings(&self) -> &Table {
        &self.settings
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file of the data folder, without the line's end.
    pub(crate) fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.data_dir().join(name)).unwrap();
        text.trim_end().to_owned()
    }

    /// Starts a gateway and waits until it is ready.
    pub(crate) async fn start(&self) -> Gateway {
        let mut command = self.command(&["serve"]);
        command.arg("--config").arg(self.config());
        self.run(command).await
    }

    /// Starts the program with these arguments and waits until it is ready.
    pub(crate) async fn run(&self, mut command: Command) -> Gateway {
        let (out, log) = (self.out(), self.folder.path().join("log"));
        let append = File::options().create(true).append(true).open(&log);
        command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(append.unwrap());
        let child = command.spawn().unwrap();
        watchdog::watch(&child);
        let mut gateway = Gateway {
            child,
            client: Client::new(String::new()),
            log,
        };
        eventually("the gateway says where it is", async || {
            assert_eq!(gateway.child.try_wait().unwrap(), None, "it ended");
            fs::read_to_string(&out).is_ok_and(|out| base_url(&out).is_some())
        })
        .await;
        let base = base_url(&fs::read_to_string(&out).unwrap()).unwrap();
        gateway.client = Client::new(base);
        eventually("the gateway is ready", async || {
            gateway.client.get("/readyz", None).await.status == 200
        })
        .await;
        gateway
    }

    /// A command in an environment that says nothing, with this installation's data.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowpilot"));
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data_dir())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        command
    }

    /// Everything printed since the last start.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.out()).unwrap()
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config/flowpilot.toml")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

/// The address in the banner. It is read when its line is complete.
fn base_url(printed: &str) -> Option<String> {
    let (_, rest) = printed.split_once("base URL")?;
    let (url, _) = rest.split_once('\n')?;
    let url = url.trim();
    Some(url.strip_suffix("/v1").unwrap_or(url).to_owned())
}

impl Gateway {
    /// A client of it.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Its id.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// Everything logged by all starts of its installation.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the gateway ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        watchdog::forget(&self.child);
        status.unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_end(&self.log);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            watchdog::forget(&self.child);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The end of the log goes where the test harness collects what a failed test printed.
#[expect(clippy::print_stderr, reason = "for whoever reads why a test failed")]
fn show_end(log: &Path) {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
    for line in lines.iter().rev() {
        eprintln!("| {line}");
    }
}
