//! From the sources to a checked configuration; the order of the steps is the order of precedence.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::checked::Config;
use crate::environment::Environment;
use crate::key::Key;
use crate::layers::{Layers, partner};
use crate::preset::Presets;
use crate::prices::PriceList;
use crate::problem::{Origin, Problems};
use crate::reference::{Effect, Reference};
use crate::secret::Secret;

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file of `--config`; none: defaults and environment alone.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// What the command line says.
    pub overrides: Overrides,
}

/// What the command line says; it wins over everything.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// A checked configuration, with what the next reload is compared with.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The values it was made of. Holds secrets as text: never show it.
    pub(crate) table: Table,
    /// Keys that were changed, but keep their running value until the next start.
    pub(crate) held: Vec<String>,
}

/// Reads and checks a configuration.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    load_over(sources, None).map(|loaded| loaded.config)
}

/// The same, with the running values of all keys that only a new start can change.
pub(crate) fn load_over(sources: &Sources, running: Option<&Table>) -> Result<Loaded, Problems> {
    let reference = Reference::embedded()?;
    let mut layers = Layers::new(&reference);
    if let Some(path) = &sources.file {
        layers.file(path);
    }
    layers.environment(&sources.environment);
    override_with(&sources.overrides, &mut layers);
    finish(layers, &reference, &sources.environment, running)
}

/// A configuration of this text over the defaults, without file and environment.
pub(crate) fn from_text(text: &str) -> Result<Config, Problems> {
    let reference = Reference::embedded()?;
    let mut layers = Layers::new(&reference);
    layers.text(Path::new("text"), text);
    finish(layers, &reference, &Environment::default(), None).map(|loaded| loaded.config)
}

fn finish(
    mut layers: Layers<'_>,
    reference: &Reference,
    environment: &Environment,
    running: Option<&Table>,
) -> Result<Loaded, Problems> {
    let presets = Presets::embedded()?;
    presets.discover(environment, &mut layers);
    presets.complete(&mut layers);
    complete_routes(&mut layers);
    choose_folders(environment, &mut layers);
    read_secrets(reference, &mut layers);
    let held = running.map_or_else(Vec::new, |running| hold(running, reference, &mut layers));

    let table = layers.table.clone();
    let prices = read_prices(&mut layers);
    choose_default_model(&presets, &prices, &mut layers);
    let config = Config::build(layers, prices)?;
    Ok(Loaded {
        config,
        table,
        held,
    })
}

fn override_with(overrides: &Overrides, layers: &mut Layers<'_>) {
    if let Some(address) = overrides.listen {
        let key = Key::new(["server", "listen"]);
        layers.set(&key, address.to_string().into(), Origin::Option("--listen"));
    }
    if let Some(folder) = &overrides.data_dir {
        let key = Key::new(["server", "data_dir"]);
        let folder = folder.to_string_lossy().into_owned();
        layers.set(&key, folder.into(), Origin::Option("--data-dir"));
    }
}

/// The folders that are left open.
fn choose_folders(environment: &Environment, layers: &mut Layers<'_>) {
    let text = |path: PathBuf| Value::from(path.to_string_lossy().into_owned());
    let data_dir = Key::new(["server", "data_dir"]);
    layers.fill(&data_dir, text(environment.data_dir()));
    if let Some(folder) = data_dir.text(&layers.table).map(PathBuf::from) {
        let journal_dir = Key::new(["metering", "journal_dir"]);
        layers.fill(&journal_dir, text(folder.join("journal")));
    }
}

/// Completes every route with the defaults that `routes.demo` shows; its deployments are its own to say.
fn complete_routes(layers: &mut Layers<'_>) {
    let routes = Key::new(["routes"]);
    let mut defaults = layers.defaults(&routes.child("demo"));
    defaults.insert("deployments".to_owned(), Value::Array(Vec::new()));
    for name in layers.names(&routes) {
        for (key, value) in &defaults {
            layers.fill(&routes.child(&name).child(key), value.clone());
        }
    }
}

