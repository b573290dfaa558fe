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
    Alias, Auth, Cache, Database, Embedding, Limits, Log, Metering, Models, Privacy, Provider,
    Quota, Route, Routing, Server, Target, Templates, Unpriced,
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
    /// Several deployments behind one name.
    pub routes: BTreeMap<String, Route>,
    /// How what failed is attempted again.
    pub routing: Routing,
    /// How many keys are held in memory, and how old they may grow.
    pub auth: Auth,
    /// How fast one key may go.
    pub limits: Limits,
    /// Which answers are given again, and for how long.
    pub cache: Cache,
    /// The model that turns texts into vectors, and what it may cost.
    pub embedding: Embedding,
    /// How large the slices are that a node takes of a quota.
    pub quota: Quota,
    /// How durable a record is, how fast it is shipped, and what it costs.
    pub metering: Metering,
    /// How large prompt templates may be, and how much work one may make.
    pub templates: Templates,
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
        let routing = section::<Routing>(&mut layers, &Key::new(["routing"]));
        let auth = section::<Auth>(&mut layers, &Key::new(["auth"]));
        let limits = section::<Limits>(&mut layers, &Key::new(["limits"]));
        let cache = section::<Cache>(&mut layers, &Key::new(["cache"]));
        let embedding = section::<Embedding>(&mut layers, &Key::new(["embedding"]));
        let quota = section::<Quota>(&mut layers, &Key::new(["quota"]));
        let metering = section::<Metering>(&mut layers, &Key::new(["metering"]));
        let templates = section::<Templates>(&mut layers, &Key::new(["templates"]));
        let privacy = section::<Privacy>(&mut layers, &Key::new(["privacy"]));
        let log = section::<Log>(&mut layers, &Key::new(["log"]));
        let providers = entries(&mut layers, "providers");
        let routes = entries(&mut layers, "routes");

        let mut report = layers.report;
        let sections = || {
            Some(Self {
                server: server?,
                database: database?,
                providers,
                models: models?,
                routes,
                routing: routing?,
                auth: auth?,
                limits: limits?,
                cache: cache?,
                embedding: embedding?,
                quota: quota?,
                metering: metering?,
                templates: templates?,
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
        self.routing.check(report);
        self.auth.check(report);
        self.limits.check(report);
        self.cache.check(report);
        self.embedding.check(report);
        self.quota.check(report);
        self.metering.check(report);
        self.templates.check(report);
        self.privacy.check(report);
        self.log.check(report);
        for (name, provider) in &self.providers {
            let path = Key::new(["providers", name.as_str()]);
            check_name(&path, name, report);
            provider.check(&path.to_string(), report);
            self.check_offer(&path, provider, report);
        }
        for (alias, meaning) in &self.models.aliases {
            let path = Key::new(["models", "aliases", alias.as_str()]).to_string();
            match meaning {
                Alias::Target(target) => self.check_target(&path, target, report),
                Alias::Route(name) => self.check_route_name(&path, name, report),
            }
        }
        for (name, route) in &self.routes {
            let path = Key::new(["routes", name.as_str()]);
            route.check(&path, report);
            let path = path.child("deployments").to_string();
            for deployment in &route.deployments {
                self.check_target(&path, &deployment.target, report);
            }
        }
        if self.metering.journal_dir.is_relative() {
            report.problem("metering.journal_dir", "must be an absolute path");
        }
    }

    fn check_route_name(&self, path: &str, name: &str, report: &mut Report) {
        if !self.routes.contains_key(name) {
            let message = format!(
                "there is no route `{name}`: write \"provider/model\", or the name of a [routes.NAME]"
            );
            report.problem(path, message);
        }
    }

    fn check_target(&self, path: &str, target: &Target, report: &mut Report) {
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

/// The entries of a section whose names the user chooses.
fn entries<T: DeserializeOwned>(layers: &mut Layers<'_>, of: &str) -> BTreeMap<String, T> {
    let mut entries = BTreeMap::new();
    for name in layers.names(&Key::new([of])) {
        if let Some(entry) = section(layers, &Key::new([of, name.as_str()])) {
            entries.insert(name, entry);
        }
    }
    entries
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
