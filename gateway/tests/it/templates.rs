//! Prompt templates: kept in versions, used from every dialect, and unable to harm the gateway that renders them.

mod limits;
mod manage;
mod walls;

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;

use crate::harness::{
    Answer, CHAT, Client, GEMINI, OPENAI, Relay, Scripted, Stack, Tenant, eventually, settings_of,
    within,
};
use crate::harness::{Installation, provider};
use database::testing::TestDatabase;

const TEMPLATES: &str = "/api/v1/prompt-templates";

/// Gateways notice a change within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

const SCRIPTED: &str = "scripted/gpt-4o-mini";

/// A gateway before providers that remember what they are asked, one for each dialect.
struct Stage {
    stack: Stack,
    openai: Scripted,
    anthropic: Scripted,
}

async fn stage(more: &str) -> Stage {
    let openai = Scripted::start(ANSWER.to_owned(), String::new()).await;
    let anthropic = Scripted::start(String::new(), String::new()).await;
    let (first, second) = (openai.base_url(), anthropic.base_url());
    let settings = format!(
        r#"
[metering]
unpriced = "quarantine"

[cache]
mode = "off"

[providers.scripted]
kind = "openai"
base_url = "{first}"
api_key = "x"
price_provider = "openai"

[providers.claude]
kind = "anthropic"
base_url = "{second}"
api_key = "x"

{more}"#
    );
    Stage {
        stack: Stack::with(&settings).await,
        openai,
        anthropic,
    }
}

/// A template of a tenant, made.
async fn made(client: &Client, tenant: &Tenant, slug: &str, source: &str) -> Answer {
    let body = json!({ "slug": slug, "name": slug, "template_text": source });
    client.post(TEMPLATES, &tenant.key, &body).await
}

/// A request with a condition.
async fn conditional(
    client: &Client,
    (method, path): (Method, &str),
    (key, tag): (&str, &str),
    body: Option<&Value>,
) -> Answer {
    let request = client.request(method, path, Some(key));
    let request = request
        .header("if-match", tag)
        .header("content-type", "application/json");
    let body = body.map(Value::to_string).unwrap_or_default();
    client
        .exchange(request.body(Full::new(Bytes::from(body))).unwrap())
        .await
}

fn prompt(slug: &str, variables: &Value) -> Value {
    json!({ "slug": slug, "variables": variables })
}

const GREETING: &str =
    "{# system #}\nBe brief, {{ tone | default('kind') }}.\n{# user #}\nGreet {{ name }}.\n";

fn greeting() -> Value {
    json!({
        "slug": "greeting",
        "name": "Greeting",
        "template_text": GREETING,
        "variables": ["name", { "name": "tone", "type": "string", "required": false }],
        "model": SCRIPTED,
        "temperature": 0.2,
        "parameters": { "output_tokens_max": 70 },
    })
}

#[tokio::test]
async fn a_provider_is_sent_what_a_template_renders_to_and_never_the_template() {
    let stage = stage("").await;
    let tenant = stage.stack.tenant("mine").await;
    let client = stage.stack.gateway.client();
    client
        .post(TEMPLATES, &tenant.key, &greeting())
        .await
        .expect(201);

    let messages = json!([{ "role": "user", "content": "In French.", "odd": 1.50 }]);
    let body = json!({
        "prompt": prompt("greeting", &json!({ "name": "Ada" })),
        "messages": messages,
        "temperature": 0.9,
        "odd": { "z": 1 },
    });
    client.post(CHAT, &tenant.key, &body).await.expect(200);
    let named =
        json!({ "model": "template:greeting", "metadata": { "name": "Bob", "tone": "loud" } });
    client.post(CHAT, &tenant.key, &named).await.expect(200);

    let turn = |role: &str, text: &str| json!({ "role": role, "content": text });
    assert_eq!(
        stage.openai.asked(),
        [
            json!({
                "messages": [
                    turn("system", "Be brief, kind."),
                    turn("user", "Greet Ada."),
                    messages[0],
                ],
                "temperature": 0.9,
                "odd": { "z": 1 },
                "max_completion_tokens": 70,
                "model": "gpt-4o-mini",
            }),
            json!({
                "model": "gpt-4o-mini",
                "metadata": { "name": "Bob", "tone": "loud" },
                "messages": [turn("system", "Be brief, loud."), turn("user", "Greet Bob.")],
                "temperature": 0.2,
                "max_completion_tokens": 70,
            }),
        ]
    );
    stage.stack.ledger.booked(2).await;
    let texts =
        sqlx::query_scalar::<_, String>("SELECT prompt_text FROM ai_requests ORDER BY created_at");
    let texts = texts.fetch_all(&stage.stack.ledger.0).await.unwrap();
    assert!(texts[0].contains("Greet Ada."), "{texts:?}");
    eventually("the uses are counted", async || {
        let path = format!("{TEMPLATES}/greeting");
        client.get(&path, Some(&tenant.key)).await.json()["usage_count"] == 2
    })
    .await;
}