/// Puts the contents of every `x_file` into its `x`; from here on there is only `x`.
fn read_secrets(reference: &Reference, layers: &mut Layers<'_>) {
    let mut files: Vec<Key> = Vec::new();
    for entry in reference.entries() {
        let is_pair =
            entry.path.ends_with("_file") && reference.find(&partner(&entry.key)).is_some();
        if !is_pair {
            continue;
        }
        if entry.path.starts_with("providers.") {
            for name in layers.names(&Key::new(["providers"])) {
                files.push(Key::new(["providers", name.as_str(), entry.key.last()]));
            }
        } else {
            files.push(entry.key.clone());
        }
    }
    for file in files {
        read_secret(&file, layers);
    }
}

fn read_secret(file: &Key, layers: &mut Layers<'_>) {
    let Some(Value::String(path)) = file.remove(&mut layers.table) else {
        return;
    };
    if path.is_empty() {
        return;
    }
    let secret = partner(file);
    if secret.text(&layers.table).is_some() {
        let message = format!("set this or {}, not both", secret.last());
        return layers.report.problem(&file.to_string(), message);
    }
    let path = PathBuf::from(path);
    let message = match Secret::read(&path) {
        Ok(value) if value.is_empty() => Some("is an empty file".to_owned()),
        Ok(value) => {
            secret.put(&mut layers.table, value.expose().into());
            None
        }
        Err(error) => Some(format!("cannot be read: {error}")),
    };
    if let Some(message) = message {
        layers.report.problem(&file.to_string(), message);
    }
    layers.files.push(path);
}

/// Gives every key that only a new start can change its running value back, and tells which had changed.
fn hold(running: &Table, reference: &Reference, layers: &mut Layers<'_>) -> Vec<String> {
    let mut held = Vec::new();
    let restart = |entry: &&crate::reference::Entry| entry.effect == Effect::Restart;
    for entry in reference.entries().iter().filter(restart) {
        let before = entry.key.get(running).cloned();
        if before.as_ref() == entry.key.get(&layers.table) {
            continue;
        }
        held.push(entry.path.clone());
        match before {
            Some(value) => entry.key.put(&mut layers.table, value),
            None => drop(entry.key.remove(&mut layers.table)),
        }
    }
    held
}

/// The shipped prices, with the user's own in their place.
fn read_prices(layers: &mut Layers<'_>) -> PriceList {
    const PATH: &str = "metering.prices_file";
    let mut list = match PriceList::shipped() {
        Ok(list) => list,
        Err(problems) => {
            for message in problems.messages() {
                layers.report.problem("", format!("prices.toml: {message}"));
            }
            PriceList::default()
        }
    };
    let key = Key::new(["metering", "prices_file"]);
    let Some(path) = key.text(&layers.table).map(PathBuf::from) else {
        return list;
    };
    match fs_err::read_to_string(&path) {
        Err(error) => layers
            .report
            .problem(PATH, format!("cannot be read: {error}")),
        Ok(text) => match PriceList::parse(&text) {
            Ok(own) => list.replace(&own),
            Err(problems) => {
                for message in problems.messages() {
                    layers.report.problem(PATH, message.clone());
                }
            }
        },
    }
    layers.files.push(path);
    list
}

/// What `default` means where nobody said: the first provider that is there and has a priced model to offer.
fn choose_default_model(presets: &Presets, prices: &PriceList, layers: &mut Layers<'_>) {
    let text = |key: Key, layers: &Layers<'_>| key.text(&layers.table).map(str::to_owned);
    let names = layers.names(&Key::new(["providers"]));
    let mut candidates = Vec::new();
    for preset in presets.iter() {
        let Some(model) = &preset.default_model else {
            continue;
        };
        let is_meant = |name: &&String| {
            let entry = Key::new(["providers", name.as_str()]);
            let priced_as = text(entry.child("price_provider"), layers);
            *name == &preset.name
                || (presets.iter().all(|other| other.name != **name)
                    && priced_as.as_deref() == Some(&preset.name))
        };
        for name in names.iter().filter(is_meant) {
            let price_provider = text(
                Key::new(["providers", name.as_str(), "price_provider"]),
                layers,
            );
            if price_provider.is_some_and(|provider| prices.knows(&provider, model)) {
                candidates.push(format!("{name}/{model}"));
            }
        }
    }
    let first = candidates.into_iter().next();
    let target = first.unwrap_or_else(|| "demo/demo".to_owned());
    let key = Key::new(["models", "aliases", "default"]);
    layers.fill(&key, target.into());
}
