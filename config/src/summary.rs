//! What a configuration amounts to, for `flowpilot check-config`.

use std::fmt;

use crate::checked::Config;
use crate::load::{Sources, load};
use crate::problem::Problems;

/// What a configuration amounts to: printable, without secrets.
#[derive(Debug, Clone)]
pub struct Summary {
    config: Config,
}

/// Reads and checks a configuration as a start would, without starting anything.
pub fn check(sources: &Sources) -> Result<Summary, Problems> {
    load(sources).map(|config| Summary { config })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        writeln!(f, "the configuration is valid")?;
        writeln!(f, "listen     {}", config.server.listen)?;
        writeln!(f, "data       {}", config.server.data_dir.display())?;
        let database = if config.database.url.is_some() {
            "external"
        } else {
            "embedded"
        };
        writeln!(f, "database   {database}")?;
        for (name, provider) in &config.providers {
            let key = if provider.api_key.is_some() {
                ", with a key"
            } else {
                ""
            };
            let url = &provider.base_url;
            writeln!(f, "provider   {name}: {} {url}{key}", provider.kind)?;
        }
        for (alias, meaning) in &config.models.aliases {
            writeln!(f, "alias      {alias} = {meaning}")?;
        }
        for (name, route) in &config.routes {
            let targets = route.deployments.iter().map(|one| one.target.to_string());
            let targets: Vec<_> = targets.collect();
            writeln!(f, "route      {name} = {}", targets.join(", "))?;
        }
        writeln!(f, "prices     {} models", config.prices.len())?;
        for path in &config.files {
            writeln!(f, "read       {}", path.display())?;
        }
        for warning in &config.warnings {
            writeln!(f, "warning    {warning}")?;
        }
        Ok(())
    }
}
