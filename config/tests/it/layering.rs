//! Default, file, environment and command line, each over the one before it.

use config::section::{ProviderKind, Unpriced};
use config::{Config, Environment, Overrides, Sources, load};

use crate::support::{file, load_with};

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
    let text = "[server]\nconnections_max = 10\nrequests_in_flight_max = 11\n[database.hot]\nconnections_max = 9\n";
    let variables = [
        ("FLOWPILOT__SERVER__CONNECTIONS_MAX", "20"),
        ("FLOWPILOT__DATABASE__HOT__CONNECTIONS_MAX", "12"),
        ("FLOWPILOT__PROVIDERS__DEMO__MODELS", "demo, demo"),
    ];
    let config = load_with(text, &variables).unwrap();
    assert_eq!(config.server.connections_max, 20);
    assert_eq!(config.server.requests_in_flight_max, 11);
    assert_eq!(config.server.request_headers_max, 100);
    assert_eq!(config.database.hot.connections_max, 12);
    assert_eq!(config.providers["demo"].models, ["demo", "demo"]);
}

#[test]
fn the_command_line_wins_over_everything() {
    let config = load(&Sources {
        file: None,
        environment: Environment::of([("FLOWPILOT__SERVER__LISTEN", "127.0.0.1:1")]),
        overrides: Overrides {
            listen: Some(([127, 0, 0, 1], 2).into()),
            data_dir: Some("/srv/flowpilot".into()),
        },
    })
    .unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(
        config.metering.journal_dir.to_str(),
        Some("/srv/flowpilot/journal")
    );
}

#[test]
fn data_goes_to_the_folder_of_the_user() {
    let folder = |variables: &[(&str, &str)]| load_with("", variables).unwrap().server.data_dir;
    let xdg = [("HOME", "/home/ada"), ("XDG_DATA_HOME", "/data")];
    assert_eq!(folder(&xdg).to_str(), Some("/data/flowpilot"));
    assert_eq!(
        folder(&xdg[..1]).to_str(),
        Some("/home/ada/.local/share/flowpilot")
    );
    assert_eq!(folder(&[]).to_str(), Some("/var/lib/flowpilot"));
}

#[test]
fn a_variable_of_the_process_wins_over_one_of_the_env_file() {
    let env_file = file("DATABASE_URL=postgres://file\nFLOWPILOT__LOG__LEVEL=debug\n");
    let environment = Environment::of([("DATABASE_URL", "postgres://process")]);
    let config = load(&Sources {
        environment: environment.with_file(env_file.path()).unwrap(),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(config.database.url.unwrap().expose(), "postgres://process");
    assert_eq!(config.log.level, "debug");
}
