//! Replays labelled questions through the real cache and says how many it answered, and how many of those wrongly.
//!
//! The cache, its database and its embedder are the product's; what is simulated is the provider, whose answers are
//! made from a question's class in several wordings, so that equal answers have to be recognised as such. A
//! *stream* is a file of `{text, class}`: a hit is right when the two questions share their class. *Pairs* are
//! `{a, b, label, kind}`: `a` is answered, then `b` is asked, and a hit is right when the label is 1.

mod answers;
mod data;
mod pairs;
mod report;
mod setting;
mod stream;
mod vectors;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::output::{self, Verdict};
use data::Data;
use setting::Setting;

/// What to replay, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A file of JSON lines.
    #[arg(long)]
    data: PathBuf,
    /// What the file holds; by default its fields say.
    #[arg(long)]
    kind: Option<Kind>,
    /// The order of the questions, the wordings of the answers, and which hits are audited.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, from `--seed` on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Questions to replay at most.
    #[arg(long)]
    limit: Option<usize>,
    /// Wrong answers per hit that are allowed.
    #[arg(long, default_value_t = 0.01)]
    delta: f64,
    /// Replay half of the classes first and the others afterwards.
    #[arg(long)]
    drift: bool,
    /// The share of audits whose finding is turned round.
    #[arg(long, default_value_t = 0.0)]
    flip: f64,
    /// Where to write what each decision was made from, as lines of `right,score,features…`.
    #[arg(long)]
    features: Option<PathBuf>,
    /// Write each wrong hit to standard error.
    #[arg(long)]
    explain: bool,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Questions with classes.
    Stream,
    /// Pairs with labels.
    Pairs,
}

/// Replays and prints. It holds when the realised share of wrong hits is at most `delta`, in 95 % of the seeds.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    if !options.data.is_file() {
        output::note(&format!("{} is not there", options.data.display()));
        return Ok(Verdict::Unavailable);
    }
    let data = Data::read(&options.data, options.kind)?;
    let mut kept = 0;
    for seed in options.seed..options.seed + options.seeds {
        let options = Options {
            seed,
            ..options.clone()
        };
        let setting = Setting::new(&options)
            .await
            .context("no cache to evaluate")?;
        let report = match &data {
            Data::Stream(questions) => stream::replay(&setting, &options, questions).await?,
            Data::Pairs(pairs) => pairs::replay(&setting, &options, pairs).await?,
        };
        setting.stop().await;
        kept += u64::from(report.wrong_per_hit <= options.delta);
        output::json(&report)?;
    }
    Ok(Verdict::when(kept * 100 >= options.seeds * 95))
}
