//! How a request finds its way: by weight, by priority, by health, by conversation.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use types::{Clock, Id, TestClock};

use super::*;
use crate::error::{Kind, Rejection, UpstreamError};
use failure::{Again, Verdict};

/// Three deployments of a provider in this process.
fn made(config: &Config, before: Option<&Routes>) -> Routes {
    let prices = ArcSwap::from_pointee(PriceBook::new(&config.prices));
    Routes::new(config, Arc::new(prices), before).unwrap()
}

fn routes(route: &str) -> Routes {
    let text = format!(
        r#"
[metering]
unpriced = "quarantine"
[models.aliases]
m = "mixed"
[routing]
backoff_ms = 100
backoff_max_ms = 300
retry_after_max_ms = 2000
retry_budget_max = 5
breaker_requests_min = 3
[routes.mixed]
{route}
"#
    );
    let config = Config::from_toml(&text).unwrap();
    made(&config, None)
}

/// An organization that says nothing of its own.
fn anybody() -> Id<Organization> {
    Id::new(&clock())
}

fn clock() -> TestClock {
    TestClock::at("2026-11-25T10:00:00Z")
}

fn choose(routes: &Routes, session: Option<u64>) -> Choice {
    let wish = Wish {
        request: Id::new(&clock()),
        session,
        is_stream: false,
    };
    let plan = routes.plan("m", clock().now()).unwrap();
    Choice::new(plan, wish, Instant::now())
}

fn model(choice: &Choice) -> String {
    choice.deployment().unwrap().model.clone()
}

/// How often each model is chosen first.
fn shares(routes: &Routes, requests: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        *shares.entry(model(&choose(routes, None))).or_default() += 1;
    }
    shares
}

fn failure(again: Again) -> Failure {
    Failure {
        again,
        verdict: Verdict::Ill,
        retry_after: None,
        kind: Kind::UpstreamUnavailable,
    }
}

/// Begins an attempt and lets it fail.
fn fail(routes: &Routes, choice: &mut Choice, failure: &Failure) -> Option<Duration> {
    let now = Instant::now();
    choice.begin(now).unwrap().failed(failure);
    choice.next(failure, routes.budget(), now)
}

#[test]
fn requests_are_shared_out_by_weight_within_the_first_priority() {
    let routes = routes(
        r#"deployments = [{ target = "demo/a", weight = 3 }, "demo/b", { target = "demo/c", priority = 1 }, { target = "demo/d", weight = 0 }]"#,
    );
    let shares = shares(&routes, 1_000);
    assert_eq!(shares.len(), 2, "{shares:?}");
    assert!((680..820).contains(&shares["a"]), "{shares:?}");
}

#[test]
fn a_request_goes_from_one_deployment_to_the_next_without_waiting_and_then_waits() {
    let routes = routes(
        r#"deployments = ["demo/a", { target = "demo/b", priority = 1 }, { target = "demo/c", priority = 2 }]
attempts_max = 5"#,
    );
    let mut choice = choose(&routes, None);
    let mut way = vec![model(&choice)];
    for _ in 0..2 {
        let wait = fail(&routes, &mut choice, &failure(Again::Anywhere));
        assert_eq!(wait, Some(Duration::ZERO));
        way.push(model(&choice));
    }
    assert_eq!(way, ["a", "b", "c"]);
    let wait = fail(&routes, &mut choice, &failure(Again::Anywhere)).unwrap();
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
    assert_eq!(model(&choice), "a");
    fail(&routes, &mut choice, &failure(Again::Anywhere)).unwrap();
    let sixth = fail(&routes, &mut choice, &failure(Again::Anywhere));
    assert_eq!(sixth, None, "more attempts than allowed");
}

