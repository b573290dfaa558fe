//! Routes: several deployments behind one name, and what is wrong with them.

use config::Config;
use config::section::{Alias, Choice, Hedge, Sticky};

use crate::support::problems;

#[test]
fn a_route_says_its_deployments_and_has_defaults_for_the_rest() {
    let text = r#"
[models.aliases]
fast = "mixed"
[routes.mixed]
choice = "latency"
deployments = ["demo/demo", { target = "demo/large", weight = 3, priority = 1, requests_per_minute = 60 }]
[metering]
unpriced = "quarantine"
"#;
    let config = Config::from_toml(text).unwrap();
    assert_eq!(
        config.models.aliases["fast"],
        Alias::Route("mixed".to_owned())
    );
    let route = &config.routes["mixed"];
    assert_eq!(
        (route.choice, route.sticky, route.hedge),
        (Choice::Latency, Sticky::Off, Hedge::Off)
    );
    assert_eq!((route.attempts_max, route.request_timeout), (None, None));
    let [first, second] = route.deployments.as_slice() else {
        panic!("{route:?}");
    };
    assert_eq!((first.weight, first.priority), (1, 0));
    assert_eq!(second.target.to_string(), "demo/large");
    assert_eq!((second.weight, second.priority), (3, 1));
    assert_eq!(second.requests_per_minute.map(u32::from), Some(60));
    assert_eq!(second.concurrent_requests_max, None);
}

#[test]
fn everything_that_is_wrong_with_routes_is_told_at_once() {
    let text = r#"
[models.aliases]
gone = "nowhere"
[routes.empty]
sticky = "session"
[routes.twice]
deployments = ["demo/demo", "demo/demo"]
[routes.stranger]
deployments = ["nobody/model"]
[routes.odd]
deployments = [{ target = "demo/demo", wieght = 2 }]
[routes.misspelt]
deployments = ["demo/demo"]
stiky = "session"
[routing]
attempts_max = 0
retry_budget_percent = 101
breaker_window_ms = 1
"#;
    let found = problems(text, &[]);
    let mut paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    paths.dedup();
    let expected = [
        "models.aliases.gone",
        "routes.empty.deployments",
        "routes.misspelt.stiky",
        "routes.odd.deployments",
        "routes.stranger.deployments",
        "routes.twice.deployments",
        "routing.attempts_max",
        "routing.breaker_window_ms",
        "routing.retry_budget_percent",
    ];
    assert_eq!(paths, expected, "{found:#?}");
    let misspelt = found.iter().find(|(path, _)| path.ends_with("stiky"));
    assert!(
        misspelt.unwrap().1.contains("routes.misspelt.sticky"),
        "{misspelt:?}"
    );
}
