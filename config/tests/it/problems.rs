//! What an operator is told about a configuration that is wrong.

use config::{Environment, Origin, Sources};

use crate::support::{load_with, problems};

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let text = r#"
[server]
listen = "localhost"
lissten = "127.0.0.1:1"
connections_max = 0
[database]
url = "mysql://u:canary@h/d"
[providers.gemini]
base_url = "not a url"
api_key = "k"
[providers.else]
api_key = 5
[models.aliases]
gone = "nowhere/model"
dear = "gemini/unheard-of"
odd = "nothing"
[cache]
mode = "exakt"
ttl_s = -1
"#;
    let found = problems(text, &[("FLOWPILOT__AUTH__REFRESH_INTERVAL_MS", "soon")]);
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "auth.refresh_interval_ms",
        "cache.mode",
        "cache.ttl_s",
        "database.url",
        "models.aliases.dear",
        "models.aliases.gone",
        "models.aliases.odd",
        "providers.else.api_key",
        "providers.else.kind",
        "providers.gemini.base_url",
        "server.connections_max",
        "server.lissten",
        "server.listen",
    ];
    assert_eq!(paths, expected);
    assert!(found.iter().all(|(_, message)| !message.contains("canary")));
}

#[test]
fn a_problem_says_where_the_key_was_set() {
    let variables = [("FLOWPILOT__CACHE__TTL_S", "0")];
    let problems = load_with("\n[server]\nconnections_max = 0\n", &variables)
        .unwrap_err()
        .0;
    let variable = Origin::Variable("FLOWPILOT__CACHE__TTL_S".into());
    assert_eq!(problems[0].origin.as_ref(), Some(&variable));
    assert!(matches!(
        problems[1].origin,
        Some(Origin::File { line: 3, .. })
    ));
}

#[test]
fn an_unknown_key_suggests_the_nearest_one() {
    let suggests = |text: &str, variables: &[(&str, &str)], expected: &str| {
        let message = problems(text, variables).remove(0).1;
        assert_eq!(message, format!("unknown key; did you mean {expected}?"));
    };
    suggests("[cache]\nmod = \"off\"\n", &[], "cache.mode");
    suggests(
        "[providers.openai]\napi_key = \"k\"\nbase_ulr = \"http://h\"\n",
        &[],
        "providers.openai.base_url",
    );
    suggests("", &[("FLOWPILOT__SERVER__LISTENN", "x")], "server.listen");
}

#[test]
fn a_section_in_place_of_a_value_and_the_reverse_are_told() {
    let found = problems(
        "server = 1\nproviders.x = 2\n[cache.mode]\nexact = true\n",
        &[],
    );
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["cache.mode.exact", "providers.x", "server"]);
}

/// The parser's own message quotes the line.
#[test]
fn a_syntax_error_does_not_repeat_a_secret() {
    let problems = load_with("[providers.openai]\napi_key = \"sk-canary\n", &[]).unwrap_err();
    assert!(!problems.to_string().contains("canary"));
    assert!(matches!(
        problems.0[0].origin,
        Some(Origin::File { line: 2, .. })
    ));
}

#[test]
fn nothing_that_can_be_printed_contains_a_secret() {
    let variables = [
        ("OPENAI_API_KEY", "sk-canary"),
        ("DATABASE_URL", "postgres://u:canary@h/d"),
    ];
    let config = load_with("", &variables).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    let summary = config::check(&Sources {
        environment: Environment::of(variables),
        ..Sources::default()
    });
    let summary = summary.unwrap().to_string();
    assert!(summary.contains("openai: openai https://api.openai.com/v1, with a key"));
    assert!(!summary.contains("canary"));
    assert!(!format!("{:?}", Environment::of(variables)).contains("canary"));
}

#[test]
fn a_provider_without_a_key_is_told_which_variable_would_do() {
    let found = problems("[providers.gemini]\n", &[]);
    assert_eq!(found[0].0, "providers.gemini.api_key");
    assert!(found[0].1.contains("GEMINI_API_KEY or GOOGLE_API_KEY"));
}
