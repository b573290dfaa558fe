//! The Python SDKs and frameworks: one virtual environment for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{NO_PACKAGES, SCRIPTS, Suite};
use crate::cargo;

/// What is in an environment, which `requirements-NAME.txt` pins, and the script that uses it.
const SUITES: [(&str, &str); 6] = [
    ("openai", "openai_chat.py"),
    ("anthropic", "anthropic_messages.py"),
    ("gemini", "gemini_generate.py"),
    ("langchain-openai", "langchain_models.py"),
    ("langchain-anthropic", "langchain_models.py"),
    ("langchain-gemini", "langchain_models.py"),
];

pub(super) fn install(folder: &Path) -> Result<Vec<Suite>> {
    let suites = SUITES.into_iter().map(|(name, script)| {
        Ok(Suite {
            name: name.to_owned(),
            interpreter: environment(folder, name)?.join("bin/python"),
            arguments: vec![cargo::root().join(SCRIPTS).join(script)],
        })
    });
    suites.collect()
}

/// The environment with the packages of `requirements-NAME.txt`. What is installed is kept until these change.
pub(super) fn environment(folder: &Path, name: &str) -> Result<PathBuf> {
    let requirements = format!("requirements-{name}.txt");
    let requirements = cargo::root().join(SCRIPTS).join(requirements);
    let wanted = fs::read_to_string(&requirements)?;
    let environment = folder.join(name);
    // Inside, so that it goes with what it speaks of.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(environment);
    }
    fs::create_dir_all(folder)?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    cargo::run_command(make).context(NO_PACKAGES)?;
    let mut fetch = Command::new(environment.join("bin/python"));
    fetch
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--require-hashes"])
        .arg("--requirement")
        .arg(&requirements);
    cargo::run_command(fetch).context(NO_PACKAGES)?;
    fs::write(installed, wanted)?;
    Ok(environment)
}
