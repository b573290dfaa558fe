//! Several deployments behind one name: what fails is attempted elsewhere, and every attempt is in the books.

use std::time::{Duration, Instant};

use loadtest::oracle::price::Usd;
use serde_json::Value;

use crate::harness::{
    Answer, Scene, Scripted, Stack, Tenant, ask, ask_stream, ask_stream_with_usage, eventually,
    lay_over,
};

/// Two scripted providers, and a route that asks the first before the second.
struct Two {
    first: Scripted,
    second: Scripted,
    stack: Stack,
    tenant: Tenant,
}

const MODEL: &str = "gpt-4o-mini";

async fn two(first: &[Scene], second: &[Scene], settings: &str) -> Two {
    let first = Scripted::playing(first).await;
    let second = Scripted::playing(second).await;
    let provider = |name: &str, scripted: &Scripted| {
        let base_url = scripted.base_url();
        format!(
            "[providers.{name}]\nkind = \"openai\"\nbase_url = \"{base_url}\"\napi_key = \"x\"\nprice_provider = \"openai\"\n"
        )
    };
    let (providers_first, providers_second) =
        (provider("first", &first), provider("second", &second));
    let base = format!(
        r#"
{providers_first}
{providers_second}
[models.aliases]
both = "both"
one = "first/{MODEL}"
[routes.both]
deployments = ["first/{MODEL}", {{ target = "second/{MODEL}", priority = 1 }}]
"#
    );
    let mut all = base.parse().unwrap();
    lay_over(&mut all, settings.parse().unwrap());
    let stack = Stack::with(&all.to_string()).await;
    let tenant = stack.tenant("mine").await;
    Two {
        first,
        second,
        stack,
        tenant,
    }
}

impl Two {
    async fn chat(&self, model: &str, text: &str) -> Answer {
        let client = self.stack.gateway.client();
        client.chat(&self.tenant.key, &ask(model, text)).await
    }

    /// How often each was asked.
    fn asked(&self) -> (usize, usize) {
        (self.first.asked().len(), self.second.asked().len())
    }

    /// The attempts in the books: provider, number, outcome, who counted, and whether it cost anything.
    async fn attempts(&self, count: i64) -> Vec<String> {
        const COUNT: &str = "SELECT count(*) FROM usage_events WHERE event_type = 'ai_request'";
        eventually("all attempts are booked", async || {
            self.stack.ledger.count(COUNT).await == count
        })
        .await;
        let rows: Vec<(String, i32, String, String, bool)> = sqlx::query_as(
            "SELECT provider, attempt, outcome, usage_source, cost_usd > 0
               FROM usage_events
              WHERE event_type = 'ai_request'
              ORDER BY created_at, attempt",
        )
        .fetch_all(&self.stack.ledger.0)
        .await
        .unwrap();
        let told = rows
            .iter()
            .map(|(provider, attempt, outcome, source, paid)| {
                let paid = if *paid { "paid" } else { "free" };
                format!("{attempt} {provider} {outcome} {source} {paid}")
            });
        told.collect()
    }
}

fn provider(answer: &Answer) -> (&str, &str) {
    (
        answer.header("x-flowpilot-provider"),
        answer.header("x-flowpilot-attempts"),
    )
}

