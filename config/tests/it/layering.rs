//! Default, file, environment and command line, each over the one before it.

use config::section::{ProviderKind, Unpriced};
use config::{Config, Environment, Sources, load};

fn sources(file: Option<&tempfile::NamedTempFile>, variables: &[(&str, &str)]) -> Sources {
    Sources {
        file: file.map(|file| file.path().to_owned()),
        environment: Environment::of(variables.iter().copied()),
        ..Sources::default()
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn without_any_source_the_demo_provider_answers() {
    let config = Config::from_toml("").unwrap();
    assert_eq!(config.providers["demo"].kind, ProviderKind::Demo);
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.models.aliases["default"].to_string(), "demo/demo");
    assert_eq!(config.metering.unpriced, Unpriced::Refuse);
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file = file("[server]\nconnections_max = 10\nrequests_in_flight_max = 11\n");
    let variables = [
        ("FLOWPILOT__SERVER__CONNECTIONS_MAX", "20"),
        ("FLOWPILOT__PROVIDERS__DEMO__MODELS", "demo, demo"),
    ];
    let config = load(&sources(Some(&file), &variables)).unwrap();
    assert_eq!(config.server.connections_max, 20);
    assert_eq!(config.server.requests_in_flight_max, 11);
    assert_eq!(config.server.request_headers_max, 100);
    assert_eq!(config.providers["demo"].models, ["demo", "demo"]);
}
