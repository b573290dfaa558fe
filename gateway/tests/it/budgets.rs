//! Budgets through the front door: made by the tenant, kept by the gateway, told in the refusal.

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{Answer, CHAT, Client, OPENAI, Stack, Tenant, ask, eventually};

/// A tokens' budget that has room for a few requests of the tests' size.
fn tokens_of_search(limit: &str) -> Value {
    json!({
        "name": "Search",
        "scope": { "type": "tag", "tag": "team=search" },
        "resource_type": "ai_tokens",
        "limit": limit,
        "period": "monthly",
    })
}

async fn ask_for(client: &Client, tenant: &Tenant, team: &str, mut body: Value) -> Answer {
    body["messages"][0]["content"] = format!("{} [[tokens=50]]", uuid()).into();
    let request = client.request(Method::POST, CHAT, Some(&tenant.key));
    let request = request.header("x-flowpilot-tags", format!("team={team}"));
    let body = Full::new(Bytes::from(body.to_string()));
    client.exchange(request.body(body).unwrap()).await
}

/// No two questions are alike, so that none is answered from the cache.
fn uuid() -> String {
    types::Id::<types::id::Request>::new(&types::SystemClock).to_string()
}

#[tokio::test]
async fn a_tenants_budget_refuses_what_it_is_for_and_says_so() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let budget = tokens_of_search("1000");
    let made = client.post("/api/v1/budgets", &tenant.key, &budget);
    let made = made.await.expect(201);
    let mut body = ask(OPENAI, "");
    body["max_completion_tokens"] = 60.into();

    let mut refusal = None;
    eventually("the budget refuses", async || {
        let answer = ask_for(client, &tenant, "search", body.clone()).await;
        let refused = answer.status == 429;
        refusal = Some(answer);
        refused
    })
    .await;

    let refusal = refusal.unwrap();
    assert_eq!(refusal.json()["error"]["code"], "insufficient_quota");
    assert_eq!(refusal.header("x-should-retry"), "false");
    assert_eq!(refusal.header("x-flowpilot-limit"), "1000");
    assert_eq!(refusal.header("x-flowpilot-limit-scope"), "tag team=search");
    assert_eq!(refusal.header("x-flowpilot-limit-resource"), "ai_tokens");
    assert!(!refusal.header("x-flowpilot-limit-reset").is_empty());
    ask_for(client, &tenant, "other", body).await.expect(200);
    let path = format!("/api/v1/budgets/{}", made.text("id"));
    eventually("what is used is told, and was alerted", async || {
        let budget = client
            .get(&path, Some(&tenant.key))
            .await
            .expect(200)
            .json();
        let used: i64 = budget["used"].as_str().unwrap().parse().unwrap();
        assert!(used <= 1_000, "{budget}");
        budget["reserved"].as_str() == Some("0") || budget["alerted_percents"] == json!([50])
    })
    .await;
}

#[tokio::test]
async fn near_its_limit_an_answer_is_capped_at_what_is_left_where_the_operator_says_so() {
    let stack = Stack::with("quota.near_limit = \"lower_cap\"").await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let budget = tokens_of_search("500");
    let made = client.post("/api/v1/budgets", &tenant.key, &budget);
    made.await.expect(201);
    // Far more than the budget has: refused unless the cap is lowered.
    let mut body = ask(OPENAI, "");
    body["max_completion_tokens"] = 100_000.into();

    let answers = async || ask_for(client, &tenant, "search", body.clone()).await;
    let mut answered = 0;
    eventually("nothing of use is left", async || {
        let answer = answers().await;
        answered += usize::from(answer.status == 200);
        answer.status == 429
    })
    .await;

    assert!(answered > 0, "everything was refused");
    stack.ledger.booked(answered).await;
    let used = stack.ledger.count(
        "SELECT COALESCE(sum(quantity), 0)::bigint FROM usage_events WHERE event_type = 'ai_request' AND tags ->> 'team' = 'search'",
    );
    assert!(used.await <= 500);
}

#[tokio::test]
async fn a_budget_is_made_read_changed_and_deleted_by_those_who_may() {
    let stack = Stack::start().await;
    let (tenant, other) = (stack.tenant("mine").await, stack.tenant("other").await);
    let client = stack.gateway.client();
    let make = async |change: &dyn Fn(&mut Value)| {
        let mut body = tokens_of_search("10");
        change(&mut body);
        client.post("/api/v1/budgets", &tenant.key, &body).await
    };

    for (field, value) in [
        ("limit", json!("-1")),
        ("limit", json!("0.5")),
        ("name", json!("")),
        ("scope", json!({ "type": "tag", "tag": "team" })),
        ("scope", json!({ "type": "api_key", "id": other.key_id })),
        ("alert_percents", json!([0])),
    ] {
        let refused = make(&|body| body[field] = value.clone()).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{refused:?}");
    }
    make(&|body| body["scope"] = json!({ "type": "organization" }))
        .await
        .expect(403);
    make(&|body| body["scope"] = json!({ "type": "api_key", "id": tenant.key_id }))
        .await
        .expect(201);
    make(&|_| {}).await.expect(409);

    let list = client.get("/api/v1/budgets", Some(&tenant.key)).await;
    let id = list.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/budgets/{id}");
    let budget = client.get(&path, Some(&tenant.key)).await.expect(200);
    assert_eq!(budget.json()["remaining"], "10");
    client.get(&path, Some(&other.key)).await.expect(404);
    let change = json!({ "name": "Search", "limit": "20", "period": "total" });
    let put = |key, tag: Option<&str>| {
        let request = client.request(Method::PUT, &path, Some(key));
        let request = request.header("content-type", "application/json");
        let request = match tag {
            Some(tag) => request.header("if-match", tag),
            None => request,
        };
        client.exchange(request.body(Full::new(change.to_string().into())).unwrap())
    };
    put(&tenant.key, None).await.expect(428);
    put(&other.key, Some("*")).await.expect(404);
    let tag = budget.header("etag").to_owned();
    let changed = put(&tenant.key, Some(&tag)).await.expect(200);
    assert_eq!(changed.json()["limit"], "20");
    assert_eq!(changed.json()["reset_at"], Value::Null);
    put(&tenant.key, Some(&tag)).await.expect(412);
    let delete = client.request(Method::DELETE, &path, Some(&tenant.key));
    let delete = delete.header("if-match", "*").body(Full::default());
    client.exchange(delete.unwrap()).await.expect(204);
    client.get(&path, Some(&tenant.key)).await.expect(404);
}
