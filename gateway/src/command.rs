//! The commands: each reads the configuration, does one thing, and says how it went.

pub(crate) mod billing;
mod check_config;
mod keys;
mod leases;
mod migrate;
mod openapi;
mod prices;
mod report;
mod rollup;
mod serve;
mod setup;

use std::fmt::Write;
use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use config::{Config, Environment, Overrides, Problems, Sources};

use crate::cli::{Cli, Command, Common, ServeArgs};
use crate::output;
use crate::state::State;

/// The command line or the configuration is wrong (`sysexits.h`).
pub(crate) const EX_USAGE: u8 = 64;
/// Something we depend on is not to be had (`sysexits.h`).
const EX_UNAVAILABLE: u8 = 69;

/// Runs the command.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let Cli {
        common,
        serve,
        command,
    } = cli;
    let result = match command.unwrap_or(Command::Serve(ServeArgs::default())) {
        Command::Postgres { arguments } => return database::embedded::launch::main(arguments),
        Command::Render { argument } => return crate::template::worker::main(&argument),
        Command::Serve(own) => serve::run(&common, own.listen.or(serve.listen)),
        Command::Setup { from } => setup::run(&common, &from),
        Command::Migrate => migrate::run(&common),
        Command::CheckConfig => check_config::run(&common),
        Command::Keys(command) => keys::run(&common, command),
        Command::Report(command) => report::run(&common, command),
        Command::Prices(command) => prices::run(&common, command),
        Command::Billing(command) => billing::run(&common, command),
        Command::Rollup(command) => rollup::run(&common, command),
        Command::Leases(command) => leases::run(&common, &command),
        Command::Openapi => openapi::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => explain(&error),
    }
}

/// Tells the whole chain of causes, once.
fn explain(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        output::complain(format_args!(
            "the configuration cannot be used:\n{problems}"
        ));
        return EX_USAGE.into();
    }
    let mut text = format!("flowpilot: {error}");
    for cause in error.chain().skip(1) {
        let _ = write!(text, "\n  because {cause}");
    }
    output::complain(text);
    let unavailable = error.chain().any(|cause| {
        cause.is::<database::Error>()
            || cause.is::<database::embedded::Error>()
            || cause.is::<database::embedded::assets::Error>()
    });
    if unavailable {
        EX_UNAVAILABLE.into()
    } else {
        ExitCode::FAILURE
    }
}

/// Where the configuration comes from.
fn sources(common: &Common, listen: Option<std::net::SocketAddr>) -> anyhow::Result<Sources> {
    let mut environment = Environment::capture();
    if let Some(path) = &common.env_file {
        environment = environment
            .with_file(path)
            .with_context(|| format!("--env-file {}", path.display()))?;
    }
    Ok(Sources {
        file: common.config.clone(),
        environment,
        overrides: Overrides {
            listen,
            data_dir: common.data_dir.clone(),
        },
    })
}

/// The checked configuration.
fn load(common: &Common) -> anyhow::Result<Config> {
    Ok(config::load(&sources(common, None)?)?)
}

/// Runs the future on a runtime of its own.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .context("the runtime cannot be started")?
        .block_on(future)
}

/// Does something with the database, which is started if it is the embedded one and not running yet.
fn with_database<T>(
    common: &Common,
    work: impl AsyncFnOnce(&State) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let config = load(common)?;
    crate::telemetry::start_log(&config.log)?;
    block_on(async {
        let state = State::visit(&config).await?;
        let result = work(&state).await;
        state.close().await;
        result
    })
}
