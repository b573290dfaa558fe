//! `flowpilot keys …`: what the management API does, for whoever is at the server itself.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tenants::api_keys::{ApiKey, Draft};
use tenants::keys::format::KEY_BYTES_MAX;
use tenants::{Tenants, command, scopes};
use types::SystemClock;

use super::with_database;
use crate::cli::{Common, Format, KeysCommand, NewKey};
use crate::output;
use crate::table::Table;

/// Does what was asked.
pub(super) fn run(common: &Common, command: KeysCommand) -> anyhow::Result<ExitCode> {
    with_database(common, async |state| {
        let tenants = Tenants {
            database: state.database.clone(),
            clock: Arc::new(SystemClock),
        };
        match command {
            KeysCommand::Create(key) => create(&tenants, &key).await,
            KeysCommand::Import { key, from } => import(&tenants, &key, &from).await,
            KeysCommand::Revoke { key, organization } => {
                command::revoke_key(&tenants, &organization.organization, &key).await?;
                output::line(format_args!("revoked {key}"));
                Ok(())
            }
            KeysCommand::List {
                organization,
                format,
            } => {
                let keys = command::list_keys(&tenants, &organization.organization).await?;
                print(&keys, format)
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn create(tenants: &Tenants, key: &NewKey) -> anyhow::Result<()> {
    let (_, made) =
        command::create_key(tenants, &key.organization.organization, &draft(key)).await?;
    output::line(made.text.expose());
    Ok(())
}

async fn import(tenants: &Tenants, key: &NewKey, from: &Path) -> anyhow::Result<()> {
    let text = read_key(from)?;
    let text = text.trim_end_matches(['\r', '\n']);
    let imported =
        command::import_key(tenants, &key.organization.organization, &draft(key), text).await?;
    output::line(format_args!(
        "imported {} as {}",
        imported.name, imported.prefix
    ));
    Ok(())
}

fn read_key(from: &Path) -> anyhow::Result<String> {
    if from != Path::new("-") {
        return Ok(fs_err::read_to_string(from)?);
    }
    let mut text = String::new();
    let limit = u64::try_from(KEY_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    std::io::stdin()
        .take(limit)
        .read_to_string(&mut text)
        .context("reading the key from standard input")?;
    Ok(text)
}

fn draft(key: &NewKey) -> Draft {
    Draft {
        name: key.name.clone(),
        permissions: match key.scopes.as_slice() {
            [] => scopes::default(),
            scopes => scopes.iter().copied().collect(),
        },
        expires_at: None,
    }
}

fn print(keys: &[ApiKey], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        output::line(serde_json::to_string_pretty(keys)?);
        return Ok(());
    }
    let mut table = Table::new([
        "prefix",
        "name",
        "active",
        "created",
        "last used",
        "scopes",
        "id",
    ]);
    for key in keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        table.row([
            key.prefix.clone(),
            key.name.clone(),
            if key.active { "yes" } else { "no" }.to_owned(),
            key.created_at.format("%Y-%m-%d").to_string(),
            key.last_used_at.map_or_else(
                || "never".to_owned(),
                |at| at.format("%Y-%m-%d %H:%M").to_string(),
            ),
            scopes.join(" "),
            key.id.to_string(),
        ]);
    }
    table.print(format);
    Ok(())
}
