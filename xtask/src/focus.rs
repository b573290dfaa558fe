//! The FOCUS export of fixed books: byte by byte what is committed, and what the official validator has nothing against.
//!
//! The program itself makes it: the events of `xtask/focus/events.sql` go into a database of their own, `flowpilot rollup recompute`
//! sums them, `flowpilot report focus` exports them as CSV and Parquet. The validator is installed below the target folder,
//! once, from pinned and hashed packages. It ends with success whatever it finds, so its report is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use database::testing::TestDatabase;

use crate::cargo;
use crate::folder::{self, Files, Mode};
use crate::output::{heading, say};

/// Where the books, the expected exports and the validator's requirements are.
const FOLDER: &str = "xtask/focus";

/// The months of the books.
const MONTHS: [&str; 2] = ["2026-10", "2026-11"];

/// The rule that contradicts another one: an invoice's id must be there, and must not. It fails for every export that fills the column
/// in, and more rules fail for one that does not.
const KNOWN_FAILURE: &str = "InvoiceId-C-004-C";

/// What we say that we support; each makes the validator look at more columns.
const CRITERIA: &str = "ACCOUNT_NAMING_SUPPORTED,NEGOTIATED_PRICING_SUPPORTED,PUBLIC_PRICE_LIST_SUPPORTED,\
USAGE_MEASUREMENT_SUPPORTED,UNIT_PRICING_SUPPORTED,SUB_ACCOUNT_SUPPORTED,TAGGING_SUPPORTED,\
MULTIPLE_PRICING_CATEGORIES_SUPPORTED,PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED";

/// The rules that are looked at under these criteria; fewer would mean that the validator did not do its work.
const PASSES_MIN: u32 = 250;

/// The one expression in the validator that needs Python 3.12, and the same for older ones.
const NEW_SYNTAX: &str = r#"", ".join(f"'{k.replace('\"', '\"\"')}'" for k in ignore_keys)"#;
const OLD_SYNTAX: &str = r#"", ".join("'" + k.replace('"', '""') + "'" for k in ignore_keys)"#;

const NO_PACKAGES: &str = "the FOCUS validator could not be installed: this needs python3 (3.11 or newer) with venv, and a package \
     index, which pip finds by its own settings (PIP_INDEX_URL); after the first time it needs neither";

pub(crate) fn run(mode: Mode) -> Result<()> {
    heading("program");
    cargo::run(&[
        "build",
        "--locked",
        "--package",
        "gateway",
        "--bin",
        "flowpilot",
    ])?;
    heading("exports");
    let scratch = cargo::target_dir().join("focus");
    fs::create_dir_all(&scratch)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let database = runtime.block_on(TestDatabase::new());
    let exported = runtime
        .block_on(seed(&database))
        .and_then(|()| export(&scratch, database.url().expose()));
    runtime.block_on(async { drop(database) });
    let files = exported?;

    let folder = cargo::root().join(FOLDER);
    folder::settle(&folder, &folder::read(&folder, ".csv")?, &files, mode)?;
    heading("validator");
    let python = install(&scratch)?;
    for month in MONTHS {
        for kind in ["csv", "parquet"] {
            validate(&python, &scratch.join(format!("{month}.{kind}")))?;
        }
    }
    Ok(())
}

async fn seed(database: &TestDatabase) -> Result<()> {
    let events = fs::read_to_string(cargo::root().join(FOLDER).join("events.sql"))?;
    let seeding = sqlx::raw_sql(sqlx::AssertSqlSafe(events));
    seeding
        .execute(&database.admin())
        .await
        .context("the books cannot be made")?;
    Ok(())
}

/// Exports each month in both forms; returns the CSV.
fn export(scratch: &Path, database_url: &str) -> Result<Files> {
    let config = scratch.join("flowpilot.toml");
    let data = scratch.join("data");
    let text = format!(
        "[server]\ndata_dir = \"{}\"\n\n[database]\nurl = \"{database_url}\"\n\n[metering]\noperator_name = \"FlowPilot\"\n",
        data.display()
    );
    fs::write(&config, text)?;
    let mut files = Files::new();
    for month in MONTHS {
        flowpilot(&config, &["rollup", "recompute", "--month", month])?;
    }
    for month in MONTHS {
        for kind in ["csv", "parquet"] {
            let file = scratch.join(format!("{month}.{kind}"));
            let file = file.to_string_lossy();
            flowpilot(
                &config,
                &[
                    "report", "focus", "--month", month, "--format", kind, "-o", &file,
                ],
            )?;
        }
        let name = format!("{month}.csv");
        files.insert(name.clone(), fs::read_to_string(scratch.join(name))?);
    }
    Ok(files)
}

/// Runs our program, deaf to settings of this machine.
fn flowpilot(config: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(cargo::target_dir().join("debug").join("flowpilot"));
    command.args(arguments).arg("--config").arg(config);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy().starts_with("FLOWPILOT");
        if ours || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    cargo::run_command(command)
}

