//! A rendered call and its body say the same, in every dialect, and the body no longer names a template.

use serde_json::{Value, json};
use types::call::{Delivery, Endpoint, Parameters, TemplateUse};

use super::*;

fn rendered() -> Vec<Rendered> {
    [
        (Role::System, "Be brief."),
        (Role::User, "Example?"),
        (Role::Assistant, "Yes."),
    ]
    .map(|(role, text)| Rendered {
        role,
        text: text.to_owned(),
    })
    .to_vec()
}

fn defaults() -> Defaults {
    serde_json::from_value(json!({ "temperature": 0.2, "top_p": 0.5, "output_tokens_max": 70 }))
        .unwrap()
}

/// Splices a body that has `prompt` beside these fields; the call's own temperature is set.
fn spliced(dialect: Dialect, body: &Value) -> (Call, Value) {
    let mut call = Call {
        dialect,
        endpoint: Endpoint::Chat,
        model: "m".to_owned(),
        messages: vec![Message::text(Role::User, "Mine.")],
        template: None::<Box<TemplateUse>>,
        parameters: Parameters {
            temperature: serde_json::Number::from_f64(1.0),
            ..Parameters::default()
        },
        delivery: Delivery::Whole,
        version: None,
        body: Bytes::from(body.to_string()),
    };
    splice(&mut call, &rendered(), &defaults()).unwrap();
    let body = serde_json::from_slice(&call.body).unwrap();
    (call, body)
}

#[test]
fn an_openai_body_gets_the_messages_first_and_keeps_its_own_to_the_byte() {
    let (call, body) = spliced(
        Dialect::Openai,
        &json!({
            "prompt": { "slug": "s" },
            "messages": [{ "role": "user", "content": "Mine.", "odd": 1.50 }],
            "temperature": 1.0,
            "odd": { "z": 1 },
        }),
    );
    assert_eq!(
        body,
        json!({
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": "Example?" },
                { "role": "assistant", "content": "Yes." },
                { "role": "user", "content": "Mine.", "odd": 1.50 },
            ],
            "temperature": 1.0,
            "odd": { "z": 1 },
            "top_p": 0.5,
            "max_completion_tokens": 70,
            "model": "m",
        })
    );
    let said: Vec<_> = call.messages.iter().map(Message::joined_text).collect();
    assert_eq!(said, ["Be brief.", "Example?", "Yes.", "Mine."]);
    assert_eq!(call.parameters.output_tokens_max, Some(70));
    assert_eq!(
        call.parameters.temperature,
        serde_json::Number::from_f64(1.0)
    );
}

#[test]
fn an_anthropic_body_keeps_its_own_system_after_ours() {
    let block = |text: &str| json!({ "type": "text", "text": text });
    for own in [json!("Own."), json!([block("Own.")])] {
        let (_, body) = spliced(
            Dialect::Anthropic,
            &json!({
                "prompt": { "slug": "s" },
                "system": own,
                "messages": [{ "role": "user", "content": "Mine." }],
                "temperature": 1.0,
            }),
        );
        assert_eq!(
            body,
            json!({
                "system": [block("Be brief."), block("Own.")],
                "messages": [
                    { "role": "user", "content": "Example?" },
                    { "role": "assistant", "content": "Yes." },
                    { "role": "user", "content": "Mine." },
                ],
                "temperature": 1.0,
                "top_p": 0.5,
                "max_tokens": 70,
                "model": "m",
            })
        );
    }
}

#[test]
fn a_gemini_body_is_spliced_under_either_spelling() {
    for (system, config) in [
        ("systemInstruction", "generationConfig"),
        ("system_instruction", "generation_config"),
    ] {
        let (_, body) = spliced(
            Dialect::Gemini,
            &json!({
                "prompt": { "slug": "s" },
                system: { "parts": [{ "text": "Own." }] },
                "contents": [{ "role": "user", "parts": [{ "text": "Mine." }] }],
                config: { "temperature": 1.0, "odd": 1 },
            }),
        );
        assert_eq!(
            body,
            json!({
                "systemInstruction": { "parts": [{ "text": "Be brief." }, { "text": "Own." }] },
                "contents": [
                    { "role": "user", "parts": [{ "text": "Example?" }] },
                    { "role": "model", "parts": [{ "text": "Yes." }] },
                    { "role": "user", "parts": [{ "text": "Mine." }] },
                ],
                "generationConfig": { "temperature": 1.0, "odd": 1, "topP": 0.5, "maxOutputTokens": 70 },
            })
        );
    }
}

#[test]
fn a_body_without_messages_of_its_own_gets_ours_alone() {
    for (dialect, field) in [
        (Dialect::Openai, "messages"),
        (Dialect::Anthropic, "messages"),
        (Dialect::Gemini, "contents"),
    ] {
        let (_, body) = spliced(dialect, &json!({ "prompt": { "slug": "s" } }));
        let ours = if dialect == Dialect::Openai { 3 } else { 2 };
        assert_eq!(body[field].as_array().unwrap().len(), ours, "{body}");
        assert_eq!(body.get("prompt"), None);
    }
}
