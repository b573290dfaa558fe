//! A mock provider: the chat APIs of OpenAI, Anthropic and Gemini with deterministic answers, and books of what it charges for.
//!
//! It is cheap per request, because it shares the machine with what is measured, and does nothing by chance:
//! an answer is a function of the prompt, and faults are asked for in the prompt (see [`directive`]).
//!
//! # Adding a dialect
//! A module beside [`openai`] with `understand` and `Answer`, a variant of [`dialect::Dialect`], its paths in [`route`].

pub mod answer;
pub mod anthropic;
pub mod body;
pub mod books;
pub mod dialect;
pub mod directive;
pub mod embeddings;
pub mod gemini;
pub mod openai;
pub mod plan;
pub mod route;
pub mod server;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{self, Verdict};
use dialect::Dialect;
pub use server::Server;

/// Calls the books hold unless told otherwise; about 200 bytes each.
const BOOKS_MAX: usize = 2_000_000;

/// What `--help` teaches beside the options.
pub const HELP: &str = "\
A prompt may hold directives:
  [[delay=MS]]      wait before the first byte
  [[pace=MS]]       wait between events
  [[cut=N]]         close the connection after N events; a whole answer breaks off in its middle
  [[status=CODE]]   refuse, with the dialect's error body
  [[usage=none]]    say nothing about usage
  [[tokens=N]]      visible output tokens
  [[thoughts=N]]    reasoning tokens beside them
  [[cached=N]]      input tokens from the provider's cache
  [[written=N]]     input tokens written to it for five minutes; [[written1h=N]] for an hour (anthropic)
  [[events=N]]      exactly N content events
  [[tool=A,B]]      call these tools, when tools are offered
  [[finish=WHY]]    stop, length or content_filter
  [[mark=TEXT]]     write TEXT beside the call in the books
GET /books tells what was charged, DELETE /books forgets it.";

/// How a mock provider is to run.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub listen: SocketAddr,
    /// Another port than that of --listen; 0 takes a free one and prints it.
    #[arg(long)]
    pub port: Option<u16>,
    /// Which protocol to speak.
    #[arg(long, value_enum, default_value_t = Spoken::All)]
    pub dialect: Spoken,
    /// Accept this credential only; any by default, but one must be there.
    #[arg(long, value_name = "KEY")]
    pub require_key: Option<String>,
    /// A model to list, repeatable; every model is served, listed or not.
    #[arg(
        long = "model",
        value_name = "MODEL",
        default_values = ["gpt-4o-mini", "gpt-4o", "gemini-2.5-flash", "gemini-2.5-pro", "claude-haiku-4-5"]
    )]
    pub models: Vec<String>,
    /// Calls kept in the books at most; more are refused with 503, and the run fails.
    #[arg(long, value_name = "N", default_value_t = BOOKS_MAX)]
    pub books_max: usize,
    /// Worker threads; one costs least.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
}

/// Which protocols a mock speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spoken {
    /// OpenAI's only.
    Openai,
    /// Gemini's only.
    Gemini,
    /// Anthropic's only.
    Anthropic,
    /// All of them, told apart by path and headers.
    #[value(alias = "both")]
    All,
}

impl Default for Options {
    /// A mock on a free port, as tests want it.
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            port: None,
            dialect: Spoken::All,
            require_key: None,
            models: vec!["gpt-4o-mini".to_owned(), "gemini-2.5-flash".to_owned()],
            books_max: BOOKS_MAX,
            threads: 1,
        }
    }
}

impl Options {
    /// The address to listen on, if it is on loopback.
    fn address(&self) -> anyhow::Result<SocketAddr> {
        let port = self.port.unwrap_or(self.listen.port());
        let address = SocketAddr::new(self.listen.ip(), port);
        ensure!(
            address.ip().is_loopback(),
            "{address} is not on loopback, and a mock must not be reachable from elsewhere"
        );
        Ok(address)
    }

    const fn only_dialect(&self) -> Option<Dialect> {
        match self.dialect {
            Spoken::Openai => Some(Dialect::OpenAi),
            Spoken::Gemini => Some(Dialect::Gemini),
            Spoken::Anthropic => Some(Dialect::Anthropic),
            Spoken::All => None,
        }
    }
}

/// Serves until SIGINT or SIGTERM; fails when the books overflowed.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let server = Server::start(&options).await?;
    output::json(&json!({ "listening": server.base_url() }))?;

    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    let closing = server.stop().await;
    output::json(&closing)?;
    Ok(Verdict::when(closing.turned_away == 0))
}
