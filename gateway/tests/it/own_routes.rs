//! Routes that an organization defines for itself: they come before the configuration, and are nobody else's.

use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Scripted, Stack, Tenant, ask, eventually};

const PATH: &str = "/api/v1/routes/fast";

async fn start() -> (Scripted, Stack) {
    let scripted = Scripted::playing(&[]).await;
    let base_url = scripted.base_url();
    let settings = format!(
        "[providers.first]\nkind = \"openai\"\nbase_url = \"{base_url}\"\napi_key = \"x\"\nprice_provider = \"openai\""
    );
    (scripted, Stack::with(&settings).await)
}

fn to_first() -> Value {
    json!({ "deployments": [{ "target": "first/gpt-4o-mini" }] })
}

async fn change(
    client: &Client,
    method: Method,
    tenant: &Tenant,
    tag: &str,
    body: &Value,
) -> Answer {
    let request = client
        .request(method, PATH, Some(&tenant.key))
        .header("content-type", "application/json")
        .header("if-match", tag);
    let request = request.body(Full::new(body.to_string().into())).unwrap();
    client.exchange(request).await
}

async fn models(client: &Client, tenant: &Tenant) -> Vec<String> {
    let list = client
        .get("/v1/models", Some(&tenant.key))
        .await
        .expect(200)
        .json();
    let data = list["data"].as_array().unwrap().iter();
    data.map(|model| model["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_name_means_what_its_organization_says_and_nothing_to_others() {
    let (_scripted, stack) = start().await;
    let (mine, theirs) = (stack.tenant("mine").await, stack.tenant("theirs").await);
    let client = stack.gateway.client();
    let route = to_first();

    for name in ["fast", "default"] {
        let path = format!("/api/v1/routes/{name}");
        let put = client.send(Method::PUT, &path, Some(&mine.key), Some(&route));
        put.await.expect(200);
    }
    eventually("the gateway has heard of it", async || {
        client.chat(&mine.key, &ask("fast", "one")).await.status == 200
    })
    .await;
    let answer = client
        .chat(&mine.key, &ask("default", "two"))
        .await
        .expect(200);
    assert_eq!(answer.header("x-flowpilot-provider"), "first");
    assert!(models(client, &mine).await.contains(&"fast".to_owned()));

    let answer = client
        .chat(&theirs.key, &ask("default", "two"))
        .await
        .expect(200);
    assert_eq!(answer.header("x-flowpilot-provider"), "gemini");
    client
        .chat(&theirs.key, &ask("fast", "one"))
        .await
        .expect(404);
    client.get(PATH, Some(&theirs.key)).await.expect(404);
    assert!(!models(client, &theirs).await.contains(&"fast".to_owned()));
    let list = client
        .get("/api/v1/routes", Some(&theirs.key))
        .await
        .expect(200);
    assert_eq!(list.json()["data"], json!([]));

    // A gateway that starts knows it from its first request on.
    let (_installation, another) = stack.another().await;
    another
        .client()
        .chat(&mine.key, &ask("fast", "three"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_route_is_changed_by_those_who_know_it_and_gone_when_it_is_deleted() {
    let (_scripted, stack) = start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let route = to_first();
    let put = client.send(Method::PUT, PATH, Some(&tenant.key), Some(&route));
    let tag = put.await.expect(200).header("etag").to_owned();

    let blind = client.send(Method::PUT, PATH, Some(&tenant.key), Some(&route));
    assert!(matches!(blind.await.status, 412 | 428));
    let mut better = to_first();
    better["sticky"] = "session".into();
    let changed = change(client, Method::PUT, &tenant, &tag, &better)
        .await
        .expect(200);
    assert_eq!(changed.json()["sticky"], "session");
    assert_eq!(
        change(client, Method::DELETE, &tenant, &tag, &Value::Null)
            .await
            .status,
        412
    );
    let tag = changed.header("etag").to_owned();
    change(client, Method::DELETE, &tenant, &tag, &Value::Null)
        .await
        .expect(204);
    eventually("the name means nothing any more", async || {
        client.chat(&tenant.key, &ask("fast", "one")).await.status == 404
    })
    .await;
    let trail = "SELECT count(*) FROM audit_logs WHERE resource_type = 'route'";
    assert_eq!(stack.ledger.count(trail).await, 3);

    let wrong = [
        json!({ "deployments": [] }),
        json!({ "deployments": [{ "target": "nobody/model" }] }),
        json!({ "deployments": [{ "target": "first/unheard-of" }] }),
        json!({ "deployments": [{ "target": "first/gpt-4o-mini" }, { "target": "first/gpt-4o-mini" }] }),
        json!({ "deployments": [{ "target": "first/gpt-4o-mini" }], "stiky": "off" }),
    ];
    for body in &wrong {
        let refused = client
            .send(Method::PUT, PATH, Some(&tenant.key), Some(body))
            .await;
        assert!(matches!(refused.status, 400 | 422), "{body}: {refused:?}");
    }
}
