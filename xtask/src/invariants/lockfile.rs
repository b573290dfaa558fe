//! TLS is rustls on ring: no package that brings C cryptography, and with it a C build, is in the lock file.

use super::Breach;
use crate::tree::Tree;

const LOCKFILE: &str = "Cargo.lock";

/// Names, or beginnings of names, of packages that must not be there. The same list as in `deny.toml`, checked
/// without any tool.
const BANNED: [&str; 4] = ["openssl", "native-tls", "aws-lc", "boring"];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let Some(lockfile) = tree.find(LOCKFILE) else {
        return vec![Breach::new(LOCKFILE, 0, "is missing")];
    };
    let lines = lockfile.text.lines().enumerate();
    let names = lines.filter_map(|(at, line)| {
        let name = line.strip_prefix("name = \"")?.trim_end_matches('"');
        Some((at + 1, name))
    });
    names
        .filter(|(_, name)| is_banned(name))
        .map(|(number, name)| Breach::new(LOCKFILE, number, format!("`{name}` is banned")))
        .collect()
}

fn is_banned(name: &str) -> bool {
    // A pure-Rust probe for certificate folders, which links nothing.
    name != "openssl-probe" && BANNED.iter().any(|banned| name.starts_with(banned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_packages_are_found_by_the_beginning_of_their_names() {
        let text = "name = \"ring\"\nname = \"aws-lc-sys\"\nname = \"openssl-probe\"\n";
        assert_eq!(check(&Tree::of(LOCKFILE, text)).len(), 1);
    }
}
