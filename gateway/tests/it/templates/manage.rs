//! Templates as they are managed: versions, conditions, answers given once, and what the trail says.

use super::*;

/// A tenant's template `v` that says its version, asked by way of a provider that remembers.
struct Versioned {
    stage: Stage,
    tenant: Tenant,
}

impl Versioned {
    async fn start() -> Self {
        let stage = stage("").await;
        let tenant = stage.stack.tenant("mine").await;
        let client = stage.stack.gateway.client();
        made(client, &tenant, "v", "one {{ x }}").await.expect(201);
        Self { stage, tenant }
    }

    fn client(&self) -> &Client {
        self.stage.stack.gateway.client()
    }

    /// What the provider is sent; nothing when the call is refused.
    async fn said(&self, client: &Client, version: Option<u32>) -> String {
        let prompt = json!({ "slug": "v", "version": version, "variables": { "x": 1 } });
        let body = json!({ "model": SCRIPTED, "prompt": prompt });
        if client.post(CHAT, &self.tenant.key, &body).await.status != 200 {
            return String::new();
        }
        let asked = self.stage.openai.asked();
        let text = asked.last().unwrap()["messages"][0]["content"].as_str();
        text.unwrap().to_owned()
    }

    /// Waits until that is said.
    async fn says(&self, client: &Client, version: Option<u32>, text: &str) {
        let noticed = async || self.said(client, version).await == text;
        within(NOTICED_WITHIN, text, noticed).await;
    }

    async fn put(&self, tag: &str, body: &Value) -> Answer {
        let path = (Method::PUT, "/api/v1/prompt-templates/v");
        conditional(self.client(), path, (&self.tenant.key, tag), Some(body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        let path = format!("{TEMPLATES}/v{path}");
        self.client().get(&path, Some(&self.tenant.key)).await
    }
}

/// The version in force, and the newest.
fn numbers(answer: &Answer) -> (Value, Value) {
    let json = answer.json();
    (json["version"].clone(), json["latest_version"].clone())
}

#[tokio::test]
async fn a_change_is_a_version_that_every_gateway_uses_within_two_seconds() {
    let versioned = Versioned::start().await;
    let (_kept, other) = versioned.stage.stack.another().await;
    let clients = [versioned.client(), other.client()];
    for client in clients {
        assert_eq!(versioned.said(client, None).await, "one 1");
    }
    let first = versioned
        .get("")
        .await
        .expect(200)
        .header("etag")
        .to_owned();
    let mut update = json!({ "name": "V", "template_text": "two {{ x }}" });
    let unconditional = versioned.client().send(
        Method::PUT,
        "/api/v1/prompt-templates/v",
        Some(&versioned.tenant.key),
        Some(&update),
    );
    unconditional.await.expect(428);
    let changed = versioned.put(&first, &update).await.expect(200);
    assert_eq!(numbers(&changed), (2.into(), 2.into()));
    versioned.put(&first, &update).await.expect(412);
    for client in clients {
        versioned.says(client, None, "two 1").await;
        assert_eq!(versioned.said(client, Some(1)).await, "one 1");
    }

    update["template_text"] = "three {{ x }}".into();
    update["activate"] = false.into();
    let drafted = versioned
        .put(changed.header("etag"), &update)
        .await
        .expect(200);
    assert_eq!(numbers(&drafted), (2.into(), 3.into()));
    versioned.says(clients[0], Some(3), "three 1").await;
    assert_eq!(versioned.said(clients[0], None).await, "two 1");
}

#[tokio::test]
async fn a_version_is_kept_put_in_force_again_and_deleted_with_its_template() {
    let versioned = Versioned::start().await;
    let (client, key) = (versioned.client(), versioned.tenant.key.as_str());
    let update = json!({ "name": "V", "template_text": "two {{ x }}" });
    versioned.put("*", &update).await.expect(200);
    versioned.says(client, None, "two 1").await;
    let versions = versioned.get("/versions").await.expect(200).json();
    let listed: Vec<_> = versions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].clone())
        .collect();
    assert_eq!(listed, [2, 1]);
    let one = versioned.get("/versions/1").await.expect(200);
    assert_eq!(one.text("template_text"), "one {{ x }}");
    versioned.get("/versions/3").await.expect(404);

    let activate = (
        Method::POST,
        "/api/v1/prompt-templates/v/versions/1/activate",
    );
    let back = conditional(client, activate, (key, "*"), None)
        .await
        .expect(200);
    assert_eq!(numbers(&back), (1.into(), 2.into()));
    versioned.says(client, None, "one 1").await;

    let delete = || (Method::DELETE, "/api/v1/prompt-templates/v");
    conditional(client, delete(), (key, "\"other\""), None)
        .await
        .expect(412);
    conditional(client, delete(), (key, back.header("etag")), None)
        .await
        .expect(204);
    versioned.get("").await.expect(404);
    versioned.says(client, None, "").await;
    versioned.says(client, Some(1), "").await;

