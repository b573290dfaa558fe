//! The command line of the mock provider and the load generator.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::oracle::reconcile;
use loadtest::output::{self, Verdict};
use loadtest::{bench, cache_eval, chaos, crash, outage, provider, quota};
use tokio::signal::unix::{SignalKind, signal};

/// A mock provider with its own books, and a load generator; loopback only.
///
/// Every sub-command ends with one line of JSON on standard output, and exits 0 only when what it checks holds.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve as OpenAI and Gemini, with deterministic answers, until interrupted.
    #[command(after_help = provider::HELP)]
    Provider(provider::Options),
    /// Measure a proxy under load, beside nginx if asked to.
    Bench(bench::Options),
    /// Compare the gateway's usage report with the mock's books: tokens and dollars, to the last decimal.
    #[command(visible_alias = "verify")]
    Reconcile(reconcile::Options),
    /// Kill the gateway under load, again and again, and look for calls that are lost or booked twice.
    Crash(crash::Options),
    /// Two gateways and PostgreSQL under everything that can go wrong, seed by seed: each call of the provider is booked once.
    Chaos(chaos::Options),
    /// Let many callers on several gateways use up one quota: never more than it, and nearly all of it.
    Quota(quota::Options),
    /// Replay labelled questions through the semantic cache: how many it answers, and how many of those wrongly.
    CacheEval(cache_eval::Options),
    /// Take PostgreSQL away under load: known keys are served, and the gateway's memory stays flat.
    Outage(outage::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            output::note(&format!("loadtest: {error:#}"));
            let failure = serde_json::json!({ "error": format!("{error:#}") });
            let _ = output::json(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<Verdict> {
    match command {
        Command::Provider(options) => runtime(options.threads)?.block_on(provider::run(options)),
        Command::Bench(options) => supervised(bench::run(options)),
        Command::Reconcile(options) => supervised(reconcile::run(options)),
        Command::Crash(options) => supervised(crash::run(options)),
        Command::Chaos(options) => supervised(chaos::run(options)),
        Command::Quota(options) => supervised(quota::run(options)),
        Command::CacheEval(options) => supervised(cache_eval::run(options)),
        Command::Outage(options) => supervised(outage::run(options)),
    }
}

/// Runs to the end, or until interrupted: then what was started is stopped on the way out.
fn supervised(run: impl Future<Output = anyhow::Result<Verdict>>) -> anyhow::Result<Verdict> {
    runtime(1)?.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            verdict = run => verdict,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            _ = terminated.recv() => anyhow::bail!("terminated"),
        }
    })
}

/// One thread costs least; several are for when one does not keep up.
fn runtime(threads: u16) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(builder
        .worker_threads(threads.into())
        .enable_all()
        .build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