/// The interpreter with the validator. What is installed is kept until the requirements change.
fn install(scratch: &Path) -> Result<PathBuf> {
    let requirements = cargo::root().join(FOLDER).join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    let environment = scratch.join("venv");
    // Inside, so that it goes with what it speaks of.
    let installed = environment.join("installed.txt");
    let python = environment.join("bin/python");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.exists() {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    cargo::run_command(make).context(NO_PACKAGES)?;
    // First what builds the source packages, then these: a build in isolation would fetch its tools without their hashes.
    let tools = environment.join("tools.txt");
    fs::write(&tools, of(&wanted, |name| TOOLS.contains(&name)))?;
    pip(&python, &["--requirement"], &tools)?;
    let arguments = [
        "--no-build-isolation",
        "--ignore-requires-python",
        "--requirement",
    ];
    pip(&python, &arguments, &requirements)?;
    make_do(&environment)?;
    fs::write(installed, wanted)?;
    Ok(python)
}

/// What the validator's source package, and that of a package it needs, are built with.
const TOOLS: [&str; 4] = ["poetry-core", "pyyaml", "setuptools", "wheel"];

/// The requirements whose names are wanted, with their hashes.
fn of(requirements: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut taking = false;
    let mut taken = String::new();
    for line in requirements.lines() {
        if let Some((name, _)) = line.split_once("==") {
            taking = wanted(name);
        }
        if taking {
            taken.push_str(line);
            taken.push('\n');
        }
    }
    taken
}

fn pip(python: &Path, arguments: &[&str], requirements: &Path) -> Result<()> {
    let mut fetch = Command::new(python);
    fetch
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .arg("--require-hashes")
        .args(arguments)
        .arg(requirements);
    cargo::run_command(fetch).context(NO_PACKAGES)
}

/// Where the Python is older than 3.12, says the one expression that needs it in the older way.
fn make_do(environment: &Path) -> Result<()> {
    let file =
        packages(environment)?.join("focus_validator/config_objects/focus_to_duckdb_converter.py");
    let text = fs::read_to_string(&file)?;
    if !text.contains(NEW_SYNTAX) {
        bail!("{} is not the one that was pinned", file.display());
    }
    fs::write(&file, text.replace(NEW_SYNTAX, OLD_SYNTAX))?;
    Ok(())
}

/// The folder that packages are installed in.
fn packages(environment: &Path) -> Result<PathBuf> {
    let folders = fs::read_dir(environment.join("lib"))?;
    let mut folders = folders
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("site-packages"));
    folders
        .find(|folder| folder.is_dir())
        .context("the virtual environment has no packages")
}

/// Runs the validator; fails when anything but the known rule fails, or when it did not look at the rules.
fn validate(python: &Path, file: &Path) -> Result<()> {
    let environment = python
        .parent()
        .and_then(Path::parent)
        .context("no environment")?;
    let mut command = Command::new(environment.join("bin/focus-validator"));
    command
        .args(["--validate-version", "1.2.0.1", "--block-download"])
        .args(["--applicability-criteria", CRITERIA, "--data-file"])
        .arg(file)
        // It looks for a list of currencies relative to where it runs.
        .current_dir(packages(environment)?);
    let report = cargo::output_of(command)?;
    let verdict = Verdict::of(&report).context("the validator's report cannot be read")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    say(&format!(
        "{name}: {} rules passed, failed: {}",
        verdict.passed,
        verdict.failures.join(", ")
    ));
    if verdict.failures != [KNOWN_FAILURE] || verdict.failed != 1 || verdict.passed < PASSES_MIN {
        bail!("the validator finds fault with {name}:\n{report}");
    }
    Ok(())
}

/// What the validator's report says.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    passed: u32,
    failed: u32,
    failures: Vec<String>,
}

impl Verdict {
    /// From `Total: 578 | Pass: 258 | Fail: 1 | Skipped: 319`, and the lines behind `--- Failures ---`.
    fn of(report: &str) -> Option<Self> {
        let total = report.lines().find(|line| line.starts_with("Total: "))?;
        let count = |name: &str| -> Option<u32> {
            let (_, rest) = total.split_once(name)?;
            rest.split(" |").next()?.trim().parse().ok()
        };
        let failures = report.split("--- Failures ---").nth(1).unwrap_or_default();
        let failures = failures
            .lines()
            .filter_map(|line| line.strip_prefix("- ")?.split(':').next());
        Some(Self {
            passed: count("Pass: ")?,
            failed: count("Fail: ")?,
            failures: failures.map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_its_tools_are_found_among_the_requirements() {
        let report = "\nTotal: 578 | Pass: 258 | Fail: 2 | Skipped: 319\n…\n--- Failures ---\n- A-C-001-M: violations=4; A MUST.\n  \
                      MustSatisfy: A.\n- B-C-002-M: violations=1; B.\n";
        let expected = Verdict {
            passed: 258,
            failed: 2,
            failures: vec!["A-C-001-M".to_owned(), "B-C-002-M".to_owned()],
        };
        assert_eq!(Verdict::of(report), Some(expected));
        assert_eq!(Verdict::of("Traceback"), None);
        let requirements = "a==1 \\\n    --hash=sha256:0\npyyaml==2 \\\n    --hash=sha256:1\n";
        assert_eq!(
            of(requirements, |name| TOOLS.contains(&name)),
            "pyyaml==2 \\\n    --hash=sha256:1\n"
        );
    }
}
