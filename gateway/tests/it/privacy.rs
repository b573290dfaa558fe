//! What is nobody else's business is in no log and in no metric, however much is logged.

use serde_json::json;

use crate::harness::{GEMINI, OPENAI, Stack, ask, ask_stream, ask_stream_with_usage};

/// In every prompt.
const PROMPT: &str = "prompt-canary-5417";
/// In what a tool is said to return.
const TOOL: &str = "tool-canary-5418";
/// A key that nobody made.
const BAD_KEY: &str = "fp_badcanar_key-canary-5419";

#[tokio::test]
async fn neither_prompts_nor_secrets_are_logged_or_counted() {
    let stack = Stack::with("log.level = \"trace\"").await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();

    let mut answers = Vec::new();
    for model in [GEMINI, OPENAI] {
        for directive in [
            "",
            "[[status=400]]",
            "[[status=401]]",
            "[[status=500]]",
            "[[cut=2]]",
        ] {
            let text = format!("{PROMPT} {directive}");
            for body in [ask(model, &text), ask_stream_with_usage(model, &text)] {
                answers.push(client.chat(&tenant.key, &body).await);
            }
        }
        let mut stream = client.stream(&tenant.key, &ask_stream(model, PROMPT)).await;
        stream.next().await.unwrap();
    }
    let wrong = json!({ "model": "default", "messages": [{ "role": PROMPT, "content": PROMPT }] });
    client.chat(&tenant.key, &wrong).await.expect(400);
    let mut tools = ask("default", PROMPT);
    tools["messages"][0] = json!({ "role": "tool", "tool_call_id": "x", "content": TOOL });
    client.chat(&tenant.key, &tools).await;
    client
        .chat(BAD_KEY, &ask("default", PROMPT))
        .await
        .expect(401);
    let (other, _) = stack.key(&tenant.organization, &json!(["ai:invoke"])).await;
    let completion = answers[0].json()["choices"][0]["message"]["content"].clone();
    let completion = completion.as_str().unwrap().split(' ').next().unwrap();

    let metrics = client.get("/metrics", None).await.expect(200);
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("flowpilot_requests_total"), "{metrics}");
    assert!(
        !metrics.contains(&tenant.organization),
        "an organization in a label"
    );
    let log = stack.gateway.log();
    assert!(log.contains("TRACE"), "nothing was logged");
    let database_url: url::Url = stack.database.url().expose().parse().unwrap();
    let secrets = [
        PROMPT,
        TOOL,
        BAD_KEY,
        "provider-secret-canary",
        completion,
        &tenant.key,
        &other,
        &stack.operator,
        database_url.password().unwrap_or("no password"),
    ];
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} in the log");
        assert!(!metrics.contains(secret), "{secret} in the metrics");
    }
}