    let actions = sqlx::query_scalar::<_, String>(
        "SELECT action FROM audit_logs WHERE resource_type = 'prompt_template' ORDER BY created_at",
    );
    let actions = actions
        .fetch_all(&versioned.stage.stack.ledger.0)
        .await
        .unwrap();
    let expected =
        ["create", "update", "activate", "delete"].map(|verb| format!("prompt_template.{verb}"));
    assert_eq!(actions, expected);
}

/// What is wrong with a template, and the field that is named.
fn mistakes() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "slug": "A b" }), "slug"),
        (json!({ "name": "" }), "name"),
        (json!({ "template_text": "{% if %}" }), "template_text"),
        (
            json!({ "template_text": "{# user #}\n{{ x " }),
            "template_text",
        ),
        (
            json!({ "template_text": "x".repeat(65_537) }),
            "template_text",
        ),
        (
            json!({ "template_text": "{{ z }}", "variables": ["y"] }),
            "variables",
        ),
        (json!({ "variables": ["b", "a", "a"] }), "variables[2]"),
        (json!({ "temperature": 2.1 }), "temperature"),
        (json!({ "parameters": { "top_p": 0 } }), "parameters.top_p"),
        (json!({ "colour": "red" }), ""),
    ]
}

#[tokio::test]
async fn a_template_is_made_once_and_refused_with_the_field_that_is_wrong() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let once = async |body: &Value| {
        let request = client.request(Method::POST, TEMPLATES, Some(&tenant.key));
        let request = request
            .header("idempotency-key", "k")
            .header("content-type", "application/json");
        let body = Full::new(Bytes::from(body.to_string()));
        client.exchange(request.body(body).unwrap()).await
    };
    let body = json!({ "slug": "a", "name": "A", "template_text": "{{ b }}{{ a }}" });
    let first = once(&body).await.expect(201);
    assert_eq!(first.json()["variables"], json!(["a", "b"]));
    let again = once(&body).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body, first.body);
    client.post(TEMPLATES, &tenant.key, &body).await.expect(409);

    for (change, field) in mistakes() {
        let mut body = body.clone();
        body["slug"] = "w".into();
        let change = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(change);
        let refused = client.post(TEMPLATES, &tenant.key, &body).await;
        assert_eq!(refused.status, 422, "{field}: {refused:?}");
        let named = refused.json()["errors"][0]["field"].clone();
        assert!(named.as_str().unwrap().starts_with(field), "{refused:?}");
    }
}

#[tokio::test]
async fn templates_are_listed_in_pages_and_there_are_no_more_than_allowed() {
    let stack = Stack::with("templates.per_organization_max = 3").await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    for slug in ["a", "b", "c"] {
        made(client, &tenant, slug, "x").await.expect(201);
    }
    let full = made(client, &tenant, "d", "x").await.expect(409);
    assert_eq!(full.json()["code"], "conflict");
    let page = async |query: &str| {
        let path = format!("{TEMPLATES}?limit=2{query}");
        client
            .get(&path, Some(&tenant.key))
            .await
            .expect(200)
            .json()
    };
    let slugs = |page: &Value| -> Vec<Value> {
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|one| one["slug"].clone()).collect()
    };
    let first = page("").await;
    let second = page(&format!("&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!(slugs(&first), ["a", "b"]);
    assert_eq!(slugs(&second), ["c"]);
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn trying_a_template_out_tells_its_messages_its_variables_and_its_mistakes() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let mut body = greeting();
    let tone = json!({ "name": "tone", "type": "string", "required": false });
    body["variables"] = json!(["name", "unused", tone]);
    client.post(TEMPLATES, &tenant.key, &body).await.expect(201);
    let path = format!("{TEMPLATES}/greeting/render");

    let body = json!({ "variables": { "name": "Ada", "unused": 1 } });
    let tried = client
        .post(&path, &tenant.key, &body)
        .await
        .expect(200)
        .json();
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    let expected = [
        message("system", "Be brief, kind."),
        message("user", "Greet Ada."),
    ];
    assert_eq!(tried["messages"], json!(expected));
    assert_eq!(tried["variables"]["unused"], json!(["unused"]));

    let body = json!({ "variables": { "tone": 1, "z": 1 } });
    let tried = client
        .post(&path, &tenant.key, &body)
        .await
        .expect(200)
        .json();
    assert_eq!(tried["messages"], Value::Null);
    assert_eq!(tried["variables"]["missing"], json!(["name", "unused"]));
    assert_eq!(tried["variables"]["unknown"], json!(["z"]));
    assert_eq!(tried["variables"]["wrong_type"], json!(["tone"]));

    made(client, &tenant, "fails", "fine\n  {{ x.y.z }}")
        .await
        .expect(201);
    let body = json!({ "variables": { "x": { "y": {} } } });
    let path = format!("{TEMPLATES}/fails/render");
    let refused = client.post(&path, &tenant.key, &body).await.expect(422);
    let message = refused.json()["errors"][0]["message"].clone();
    assert!(
        message.as_str().unwrap().ends_with("(line 2, column 6)"),
        "{message}"
    );
    assert_eq!(stack.calls(), []);
}
