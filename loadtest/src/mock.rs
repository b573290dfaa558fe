//! A mock provider in a process of its own, so that its work is not counted as anyone else's.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use http::Method;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::client;
use crate::loopback::Target;
use crate::process::Process;
use crate::provider::books::{Statement, Total};
use crate::scratch::Scratch;

const STOP_MAX: Duration = Duration::from_secs(10);

/// A running mock.
#[derive(Debug)]
pub struct Mock {
    process: Process,
    target: Target,
    /// Kept open, so that its last line finds a reader.
    _output: BufReader<tokio::process::ChildStdout>,
}

#[derive(Deserialize)]
struct Listening {
    listening: String,
}

#[derive(Deserialize)]
struct Totals {
    totals: BTreeMap<String, Total>,
}

impl Mock {
    /// Starts this very program as a provider on a free port.
    pub async fn start(scratch: &Scratch) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["provider", "--port", "0"])
            .stdout(Stdio::piped());
        let log = scratch.path().join("provider.log");
        let mut process = Process::start("the mock provider", command, &log)?;
        let output = process.output().context("the mock has no output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).await?;
        let listening: Listening = serde_json::from_str(&line)
            .with_context(|| format!("the mock does not listen: {}", process.log_end()))?;
        Ok(Self {
            process,
            target: listening.listening.parse()?,
            _output: output,
        })
    }

    /// Where it serves.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Stops it.
    pub async fn stop(self) -> anyhow::Result<()> {
        let status = self.process.stop(STOP_MAX).await?;
        anyhow::ensure!(status.success(), "the mock stopped with {status}");
        Ok(())
    }
}

/// The books of a mock, call by call.
pub async fn books(provider: &Target) -> anyhow::Result<Statement> {
    client::get_json(provider, None, "/books").await
}

/// Makes a mock forget every call.
pub async fn clear(provider: &Target) -> anyhow::Result<()> {
    let (status, _) = client::fetch(provider, None, Method::DELETE, "/books").await?;
    anyhow::ensure!(status.is_success(), "the books were not cleared: {status}");
    Ok(())
}

/// How many calls a mock has in its books.
pub async fn calls(provider: &Target) -> anyhow::Result<u64> {
    let totals: Totals = client::get_json(provider, None, "/books/totals").await?;
    Ok(totals.totals.values().map(|total| total.calls).sum())
}