#[tokio::test]
async fn what_fails_is_attempted_elsewhere_and_every_attempt_is_booked_as_what_it_was() {
    let failures = [
        Scene::Refuse(503, None),
        Scene::Refuse(529, None),
        Scene::Break,
        Scene::Refuse(401, None),
    ];
    let two = two(&failures, &[], "").await;
    for number in 0..4 {
        let answer = two.chat("both", &format!("question {number}")).await;
        assert_eq!(provider(&answer.expect(200)), ("second", "2"), "{number}");
    }
    let answer = two.chat("both", "another").await.expect(200);
    assert_eq!(provider(&answer), ("first", "1"));
    assert_eq!(two.asked(), (5, 4));

    let attempts = two.attempts(9).await;
    let broken = "1 first failed estimated paid";
    let refused = "1 first failed provider free";
    let answered = "2 second completed provider paid";
    let expected = [
        [refused, answered],
        [refused, answered],
        [broken, answered],
        [refused, answered],
    ];
    assert_eq!(attempts[..8], expected.concat());
    assert_eq!(attempts[8], "1 first completed provider paid");

    // One request each, with all that was used for it.
    let rows = two.stack.ledger.booked(5).await;
    assert!(
        rows.iter().all(|row| row.status == "completed"),
        "{rows:#?}"
    );
    assert!(rows[2].tokens.input > rows[1].tokens.input, "{rows:#?}");
    assert_eq!(two.stack.ledger.balanced().await.calls, 5);
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_is_attempted_elsewhere_and_later_it_ends_in_an_error()
 {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":\"server_error\"}}\n\n";
    let half = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"}}]}\n\n";
    let scenes = [Scene::Stream(error), Scene::Stream(""), Scene::Stream(half)];
    let two = two(&scenes, &[], "").await;
    let client = two.stack.gateway.client();
    for text in ["one", "two"] {
        let body = ask_stream_with_usage("both", text);
        let mut stream = client.stream(&two.tenant.key, &body).await;
        assert_eq!(stream.header("x-flowpilot-provider"), "second", "{text}");
        assert_eq!(stream.rest().await.last().unwrap(), "[DONE]");
    }
    let mut stream = client
        .stream(&two.tenant.key, &ask_stream("both", "three"))
        .await;
    assert_eq!(stream.header("x-flowpilot-attempts"), "1");
    let events = stream.rest().await;
    assert_eq!(events.len(), 2, "{events:#?}");
    let last: Value = serde_json::from_str(&events[1]).unwrap();
    assert_eq!(last["error"]["code"], "upstream_truncated");
    assert_eq!(two.asked(), (3, 2));
}

#[tokio::test]
async fn a_provider_is_asked_again_when_it_wants_to_be_and_the_callers_own_mistake_is_not_repeated()
{
    const WAIT: Duration = Duration::from_millis(150);
    let scenes = [
        Scene::Refuse(429, Some(("retry-after-ms", "150"))),
        Scene::Answer,
        Scene::Refuse(429, Some(("retry-after", "60"))),
        Scene::Refuse(400, None),
        Scene::Refuse(500, None),
        Scene::Refuse(500, None),
        Scene::Refuse(500, None),
    ];
    let two = two(&scenes, &[], "[routing]\nbackoff_ms = 1").await;
    let begun = Instant::now();
    let answer = two.chat("one", "slow down").await.expect(200);
    assert!(begun.elapsed() >= WAIT, "it was asked too soon");
    assert_eq!(provider(&answer), ("first", "2"));

    let answer = two.chat("one", "for a minute").await.expect(429);
    assert_eq!(answer.header("retry-after"), "60");
    two.chat("one", "nonsense").await.expect(400);
    assert_eq!(two.asked().0, 4);
    two.chat("one", "three times").await.expect(502);
    assert_eq!(two.asked().0, 7, "not as many attempts as allowed");
    let rows = two.stack.ledger.booked(4).await;
    assert_eq!(rows[3].cost, Usd::default());
    assert_eq!(two.attempts(7).await[6], "3 first failed provider free");
}

#[tokio::test]
async fn retries_are_bounded_by_their_budget() {
    let settings = "[routing]\nbackoff_ms = 1\nretry_budget_percent = 0\nretry_budget_max = 3";
    let two = two(&[], &[], settings).await;
    two.first.always(Scene::Refuse(500, None));
    for number in 0..6 {
        two.chat("one", &format!("{number}")).await.expect(502);
    }
    assert_eq!(two.asked().0, 6 + 3);
    let metrics = two.stack.gateway.client().get("/metrics", None).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        metrics.contains("flowpilot_retries_refused_total 5"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_deployment_that_keeps_failing_is_passed_over_and_found_again_when_it_is_well() {
    let settings = "[routing]\nbreaker_requests_min = 3\nbreaker_open_ms = 300";
    let two = two(&[], &[], settings).await;
    two.first.always(Scene::Refuse(500, None));
    for number in 0..10 {
        let answer = two.chat("both", &format!("{number}")).await.expect(200);
        assert_eq!(answer.header("x-flowpilot-provider"), "second");
    }
    let (first, _) = two.asked();
    assert!(first < 10, "it was asked every time");
    two.first.always(Scene::Answer);
    let mut number = 10;
    eventually("the first one answers again", async || {
        number += 1;
        let answer = two.chat("both", &format!("{number}")).await.expect(200);
        answer.header("x-flowpilot-provider") == "first"
    })
    .await;
}

#[tokio::test]
async fn when_every_deployment_is_at_its_limit_the_caller_is_told_to_come_back() {
    let settings = format!(
        "[models.aliases]\nnarrow = \"narrow\"\n[routes.narrow]\ndeployments = [{{ target = \"first/{MODEL}\", requests_per_minute = 1 }}]"
    );
    let two = two(&[], &[], &settings).await;
    two.chat("narrow", "one").await.expect(200);
    let full = two.chat("narrow", "two").await.expect(503);
    assert_eq!(full.json()["error"]["code"], "gateway_unavailable");
    assert_eq!(full.header("retry-after"), "1");
    assert_eq!(two.asked(), (1, 0));
    assert_eq!(two.stack.ledger.booked(1).await.len(), 1);
}

#[tokio::test]
async fn a_slow_answer_is_overtaken_where_the_route_says_so_and_both_attempts_are_booked() {
    let settings = "[routes.both]\nhedge = \"p95\"";
    let two = two(&[], &[], settings).await;
    for number in 0..25 {
        let answer = two.chat("both", &format!("{number}")).await.expect(200);
        assert_eq!(answer.header("x-flowpilot-provider"), "first");
    }
    two.first.always(Scene::Hang);
    let answer = two.chat("both", "hurry").await.expect(200);
    assert_eq!(provider(&answer), ("second", "2"));
    let attempts = two.attempts(27).await;
    let expected = [
        "1 first cancelled estimated paid",
        "2 second completed provider paid",
    ];
    assert_eq!(attempts[25..], expected);
    let rows = two.stack.ledger.booked(26).await;
    assert_eq!(rows[25].status, "completed");
    assert_eq!(rows[25].provider, "second");
}

#[tokio::test]
async fn a_conversation_stays_at_its_deployment_and_another_models_answer_is_not_cached_in_its_place()
 {
    let settings = r#"
[models.aliases]
shared = "shared"
mixed = "mixed"
[routes.shared]
sticky = "session"
deployments = ["first/gpt-4o-mini", "second/gpt-4o-mini"]
[routes.mixed]
deployments = ["first/gpt-4o-mini", { target = "second/gpt-4o", priority = 1 }]
"#;
    let two = two(&[Scene::Refuse(503, None)], &[], settings).await;
    let answer = two.chat("mixed", "the same").await.expect(200);
    assert_eq!(provider(&answer), ("second", "2"));
    let answer = two.chat("mixed", "the same").await.expect(200);
    assert_eq!(answer.header("x-flowpilot-cache"), "miss");
    assert_eq!(provider(&answer), ("first", "1"));

    let client = two.stack.gateway.client();
    let mut places = std::collections::BTreeSet::new();
    for session in 0..12 {
        let mut of_session = std::collections::BTreeSet::new();
        for turn in 0..3 {
            let body = ask("shared", &format!("{session} {turn}")).to_string();
            let request = client
                .request(
                    http::Method::POST,
                    crate::harness::CHAT,
                    Some(&two.tenant.key),
                )
                .header("x-flowpilot-session", format!("session {session}"));
            let request = request
                .body(http_body_util::Full::new(body.into()))
                .unwrap();
            let answer = client.exchange(request).await.expect(200);
            of_session.insert(answer.header("x-flowpilot-provider").to_owned());
        }
        assert_eq!(of_session.len(), 1, "{of_session:?}");
        places.extend(of_session);
    }
    assert_eq!(places.len(), 2, "all sessions are at one place");
}

#[tokio::test]
async fn a_kill_between_two_attempts_or_in_the_second_leaves_one_request_with_all_its_attempts() {
    let scenes = [
        Scene::Refuse(503, Some(("retry-after", "300"))),
        Scene::Refuse(503, None),
        Scene::Hang,
    ];
    let settings = "[routing]\nretry_after_max_ms = 600000\nbackoff_ms = 1";
    let mut two = two(&scenes, &[], settings).await;
    let tasks = tokio_util::task::TaskTracker::new();
    for (text, asked) in [("waits", 1), ("hangs", 3)] {
        let client = two.stack.gateway.client().clone();
        let (key, body) = (two.tenant.key.clone(), ask("one", text));
        tasks.spawn(async move { client.chat(&key, &body).await });
        eventually("the provider is asked", async || two.asked().0 == asked).await;
    }
    two.stack.gateway.kill().await;
    two.stack.gateway = two.stack.installation.start().await;

    let attempts = two.attempts(3).await;
    let expected = [
        "1 first unknown unknown paid",
        "1 first failed provider free",
        "2 first unknown unknown paid",
    ];
    assert_eq!(attempts, expected);
    let rows = two.stack.ledger.booked(2).await;
    assert!(rows.iter().all(|row| row.status == "failed"), "{rows:#?}");
    two.stack.ledger.balanced().await;
}
