//! Only `config` reads the environment: a setting that is read elsewhere is in no documentation and no check.

use super::Breach;
use crate::tree::{File, Tree};

/// What reads it, at run time or when compiling. `env!("CARGO_…")` is cargo speaking of itself and may be used.
const READERS: [&str; 4] = ["env::var", "option_env!", "dotenv", "#[arg(env"];

/// Who may: `config`, and these tools, which are no part of the product.
const READING_FOLDERS: [&str; 2] = ["config", "xtask"];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let files = tree.rust().filter(|file| !may_read(file));
    files.flat_map(check_file).collect()
}

fn may_read(file: &File) -> bool {
    file.is_test() || READING_FOLDERS.contains(&file.folder())
}

fn check_file(file: &File) -> Vec<Breach> {
    let reading = file.code().filter_map(|(number, line)| {
        let reader = READERS.iter().find(|reader| line.contains(**reader))?;
        Some(Breach::new(
            &file.path,
            number,
            format!("`{reader}` reads the environment"),
        ))
    });
    reading.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_the_environment_is_found_outside_of_config_and_tests() {
        let text = "//! X.\nlet x = std::env::var_os(\"X\");\n";
        assert_eq!(check(&Tree::of("gateway/src/main.rs", text)).len(), 1);
        assert!(check(&Tree::of("config/src/load.rs", text)).is_empty());
        assert!(check(&Tree::of("gateway/tests/it/main.rs", text)).is_empty());
    }
}
