//! The configuration as it may be used: every section read, and checked alone and against the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::key::Key;
use crate::layers::Layers;
use crate::load;
use crate::prices::PriceList;
use crate::problem::{Problem, Problems};
use crate::report::Report;
use crate::section::{
    Auth, Cache, Database, Limits, Log, Metering, Models, Privacy, Provider, Quota, Server, Target,
    Unpriced,
};

/// A configuration that was checked and may be used.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listeners, limits at the edge, and how it stops.
    pub server: Server,
    /// Where PostgreSQL is, and the bulkheads between kinds of work.
    pub database: Database,
    /// The providers by name; `demo` is always among them.
    pub providers: BTreeMap<String, Provider>,
    /// What the names that clients use mean.
    pub models: Models,
    /// How many keys are held in memory, and how old they may grow.
    pub auth: Auth,
    /// How fast one key may go.
    pub limits: Limits,
    /// Which answers are given again, and for how long.
    pub cache: Cache,
    /// How large the slices are that a node takes of a quota.
    pub quota: Quota,
    /// How durable a record is, how fast it is shipped, and what it costs.
    pub metering: Metering,
    /// What is stored of prompts and answers.
    pub privacy: Privacy,
    /// What is logged, and how it is written.
    pub log: Log,
    /// The prices, with the user's own in place of the shipped ones.
    pub prices: PriceList,
    /// What is not wrong, but worth knowing.
    pub warnings: Vec<Problem>,
    /// The files it was read from: configuration, secrets, prices.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// A configuration of this TOML over the defaults, without file and environment: for tests and tools.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        load::from_text(text)
    }

    /// Reads the sections, then checks them; a section that cannot be read leaves the others to be checked.
    pub(crate) fn build(mut layers: Layers<'_>, prices: PriceList) -> Result<Self, Problems> {
        let server = section::<Server>(&mut layers, &Key::new(["server"]));
        let database = section::<Database>(&mut layers, &Key::new(["database"]));
        let models = section::<Models>(&mut layers, &Key::new(["models"]));
        let auth = section::<Auth>(&mut layers, &Key::new(["auth"]));
        let limits = section::<Limits>(&mut layers, &Key::new(["limits"]));
        let cache = section::<Cache>(&mut layers, &Key::new(["cache"]));
        let quota = section::<Quota>(&mut layers, &Key::new(["quota"]));
        let metering = section::<Metering>(&mut layers, &Key::new(["metering"]));
        let privacy = section::<Privacy>(&mut layers, &Key::new(["privacy"]));
        let log = section::<Log>(&mut layers, &Key::new(["log"]));
        let providers = providers(&mut layers);

        let mut report = layers.report;
        let sections = || {
            Some(Self {
                server: server?,
                database: database?,
                providers,
                models: models?,
                auth: auth?,
                limits: limits?,
                cache: cache?,
                quota: quota?,
                metering: metering?,
                privacy: privacy?,
                log: log?,
                prices,
                warnings: Vec::new(),
                files: layers.files,
            })
        };
        let Some(mut config) = sections() else {
            // A section that is missing has said why.
            return Err(report.finish().err().unwrap_or(Problems(Vec::new())));
        };
        config.check(&mut report);
        config.warnings = report.finish()?;
        Ok(config)
    }

    fn check(&self, report: &mut Report) {
        self.server.check(report);
        self.database.check(report);
        self.models.check(report);
        self.auth.check(report);
        self.limits.check(report);
        self.cache.check(report);
        self.quota.check(report);
        self.metering.check(report);
        self.privacy.check(report);
        self.log.check(report);
        for (name, provider) in &self.providers {
            let path = Key::new(["providers", name.as_str()]);
            check_name(&path, name, report);
            provider.check(&path.to_string(), report);
            self.check_offer(&path, provider, report);
        }
        for (alias, target) in &self.models.aliases {
            let path = Key::new(["models", "aliases", alias.as_str()]);
            self.check_alias(&path.to_string(), target, report);
        }
        if self.metering.journal_dir.is_relative() {
            report.problem("metering.journal_dir", "must be an absolute path");
        }
    }

    fn check_alias(&self, path: &str, target: &Target, report: &mut Report) {
        let Some(provider) = self.providers.get(&target.provider) else {
            let names: Vec<_> = self.providers.keys().map(String::as_str).collect();
            let message = format!(
                "there is no provider `{}`; there is {}",
                target.provider,
                names.join(", ")
            );
            return report.problem(path, message);
        };
        self.check_price(path, provider, &target.model, report);
    }

    /// What is offered in the list of models has to be answered.
    fn check_offer(&self, path: &Key, provider: &Provider, report: &mut Report) {
        let path = path.child("models").to_string();
        for model in &provider.models {
            if model.is_empty() {
                report.problem(&path, "contains an empty name");
            } else {
                self.check_price(&path, provider, model, report);
            }
        }
    }

    fn check_price(&self, path: &str, provider: &Provider, model: &str, report: &mut Report) {
        let priced = self.prices.knows(&provider.price_provider, model);
        if !priced && self.metering.unpriced == Unpriced::Refuse {
            let name = format!("{}/{model}", provider.price_provider);
            report.problem(
                path,
                format!("`{name}` has no price: add one in metering.prices_file, or set metering.unpriced = \"quarantine\""),
            );
        }
    }
}

/// The name is the first part of `provider/model`, of a metric's label and of a variable's name.
fn check_name(path: &Key, name: &str, report: &mut Report) {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(valid) {
        report.problem(
            &path.to_string(),
            "the name of a provider is made of a-z, 0-9, - and _",
        );
    }
}

fn providers(layers: &mut Layers<'_>) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    for name in layers.names(&Key::new(["providers"])) {
        let entry = Key::new(["providers", name.as_str()]);
        if let Some(provider) = section(layers, &entry) {
            providers.insert(name, provider);
        }
    }
    providers
}

/// Reads a section. A value that does not fit is told and replaced by its default, so that the next one is told, too.
fn section<T: DeserializeOwned>(layers: &mut Layers<'_>, at: &Key) -> Option<T> {
    let mut value = at.get(&layers.table)?.clone();
    let mut told = BTreeSet::new();
    loop {
        let error = match serde_path_to_error::deserialize(value.clone()) {
            Ok(section) => return Some(section),
            Err(error) => error,
        };
        let inside = Key::new(error.path().iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        }));
        let key = at.join(&inside);
        let message = error.inner().message().to_owned();
        layers.report.problem(&key.to_string(), message);
        if !told.insert(key.clone()) {
            return None;
        }
        let table = value.as_table_mut()?;
        match layers.default(&key) {
            Some(default) => inside.put(table, default),
            None => drop(inside.remove(table)),
        }
    }
}
