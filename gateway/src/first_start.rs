//! The first start: the operator's key, and on the embedded database a demo organization with a key.
//!
//! The texts of both keys are in files that only we can read; the database has their hashes.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use config::Config;
use tenants::bootstrap::{self, Demo, IfLost, Wanted};
use types::SystemClock;

use crate::state::State;

/// The demo key's file in the data folder.
const DEMO_KEY: &str = "demo-key";
/// The operator key's file in the data folder.
const OPERATOR_KEY: &str = "operator-key";

/// Makes what is missing; returns the demo key where there is one.
pub(crate) async fn prepare(config: &Config, state: &State) -> anyhow::Result<Option<String>> {
    let folder = &config.server.data_dir;
    fs_err::create_dir_all(folder)?;
    let (operator_key, demo_key) = (
        read(&folder.join(OPERATOR_KEY))?,
        read(&folder.join(DEMO_KEY))?,
    );
    let wanted = Wanted {
        operator_key: operator_key.as_deref(),
        demo: state.is_embedded().then_some(Demo {
            key: demo_key.as_deref(),
        }),
        // The embedded database is ours alone; an external one may serve other gateways with files of their own.
        if_lost: if state.is_embedded() {
            IfLost::Rotate
        } else {
            IfLost::Keep
        },
    };
    let made = bootstrap::run(&state.database, &SystemClock, &wanted).await?;
    if let Some(key) = &made.operator_key {
        write(&folder.join(OPERATOR_KEY), key.expose())?;
    }
    if let Some(key) = &made.demo_key {
        write(&folder.join(DEMO_KEY), key.expose())?;
        return Ok(Some(key.expose().to_owned()));
    }
    Ok(demo_key.filter(|_| state.is_embedded()))
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes a secret so that it is there whole or not at all, and for nobody else.
fn write(path: &Path, secret: &str) -> anyhow::Result<()> {
    let scratch = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options
        .open(&scratch)
        .with_context(|| format!("{} cannot be written", scratch.display()))?;
    file.write_all(format!("{secret}\n").as_bytes())?;
    file.sync_all()?;
    fs_err::rename(&scratch, path)?;
    Ok(())
}
