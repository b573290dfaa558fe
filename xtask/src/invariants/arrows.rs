//! Crates depend on each other along the arrows of ARCHITECTURE.md and no others, and all of them share the lints.

use super::Breach;
use crate::tree::{File, Tree};

/// What each crate may depend on among ours. Test dependencies are free.
///
/// `loadtest` checks the books of `metering` with arithmetic of its own, so it must not depend on it.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("config", &["types"]),
    ("database", &["types", "config"]),
    ("embedding", &["types", "config"]),
    ("api", &["types", "config", "database"]),
    (
        "cache",
        &["types", "config", "database", "api", "embedding"],
    ),
    ("metering", &["types", "config", "database", "api"]),
    ("tenants", &["types", "config", "database", "api"]),
    (
        "workflows",
        &[
            "types",
            "config",
            "database",
            "api",
            "embedding",
            "metering",
        ],
    ),
    (
        "gateway",
        &[
            "types",
            "config",
            "database",
            "api",
            "embedding",
            "cache",
            "metering",
            "tenants",
            "workflows",
        ],
    ),
    (
        "loadtest",
        &["types", "config", "database", "embedding", "cache"],
    ),
    ("xtask", &["types", "config", "database"]),
];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let manifests = tree
        .files
        .iter()
        .filter(|file| is_manifest_of_a_crate(file));
    manifests.flat_map(check_manifest).collect()
}

fn is_manifest_of_a_crate(file: &File) -> bool {
    file.path == format!("{}/Cargo.toml", file.folder())
}

fn check_manifest(file: &File) -> Vec<Breach> {
    let name = file.folder();
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        return vec![Breach::new(
            &file.path,
            0,
            "the crate has no place among the arrows",
        )];
    };
    let wrong = dependencies(&file.text).filter(|(_, to)| is_ours(to) && !allowed.contains(to));
    let mut breaches: Vec<_> = wrong
        .map(|(number, to)| {
            Breach::new(
                &file.path,
                number,
                format!("`{name}` must not depend on `{to}`"),
            )
        })
        .collect();
    if !file.text.contains("[lints]\nworkspace = true") {
        breaches.push(Breach::new(
            &file.path,
            0,
            "does not take the workspace's lints",
        ));
    }
    breaches
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(ours, _)| *ours == name)
}

/// The names in `[dependencies]` and in its platform-specific kin, with their line numbers.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    manifest.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line.ends_with(".dependencies]");
            return None;
        }
        let name = line.split(['.', ' ', '=']).next()?;
        (inside && !name.is_empty() && !name.starts_with('#')).then_some((at + 1, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_against_the_order_is_found_and_test_dependencies_are_free() {
        let manifest = "[dependencies]\ntypes.workspace = true\ngateway = { workspace = true }\n\
                        [dev-dependencies]\nmetering.workspace = true\n[lints]\nworkspace = true\n";
        let breaches = check(&Tree::of("cache/Cargo.toml", manifest));
        let found: Vec<_> = breaches.iter().map(|breach| breach.what.as_str()).collect();
        assert_eq!(found, ["`cache` must not depend on `gateway`"]);
    }

    #[test]
    fn a_crate_without_the_shared_lints_is_found() {
        assert_eq!(
            check(&Tree::of("types/Cargo.toml", "[dependencies]\n")).len(),
            1
        );
    }
}
