//! Vectors and continued texts: OpenAI's other forms, and Gemini's, on both sides.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loadtest::oracle::price::Prices;
use serde_json::{Value, json};

use crate::harness::{ANTHROPIC, GEMINI, Stack, Tokens};

const OPENAI_VECTORS: &str = "mock/text-embedding-3-small";
const GEMINI_VECTORS: &str = "gemini/gemini-embedding-001";

fn numbers(vector: &Value) -> Vec<f32> {
    let Some(text) = vector.as_str() else {
        return serde_json::from_value(vector.clone()).unwrap();
    };
    let bytes = STANDARD.decode(text).unwrap();
    let numbers = bytes
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    numbers.collect()
}

#[tokio::test]
async fn vectors_are_the_same_whoever_asks_and_in_whatever_form_and_are_booked_as_input() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let texts = ["first text", "second text"];
    let mut vectors = Vec::new();
    for model in [OPENAI_VECTORS, GEMINI_VECTORS] {
        for format in ["float", "base64"] {
            let body = json!({ "model": model, "input": texts, "dimensions": 3, "encoding_format": format });
            let answer = client
                .post("/v1/embeddings", &tenant.key, &body)
                .await
                .expect(200)
                .json();
            assert_eq!(
                answer["data"][0]["embedding"].is_string(),
                format == "base64",
                "{model}"
            );
            assert_eq!(answer["usage"]["total_tokens"], 6, "{model}");
            vectors.push([0, 1].map(|at| numbers(&answer["data"][at]["embedding"])));
        }
        let one = |text: &str| json!({ "content": { "parts": [{ "text": text }] }, "output_dimensionality": 3 });
        let path = format!("/v1/models/{model}:batchEmbedContents");
        let several = json!({ "requests": texts.map(one) });
        let answer = client
            .post(&path, &tenant.key, &several)
            .await
            .expect(200)
            .json();
        vectors.push([0, 1].map(|at| numbers(&answer["embeddings"][at]["values"])));
        let path = format!("/v1beta/models/{model}:embedContent");
        let answer = client
            .post(&path, &tenant.key, &one(texts[0]))
            .await
            .expect(200)
            .json();
        assert_eq!(numbers(&answer["embedding"]["values"]), vectors[0][0]);
    }
    assert!(vectors.iter().all(|one| *one == vectors[0]), "{vectors:?}");
    assert_ne!(vectors[0][0], vectors[0][1]);

    let calls = stack.calls();
    let rows = stack.ledger.booked(8).await;
    let prices = Prices::parse(include_str!("../../../config/prices.toml")).unwrap();
    for (row, call) in rows.iter().zip(&calls) {
        assert_eq!(row.tokens, Tokens::from(call));
        assert_eq!(row.cost, prices.cost(&call.dialect, call).unwrap());
        // Gemini does not say what vectors used.
        let source = if call.dialect == "openai" {
            "provider"
        } else {
            "estimated"
        };
        assert_eq!(
            (&*row.status, &*row.source, &*row.cache),
            ("completed", source, "bypass")
        );
    }
    stack.ledger.balanced().await;
}

#[tokio::test]
async fn who_has_no_vectors_says_so() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let body = json!({ "model": ANTHROPIC, "input": "x" });
    let client = stack.gateway.client();
    let refused = client
        .post("/v1/embeddings", &tenant.key, &body)
        .await
        .expect(400);
    assert!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no embeddings")
    );
    let body = json!({ "model": GEMINI_VECTORS, "input": [1, 2, 3] });
    let refused = client
        .post("/v1/embeddings", &tenant.key, &body)
        .await
        .expect(400);
    assert!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("'tokens'")
    );
    assert_eq!(stack.calls(), []);
}

#[tokio::test]
async fn a_text_is_continued_by_every_provider_and_passed_through_to_openais() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let mut shown = Vec::new();
    for model in ["mock/gpt-4o-mini", GEMINI, ANTHROPIC] {
        let mut body =
            json!({ "model": model, "prompt": format!("{model} [[events=4]]"), "max_tokens": 9 });
        let answer = client
            .post("/v1/completions", &tenant.key, &body)
            .await
            .expect(200)
            .json();
        assert_eq!(answer["object"], "text_completion", "{model}");
        let text = answer["choices"][0]["text"].as_str().unwrap().to_owned();
        assert_eq!(
            (
                text.split(' ').count(),
                &answer["choices"][0]["finish_reason"]
            ),
            (4, &json!("stop"))
        );
        shown.push(answer["usage"]["completion_tokens"].as_i64().unwrap());

        body["prompt"] = format!("{model} streamed [[events=4]]").into();
        body["stream"] = true.into();
        let events = client
            .post("/v1/completions", &tenant.key, &body)
            .await
            .expect(200);
        let events = String::from_utf8(events.body.to_vec()).unwrap();
        let mut events: Vec<_> = events
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").unwrap())
            .collect();
        assert_eq!(events.pop(), Some("[DONE]"), "{model}");
        let chunks = events
            .iter()
            .map(|event| serde_json::from_str::<Value>(event).unwrap());
        let text: String = chunks
            .map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(text.split(' ').count(), 4, "{model}: {text}");
        shown.push(4);
    }
    let charged: Vec<_> = stack
        .calls()
        .iter()
        .map(|call| Tokens::from(call).output)
        .collect();
    assert_eq!(shown, charged);
    stack.ledger.booked(6).await;
    stack.ledger.balanced().await;
}