#[test]
fn what_the_caller_did_wrong_is_attempted_once_and_our_bad_credential_only_elsewhere() {
    let routes = routes(r#"deployments = ["demo/a", { target = "demo/b", priority = 1 }]"#);
    let mut choice = choose(&routes, None);
    assert_eq!(fail(&routes, &mut choice, &failure(Again::Nowhere)), None);

    let mut choice = choose(&routes, None);
    let elsewhere = fail(&routes, &mut choice, &failure(Again::Elsewhere));
    assert_eq!(elsewhere, Some(Duration::ZERO));
    assert_eq!(model(&choice), "b");
    assert_eq!(fail(&routes, &mut choice, &failure(Again::Elsewhere)), None);
}

#[test]
fn the_provider_says_how_long_to_wait_as_long_as_that_is_bearable() {
    let routes = routes(r#"deployments = ["demo/a"]"#);
    for (asked, expected) in [(1_500, Some(1_500)), (2_001, None)] {
        let mut choice = choose(&routes, None);
        let failure = Failure {
            retry_after: Some(Duration::from_millis(asked)),
            verdict: Verdict::Busy,
            ..failure(Again::Anywhere)
        };
        let wait = fail(&routes, &mut choice, &failure);
        assert_eq!(wait, expected.map(Duration::from_millis), "{asked}");
    }
}

#[test]
fn asking_the_same_deployment_again_is_bounded_by_the_budget_and_going_elsewhere_is_not() {
    let routes = routes(r#"deployments = ["demo/a", "demo/b"]"#);
    let busy = Failure {
        verdict: Verdict::Well,
        ..failure(Again::Anywhere)
    };
    let mut again = 0;
    for _ in 0..20 {
        let mut choice = choose(&routes, None);
        assert_eq!(
            fail(&routes, &mut choice, &busy),
            Some(Duration::ZERO),
            "going elsewhere"
        );
        again += usize::from(fail(&routes, &mut choice, &busy).is_some());
    }
    assert_eq!(again, 5);
}

#[test]
fn a_deployment_that_keeps_failing_is_passed_over_and_the_next_priority_takes_its_place() {
    let routes = routes(r#"deployments = ["demo/a", { target = "demo/b", priority = 1 }]"#);
    for _ in 0..3 {
        let mut choice = choose(&routes, None);
        assert_eq!(model(&choice), "a");
        fail(&routes, &mut choice, &failure(Again::Anywhere));
    }
    assert_eq!(model(&choose(&routes, None)), "b");
    // Where both are passed over, the one that is ready first is asked: nothing is refused unasked.
    for _ in 0..3 {
        let mut choice = choose(&routes, None);
        fail(&routes, &mut choice, &failure(Again::Anywhere));
    }
    assert_eq!(model(&choose(&routes, None)), "a");
}

#[test]
fn a_deployment_that_is_told_to_rest_is_passed_over() {
    let routes = routes(r#"deployments = ["demo/a", { target = "demo/b", priority = 1 }]"#);
    let busy = Failure {
        verdict: Verdict::Busy,
        retry_after: Some(Duration::from_mins(1)),
        ..failure(Again::Anywhere)
    };
    fail(&routes, &mut choose(&routes, None), &busy);
    assert_eq!(model(&choose(&routes, None)), "b");
}

#[test]
fn a_deployment_at_its_limit_is_passed_over_and_when_all_are_none_begins() {
    let routes = routes(
        r#"deployments = [{ target = "demo/a", concurrent_requests_max = 1 }, { target = "demo/b", priority = 1, requests_per_minute = 1 }]"#,
    );
    let now = Instant::now();
    let mut first = choose(&routes, None);
    let running = first.begin(now);
    assert!(running.is_some());
    let mut second = choose(&routes, None);
    let _also = second.begin(now).unwrap();
    assert_eq!(model(&second), "b");
    assert!(choose(&routes, None).begin(now).is_none());
    drop(running);
    let mut third = choose(&routes, None);
    assert!(third.begin(now).is_some());
    assert_eq!(model(&third), "a");
}

#[test]
fn of_two_the_one_that_answers_sooner_is_chosen() {
    let routes = routes("choice = \"latency\"\ndeployments = [\"demo/a\", \"demo/b\"]");
    let plan = routes.plan("m", clock().now()).unwrap();
    // One is known to take long, nothing is known of the other: it is worth a try.
    let mut slow = choose(&routes, None);
    let slow_model = model(&slow);
    let mut running = slow.begin(Instant::now()).unwrap();
    running.answered();
    drop(running);
    assert_eq!(plan.len(), 2);
    for _ in 0..20 {
        assert_ne!(model(&choose(&routes, None)), slow_model);
    }
}

#[test]
fn a_conversation_stays_where_it_is_and_only_those_of_a_lost_deployment_move() {
    let routes = routes(r#"deployments = ["demo/a", "demo/b", "demo/c"]"#);
    let places = |routes: &Routes| -> Vec<String> {
        (0..300_u64)
            .map(|session| model(&choose(routes, Some(session))))
            .collect()
    };
    let before = places(&routes);
    assert_eq!(before, places(&routes));
    for one in ["a", "b", "c"] {
        let share = before.iter().filter(|place| *place == one).count();
        assert!((60..140).contains(&share), "{one}: {share}");
    }
    let rest = Failure {
        verdict: Verdict::Busy,
        retry_after: Some(Duration::from_mins(1)),
        ..failure(Again::Anywhere)
    };
    let mut lost = choose(&routes, Some(0));
    let lost_model = model(&lost);
    fail(&routes, &mut lost, &rest);
    for (before, after) in before.iter().zip(places(&routes)) {
        assert_ne!(after, lost_model);
        if *before != lost_model {
            assert_eq!(*before, after);
        }
    }
}

#[test]
fn all_names_of_a_deployment_share_its_health_and_a_reload_keeps_it() {
    let text = "[models.aliases]\none = \"demo/demo\"\n[routing]\nbreaker_requests_min = 1\n";
    let config = Config::from_toml(text).unwrap();
    let routes = made(&config, None);
    let at = clock().now();
    let one = routes.resolve(anybody(), "one", at).unwrap();
    for name in ["demo/demo", "demo", "default"] {
        assert!(Arc::ptr_eq(
            &one,
            &routes.resolve(anybody(), name, at).unwrap()
        ));
        assert!(Arc::ptr_eq(
            &routes.plan(name, at).unwrap(),
            &routes.plan(name, at).unwrap()
        ));
    }
    let reloaded = made(&config, Some(&routes));
    assert!(Arc::ptr_eq(
        &one,
        &reloaded.resolve(anybody(), "one", at).unwrap()
    ));

    let mut changed = config;
    changed
        .providers
        .get_mut("demo")
        .unwrap()
        .response_bytes_max += 1;
    let reloaded = made(&changed, Some(&routes));
    assert!(!Arc::ptr_eq(
        &one,
        &reloaded.resolve(anybody(), "one", at).unwrap()
    ));
}

#[test]
fn a_callers_mistakes_never_open_a_breaker() {
    let routes = routes(r#"deployments = ["demo/a", { target = "demo/b", priority = 1 }]"#);
    let rejection = Rejection {
        status: http::StatusCode::BAD_REQUEST,
        message: String::new(),
        code: None,
        param: None,
        retry_after: None,
        raw: None,
    };
    let mistake = Failure::from(&UpstreamError::Rejected(Box::new(rejection)));
    for _ in 0..50 {
        fail(&routes, &mut choose(&routes, None), &mistake);
    }
    assert_eq!(model(&choose(&routes, None)), "a");
}
