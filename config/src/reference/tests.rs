//! `default.toml` and the structs say the same, and every key is explained.

use super::*;
use crate::checked::Config;
use crate::layers::partner;

/// A key that no struct reads, or one of a struct that is missing here, would be a problem of the defaults themselves:
/// every section refuses unknown keys, and no field has a default of its own.
#[test]
fn every_key_is_read_and_every_field_has_a_key() {
    Config::from_toml("").unwrap();
}

#[test]
fn every_key_has_a_sentence_and_says_when_it_takes_effect() {
    let reference = Reference::embedded().unwrap();
    let assignments = DEFAULT_TOML
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'));
    assert_eq!(reference.entries().len(), assignments.count());
    for entry in reference.entries() {
        assert!(
            entry.comment.ends_with('.'),
            "{}: {}",
            entry.path,
            entry.comment
        );
        let ends = [
            format!("{} (live)", entry.comment),
            format!("{} (restart)", entry.comment),
        ];
        let marked = ends.iter().any(|end| DEFAULT_TOML.contains(end.as_str()));
        assert!(marked, "{} is neither (live) nor (restart)", entry.path);
    }
}

/// A reload holds such keys back by their place in `default.toml`, which names that users choose do not have.
#[test]
fn no_key_below_a_chosen_name_needs_a_restart() {
    let reference = Reference::embedded().unwrap();
    let chosen = |entry: &&Entry| {
        let sections = ["providers.", "routes.", "models.aliases."];
        sections
            .iter()
            .any(|section| entry.path.starts_with(section))
    };
    for entry in reference.entries().iter().filter(chosen) {
        assert_eq!(entry.effect, Effect::Live, "{}", entry.path);
    }
}

#[test]
fn every_secret_can_come_from_a_file() {
    let reference = Reference::embedded().unwrap();
    for entry in reference.entries() {
        let secret = entry.path.starts_with("database.") && entry.path.ends_with("url")
            || entry.path.ends_with("api_key");
        assert!(
            !secret || reference.find(&partner(&entry.key)).is_some(),
            "{}",
            entry.path
        );
    }
}
