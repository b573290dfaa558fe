//! Files and environments to load from.

use config::{Config, Environment, Problems, Sources, load};
use tempfile::NamedTempFile;

/// A file of this text; it is gone with the value.
pub(crate) fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs_err::write(file.path(), text).unwrap();
    file
}

/// Loads a file under an environment.
pub(crate) fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let file = file(text);
    load(&Sources {
        file: Some(file.path().to_owned()),
        environment: Environment::of(variables.iter().copied()),
        ..Sources::default()
    })
}

/// The problems of a file under an environment, each as its path and its message.
pub(crate) fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let Problems(problems) = load_with(text, variables).unwrap_err();
    problems
        .into_iter()
        .map(|problem| (problem.path, problem.message))
        .collect()
}
