//! Providers known by name, and those whose keys are in the environment; the facts are in `presets.toml`.

use serde::Deserialize;
use toml::Value;

use crate::environment::Environment;
use crate::key::Key;
use crate::layers::Layers;
use crate::problem::{Origin, Problem, Problems};
use crate::section::ProviderKind;

/// The file that the facts stand in.
const PRESETS_TOML: &str = include_str!("../presets.toml");

/// What is known of providers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Presets {
    /// In the order in which the alias `default` prefers them.
    preset: Vec<Preset>,
    unsupported: Vec<Unsupported>,
}

/// A provider known by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    pub(crate) name: String,
    kind: ProviderKind,
    base_url: String,
    base_url_variable: Option<String>,
    #[serde(default)]
    key_variables: Vec<String>,
    host: Option<Host>,
    pub(crate) default_model: Option<String>,
}

/// A variable that holds a host, to be completed to an address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    variable: String,
    port: u16,
    path: String,
}

/// A key that is recognised although nothing speaks to its provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsupported {
    variable: String,
    provider: String,
}

impl Presets {
    /// Those of this version.
    pub(crate) fn embedded() -> Result<Self, Problems> {
        toml::from_str(PRESETS_TOML).map_err(|error| {
            Problems(vec![Problem {
                path: String::new(),
                message: format!("presets.toml: {}", error.message()),
                origin: None,
            }])
        })
    }

    /// In the order in which the alias `default` prefers them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.preset.iter()
    }

    /// Adds what the environment brings: keys, addresses, and the providers they belong to.
    pub(crate) fn discover(&self, environment: &Environment, layers: &mut Layers<'_>) {
        for preset in &self.preset {
            preset.discover_key(environment, layers);
            preset.discover_address(environment, layers);
        }
        for key in &self.unsupported {
            if environment.get(&key.variable).is_some() {
                let message = format!(
                    "{} is set, but {} is not supported yet",
                    key.variable, key.provider
                );
                layers.report.warning("providers", message);
            }
        }
    }

    /// Completes every provider that was named: with its preset, and with the defaults that `providers.demo` shows.
    pub(crate) fn complete(&self, layers: &mut Layers<'_>) {
        let defaults = layers.defaults(&Key::new(["providers", "demo"]));
        for name in layers.names(&Key::new(["providers"])) {
            let entry = Key::new(["providers", name.as_str()]);
            if name == "demo" {
                layers.fill(&entry.child("price_provider"), "demo".into());
            } else {
                self.complete_identity(&entry, &name, layers);
            }
            for (key, value) in &defaults {
                layers.fill(&entry.child(key), value.clone());
            }
        }
    }

    /// What must not come from the built-in provider: kind, address, name in the price list, models.
    fn complete_identity(&self, entry: &Key, name: &str, layers: &mut Layers<'_>) {
        layers.fill(&entry.child("models"), Value::Array(Vec::new()));
        let named = self.find(name);
        if let Some(preset) = named {
            layers.fill(&entry.child("kind"), preset.kind.as_str().into());
        }
        let Some(kind) = entry.child("kind").text(&layers.table).map(str::to_owned) else {
            let kinds = "missing: gemini, openai, anthropic, azure, vertex or demo";
            layers
                .report
                .problem(&entry.child("kind").to_string(), kinds);
            return;
        };
        let preset = named
            .filter(|preset| preset.kind.as_str() == kind)
            .or_else(|| self.find(&kind));
        if let Some(preset) = preset {
            layers.fill(&entry.child("base_url"), preset.base_url.as_str().into());
            preset.require_key(entry, layers);
        }
        let price_provider = preset.map_or_else(
            || ProviderKind::price_provider(&kind),
            |preset| preset.name.as_str(),
        );
        layers.fill(&entry.child("price_provider"), price_provider.into());
    }

    fn find(&self, name: &str) -> Option<&Preset> {
        self.preset.iter().find(|preset| preset.name == name)
    }
}

impl Preset {
    fn entry(&self) -> Key {
        Key::new(["providers", self.name.as_str()])
    }

    /// The first variable of its own that holds a key, unless the key was said otherwise.
    fn discover_key(&self, environment: &Environment, layers: &mut Layers<'_>) {
        let entry = self.entry();
        let key = entry.child("api_key");
        if layers.is_set(&key) || layers.is_set(&entry.child("api_key_file")) {
            return;
        }
        let mut variables = self.key_variables.iter();
        if let Some(name) = variables.find(|name| environment.get(name).is_some()) {
            let value = environment.get(name).unwrap_or_default();
            layers.set(&key, value.into(), Origin::Variable(name.clone()));
        }
    }

    /// An address from a variable of its own, unless the address was said otherwise.
    fn discover_address(&self, environment: &Environment, layers: &mut Layers<'_>) {
        let key = self.entry().child("base_url");
        if layers.is_set(&key) {
            return;
        }
        let whole = self.base_url_variable.as_deref().and_then(|name| {
            let url = environment.get(name)?;
            Some((name, url.to_owned()))
        });
        let completed = self.host.as_ref().and_then(|host| {
            let value = environment.get(&host.variable)?;
            Some((host.variable.as_str(), host.complete(value)))
        });
        if let Some((name, url)) = whole.or(completed) {
            layers.set(&key, url.into(), Origin::Variable(name.to_owned()));
        }
    }

    /// The published address of a provider that wants a key answers nothing without one.
    fn require_key(&self, entry: &Key, layers: &mut Layers<'_>) {
        let table = &layers.table;
        let published = entry.child("base_url").text(table) == Some(self.base_url.as_str());
        let known = ["api_key", "api_key_file"]
            .iter()
            .any(|name| entry.child(name).text(table).is_some());
        if published && !known && !self.key_variables.is_empty() {
            let variables = self.key_variables.join(" or ");
            layers.report.problem(
                &entry.child("api_key").to_string(),
                format!("missing: set api_key or api_key_file, or for the provider `{}` {variables} in the environment", self.name),
            );
        }
    }
}

impl Host {
    /// `host`, `host:port` or a URL, as an address to call: a server's "listen everywhere" is reached on loopback.
    fn complete(&self, value: &str) -> String {
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let rest = rest.trim_end_matches('/').replace("0.0.0.0", "127.0.0.1");
        let bare = !value.contains("://") && !rest.contains(':');
        let port = if bare {
            format!(":{}", self.port)
        } else {
            String::new()
        };
        format!("{scheme}://{rest}{port}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_model_of_every_preset_has_a_price() {
        let prices = crate::prices::PriceList::shipped().unwrap();
        for preset in Presets::embedded().unwrap().iter() {
            let model = preset.default_model.as_deref();
            assert!(
                model.is_none_or(|model| prices.knows(&preset.name, model)),
                "{}",
                preset.name
            );
        }
    }

    #[test]
    fn a_host_in_any_form_becomes_an_address() {
        let host = Host {
            variable: "OLLAMA_HOST".into(),
            port: 11434,
            path: "/v1".into(),
        };
        let check = |value, expected| assert_eq!(host.complete(value), expected);
        check("box", "http://box:11434/v1");
        check("0.0.0.0:11500", "http://127.0.0.1:11500/v1");
        check("https://ollama.example/", "https://ollama.example/v1");
    }
}