#[tokio::test]
async fn every_dialect_names_templates_in_the_same_way() {
    let stage = stage("").await;
    let tenant = stage.stack.tenant("mine").await;
    let client = stage.stack.gateway.client();
    client
        .post(TEMPLATES, &tenant.key, &greeting())
        .await
        .expect(201);
    let prompt = prompt("greeting", &json!({ "name": "Ada" }));

    let mut anthropic = json!({ "model": SCRIPTED, "prompt": prompt, "system": "Own." });
    client
        .post("/v1/messages", &tenant.key, &anthropic)
        .await
        .expect(200);
    let gemini = format!("/v1beta/models/{SCRIPTED}:generateContent");
    let body = json!({ "prompt": prompt, "contents": [{ "role": "user", "parts": [{ "text": "Own." }] }] });
    client.post(&gemini, &tenant.key, &body).await.expect(200);
    let named = "/v1beta/models/template:greeting:generateContent";
    let body = json!({ "prompt": { "variables": { "name": "Ada" } } });
    client.post(named, &tenant.key, &body).await.expect(200);
    for asked in stage.openai.asked() {
        let text = asked.to_string();
        assert!(
            text.contains("Be brief, kind.") && text.contains("Greet Ada."),
            "{text}"
        );
        assert!(
            !text.contains("greeting") && asked.get("prompt").is_none(),
            "{text}"
        );
    }
    assert_eq!(stage.openai.asked().len(), 3);

    // The same dialect on both sides: what is passed through was rendered before.
    anthropic["model"] = "claude/claude-x".into();
    client.post("/v1/messages", &tenant.key, &anthropic).await;
    let asked = stage.anthropic.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].get("prompt"), None);
    let block = |text: &str| json!({ "type": "text", "text": text });
    assert_eq!(
        asked[0]["system"],
        json!([block("Be brief, kind."), block("Own.")])
    );
    assert_eq!(
        asked[0]["messages"],
        json!([{ "role": "user", "content": "Greet Ada." }])
    );
    assert_eq!(asked[0]["max_tokens"], 70);
}

#[tokio::test]
async fn a_rendered_question_is_found_in_the_cache_however_it_was_asked() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    made(client, &tenant, "ask", "What is {{ thing }}?")
        .await
        .expect(201);
    let by_template =
        json!({ "model": GEMINI, "prompt": prompt("ask", &json!({ "thing": "rain" })) });
    let first = client
        .post(CHAT, &tenant.key, &by_template)
        .await
        .expect(200);
    assert_eq!(first.header("x-flowpilot-cache"), "miss");
    stack.ledger.cached(1).await;
    let by_hand = crate::harness::ask(GEMINI, "What is rain?");
    for body in [&by_template, &by_hand] {
        let again = client.post(CHAT, &tenant.key, body).await.expect(200);
        assert_eq!(again.header("x-flowpilot-cache"), "exact");
    }
}

/// What is wrong with a use of a template: the use, and the status, code and parameter of the answer.
fn mistakes() -> Vec<(Value, u16, &'static str, &'static str)> {
    let name = json!({ "name": "Ada" });
    let version = json!({ "slug": "greeting", "version": 9, "variables": name });
    vec![
        (
            prompt("unknown", &json!({})),
            404,
            "template_not_found",
            "prompt.slug",
        ),
        (version, 404, "template_not_found", "prompt.slug"),
        (
            prompt("greeting", &json!({})),
            400,
            "invalid_request",
            "prompt.variables.name",
        ),
        (
            prompt("greeting", &json!({ "name": "Ada", "tone": 1 })),
            400,
            "invalid_request",
            "prompt.variables.tone",
        ),
        (
            prompt("greeting", &json!({ "name": "Ada", "z": 1 })),
            400,
            "invalid_request",
            "prompt.variables.z",
        ),
        (
            prompt("fails", &json!({ "x": { "y": {} } })),
            400,
            "invalid_request",
            "prompt",
        ),
        (
            json!({ "slug": "greeting", "variable": {} }),
            400,
            "invalid_request",
            "prompt",
        ),
    ]
}

