//! Reads `config/assets.txt`: what is pinned for this machine.

use std::env::consts::{ARCH, OS};
use std::fmt;

use super::Error;

/// The pins, as they are checked in.
const PINS: &str = include_str!("../../../../config/assets.txt");

/// One pinned package file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The package's name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// The file's SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// What pip has to be told to choose this platform's file.
    pub(super) arguments: Vec<String>,
}

impl Asset {
    /// The requirement as pip reads it from a file.
    pub(super) fn requirement(&self) -> String {
        format!("{self} --hash=sha256:{}\n", self.sha256)
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=={}", self.name, self.version)
    }
}

/// All pins of this machine's platform.
pub(super) fn all() -> Result<Vec<Asset>, Error> {
    let pins = parse(PINS, &platform());
    if pins.is_empty() {
        return Err(missing("the embedded default"));
    }
    Ok(pins)
}

/// The pin of one package.
pub(super) fn find(package: &str) -> Result<Asset, Error> {
    parse(PINS, &platform())
        .into_iter()
        .find(|asset| asset.name == package)
        .ok_or_else(|| missing(package))
}

fn missing(package: &str) -> Error {
    Error::NoPin {
        package: package.to_owned(),
        platform: platform(),
    }
}

fn platform() -> String {
    format!("{OS}-{ARCH}")
}

fn parse(text: &str, platform: &str) -> Vec<Asset> {
    let mut section = None;
    let mut assets = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("# [") {
            section = heading
                .split_once(']')
                .filter(|(name, _)| *name == platform)
                .map(|(_, arguments)| arguments);
        } else if let Some(arguments) = section {
            assets.extend(parse_line(line, arguments));
        }
    }
    assets
}

fn parse_line(line: &str, arguments: &str) -> Option<Asset> {
    let (requirement, sha256) = line.split_once(" --hash=sha256:")?;
    let (name, version) = requirement.split_once("==")?;
    Some(Asset {
        name: name.trim().to_owned(),
        version: version.trim().to_owned(),
        sha256: sha256.trim().to_owned(),
        arguments: arguments.split_whitespace().map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_pins_the_same_packages_with_whole_hashes() {
        let expected = parse(PINS, "linux-x86_64");
        assert_eq!(expected.len(), 4);
        for platform in ["linux-aarch64", "macos-aarch64"] {
            let pins = parse(PINS, platform);
            let names = |pins: &[Asset]| pins.iter().map(Asset::to_string).collect::<Vec<_>>();
            assert_eq!(names(&pins), names(&expected));
            assert!(pins.iter().all(|pin| pin.sha256.len() == 64));
            assert!(pins.iter().all(|pin| pin.arguments.len() == 10));
        }
        assert!(parse(PINS, "plan9-vax").is_empty());
    }
}
