//! The committed descriptions of all queries, from a database with all migrations.
//!
//! `sqlx`'s macros describe a query while its crate is compiled: from the folder `.sqlx`, as always, or from a
//! database, as here, where they also write what they learn into a folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use database::testing::TestDatabase;

use crate::cargo;
use crate::folder::{self, Mode};
use crate::tree::Tree;

/// How the names of the descriptions end.
const ENDING: &str = ".json";

/// The macros that describe queries.
const MACROS: [&str; 5] = [
    "query!(",
    "query_as!(",
    "query_scalar!(",
    "query_file!(",
    "query_file_as!(",
];

/// The files with such macros, made newer than what was built from them, so that the macros run again.
///
/// Their times are put back at the end: what was built with the committed descriptions stays usable.
struct Touched(Vec<(PathBuf, SystemTime)>);

pub(crate) fn run(mode: Mode) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let database = runtime.block_on(TestDatabase::new());
    let generated = empty_folder()?;
    let touched = Touched::now(cargo::root())?;
    let described = describe(database.options().owner().expose(), &generated);
    drop(touched);
    runtime.block_on(async { drop(database) });
    described?;

    let committed = cargo::root().join(".sqlx");
    let (old, new) = (
        folder::read(&committed, ENDING)?,
        folder::read(&generated, ENDING)?,
    );
    folder::settle(&committed, &old, &new, mode).context("`cargo xtask prepare` refreshes .sqlx")
}

fn empty_folder() -> Result<PathBuf> {
    let folder = cargo::target_dir().join("sqlx-prepare");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn describe(url: &str, folder: &Path) -> Result<()> {
    let mut command = cargo::command(&["check", "--workspace", "--all-targets", "--locked"]);
    // `.cargo/config.toml` forces the committed descriptions; only a setting of cargo's own overrides that.
    command.args(["--config", "env.SQLX_OFFLINE.value=\"false\""]);
    command.env("DATABASE_URL", url);
    command.env("SQLX_OFFLINE_DIR", folder);
    cargo::run_command(command)
}

impl Touched {
    #[expect(
        clippy::disallowed_methods,
        reason = "a file's time is compared with the times of the build, which are the system's"
    )]
    fn now(root: &Path) -> Result<Self> {
        let now = SystemTime::now();
        let tree = Tree::read(root)?;
        let mut touched = Self(Vec::new());
        let with_macros = tree
            .rust()
            .filter(|file| MACROS.iter().any(|name| file.text.contains(name)));
        for file in with_macros {
            let path = root.join(&file.path);
            let before = fs::metadata(&path)?.modified()?;
            set_time(&path, now)?;
            touched.0.push((path, before));
        }
        Ok(touched)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        for (path, before) in &self.0 {
            // Left new, the file would only be compiled once more.
            set_time(path, *before).ok();
        }
    }
}

fn set_time(path: &Path, time: SystemTime) -> Result<()> {
    let file = File::options().append(true).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    file.set_modified(time)
        .with_context(|| format!("cannot touch {}", path.display()))
}