#[tokio::test]
async fn mistakes_are_answered_in_the_callers_dialect_and_nothing_is_booked() {
    let stage = stage("").await;
    let tenant = stage.stack.tenant("mine").await;
    let client = stage.stack.gateway.client();
    let mut body = greeting();
    body["variables"] = json!(["name", { "name": "tone", "type": "string", "required": false }]);
    client.post(TEMPLATES, &tenant.key, &body).await.expect(201);
    made(client, &tenant, "fails", "{{ x.y.z }} {{ x | upper }}")
        .await
        .expect(201);
    made(client, &tenant, "nothing", "{{ x }}")
        .await
        .expect(201);

    for (prompt, status, code, param) in mistakes() {
        let body = json!({ "model": SCRIPTED, "prompt": prompt });
        let refused = client.post(CHAT, &tenant.key, &body).await;
        assert_eq!(refused.status, status, "{prompt}: {refused:?}");
        let error = &refused.json()["error"];
        assert_eq!(error["code"], code, "{prompt}");
        assert!(
            error["param"].as_str().unwrap().starts_with(param),
            "{prompt}: {error}"
        );

        let refused = client.post("/v1/messages", &tenant.key, &body).await;
        assert_eq!(refused.status, status, "{prompt}: {refused:?}");
        assert_eq!(refused.json()["type"], "error");
        let path = format!("/v1beta/models/{SCRIPTED}:generateContent");
        let refused = client
            .post(&path, &tenant.key, &json!({ "prompt": prompt }))
            .await;
        assert_eq!(refused.status, status, "{prompt}: {refused:?}");
        assert_eq!(refused.json()["error"]["code"], status);
    }
    let body = json!({ "model": SCRIPTED, "prompt": prompt("nothing", &json!({ "x": " " })) });
    let refused = client.post(CHAT, &tenant.key, &body).await.expect(400);
    assert!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("renders to nothing")
    );
    assert_eq!(stage.openai.asked(), Vec::<Value>::new());
    assert_eq!(stage.stack.ledger.requests().await, []);
}

#[tokio::test]
async fn known_templates_are_rendered_while_the_database_is_away() {
    let database = TestDatabase::new().await;
    let upstream = provider().await;
    let relay = Relay::start(database.url().expose()).await;
    let url = relay.url(database.url().expose());
    let installation = Installation::new(settings_of(
        &url,
        &upstream,
        "database.hot.acquire_timeout_ms = 500",
    ));
    let stack = Stack::over(installation, upstream, database).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    made(client, &tenant, "plain", "Say {{ n }}.")
        .await
        .expect(201);
    made(
        client,
        &tenant,
        "loop",
        "{% for i in range(3) %}{{ n }}{% endfor %}",
    )
    .await
    .expect(201);
    made(client, &tenant, "never-used", "{{ n }}")
        .await
        .expect(201);
    let ask =
        |slug: &str, n: u32| json!({ "model": OPENAI, "prompt": prompt(slug, &json!({ "n": n })) });
    eventually("caller and templates are known", async || {
        let one = client.post(CHAT, &tenant.key, &ask("plain", 0)).await;
        let two = client.post(CHAT, &tenant.key, &ask("loop", 0)).await;
        (one.status, two.status) == (200, 200)
    })
    .await;

    relay.cut();
    for n in 1..4 {
        client
            .post(CHAT, &tenant.key, &ask("plain", n))
            .await
            .expect(200);
        client
            .post(CHAT, &tenant.key, &ask("loop", n))
            .await
            .expect(200);
    }
    let unknown = client.post(CHAT, &tenant.key, &ask("never-used", 1)).await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    relay.mend();
    eventually("others are read again", async || {
        client
            .post(CHAT, &tenant.key, &ask("never-used", 1))
            .await
            .status
            == 200
    })
    .await;
}
