//! The baseline: nginx as a plain reverse proxy in front of the same mock provider.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

use crate::gateway::free_address;
use crate::loopback::Target;
use crate::process::{Process, account};
use crate::scratch::Scratch;

/// Where packages put it when the search path of the user does not lead there.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];
const READY_MAX: Duration = Duration::from_secs(10);
const READY_POLL: Duration = Duration::from_millis(20);
const STOP_MAX: Duration = Duration::from_secs(10);

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    target: Target,
}

impl Nginx {
    /// Starts it; none when it is not installed.
    pub async fn start(
        scratch: &Scratch,
        provider: &Target,
        streams: bool,
    ) -> anyhow::Result<Option<Self>> {
        let Some(program) = installed().await? else {
            return Ok(None);
        };
        let target = Target::at(free_address()?)?;
        let config = configuration(scratch.path(), &target, provider, streams)?;
        let config = scratch.write("nginx.conf", &config)?;
        let mut command = Command::new(program);
        command.arg("-p").arg(scratch.path()).arg("-c").arg(config);
        command.stdout(Stdio::null());
        let log = scratch.path().join("nginx.log");
        let mut process = Process::start("nginx", command, &log)?;
        let started = Instant::now();
        while TcpStream::connect(target.address).await.is_err() {
            if process.ended().is_some() || started.elapsed() > READY_MAX {
                bail!("nginx does not start: {}", process.log_end());
            }
            sleep(READY_POLL).await;
        }
        Ok(Some(Self { process, target }))
    }

    /// Where it serves.
    pub fn target(&self) -> Target {
        self.target.clone()
    }

    /// The master and its workers.
    pub fn processes(&self) -> anyhow::Result<Vec<u32>> {
        account::family(self.process.id())
    }

    /// Stops it, and waits until it is gone.
    pub async fn stop(self) -> anyhow::Result<ExitStatus> {
        self.process.stop(STOP_MAX).await
    }
}

async fn installed() -> anyhow::Result<Option<&'static str>> {
    for program in PROGRAMS {
        let mut version = Command::new(program);
        version.arg("-v").stderr(Stdio::null());
        match version.status().await {
            Ok(_) => return Ok(Some(program)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("cannot run nginx"),
        }
    }
    Ok(None)
}

/// As many workers as the gateway has threads, one per processor; everything that could be asked of it is off.
fn configuration(
    folder: &Path,
    target: &Target,
    provider: &Target,
    streams: bool,
) -> anyhow::Result<String> {
    let workers = std::thread::available_parallelism()?;
    let folder = folder.display();
    let buffering = if streams { "off" } else { "on" };
    Ok(format!(
        r#"daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  upstream provider {{
    server {upstream};
    keepalive 1024;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen};
    client_max_body_size 64m;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
      proxy_read_timeout 600s;
    }}
  }}
}}
"#,
        upstream = provider.address,
        listen = target.address,
    ))
}
