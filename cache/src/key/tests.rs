//! What changes a key, what does not, and that organizations never share one.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use types::Id;
use types::call::{
    Call, Delivery, Dialect, Endpoint, Message, Parameters, Part, ResponseFormat, Role, Tool,
    ToolCall, ToolChoice,
};
use types::id::Organization;
use uuid::Uuid;

use super::Key;

/// A change to a call, by name.
type Change = (&'static str, fn(&mut Call));

fn organization(number: u128) -> Id<Organization> {
    Id::from_uuid(Uuid::from_u128(number))
}

fn call() -> Call {
    Call {
        dialect: Dialect::Openai,
        endpoint: Endpoint::Chat,
        model: "default".to_owned(),
        messages: vec![
            Message::text(Role::System, "Be brief."),
            Message::text(Role::User, "What is the capital of France?"),
        ],
        parameters: Parameters::default(),
        delivery: Delivery::Whole,
        template: None,
        version: None,
        body: Bytes::new(),
    }
}

fn hash(call: &Call) -> String {
    Key::of(call, organization(1), "m").hash().to_string()
}

fn number(text: &str) -> Option<Number> {
    text.parse().ok()
}

/// One change per field that changes the answer.
const MATERIAL: &[Change] = &[
    ("endless text", |c| {
        c.messages[1].content.push(Part::Text("x".into()));
    }),
    ("last text", |c| {
        c.messages[1] = Message::text(Role::User, "And of Spain?");
    }),
    ("system text", |c| {
        c.messages[0] = Message::text(Role::System, "Be long.");
    }),
    ("role", |c| c.messages[0].role = Role::Assistant),
    ("name", |c| c.messages[1].name = Some("ann".into())),
    ("order", |c| c.messages.swap(0, 1)),
    ("message more", |c| {
        c.messages.push(Message::text(Role::User, ""));
    }),
    ("tool call", |c| {
        c.messages[0].tool_calls.push(ToolCall::default());
    }),
    ("tool call id", |c| {
        c.messages[0].tool_call_id = Some("1".into());
    }),
    ("image", |c| {
        let (url, detail) = ("https://example.com/a.png".into(), None);
        c.messages[1].content.push(Part::Image { url, detail });
    }),
    ("audio", |c| {
        let (data, format) = ("AA==".into(), "wav".into());
        c.messages[1].content.push(Part::Audio { data, format });
    }),
    ("other part", |c| {
        c.messages[1].content.push(Part::Other(Value::Null));
    }),
    ("output_tokens_max", |c| {
        c.parameters.output_tokens_max = Some(1);
    }),
    ("temperature", |c| c.parameters.temperature = number("0.5")),
    ("top_p", |c| c.parameters.top_p = number("0.5")),
    ("top_k", |c| c.parameters.top_k = Some(5)),
    ("reasoning_budget", |c| {
        c.parameters.reasoning_budget = Some(0);
    }),
    ("reasoning_shown", |c| {
        c.parameters.reasoning_shown = Some(true);
    }),
    ("n", |c| c.parameters.n = Some(2)),
    ("stop", |c| c.parameters.stop = vec!["x".into()]),
    ("seed", |c| c.parameters.seed = Some(1)),
    ("presence_penalty", |c| {
        c.parameters.presence_penalty = number("0.5");
    }),
    ("frequency_penalty", |c| {
        c.parameters.frequency_penalty = number("0.5");
    }),
    ("reasoning_effort", |c| {
        c.parameters.reasoning_effort = Some("low".into());
    }),
    ("logprobs", |c| c.parameters.logprobs = Some(true)),
    ("top_logprobs", |c| c.parameters.top_logprobs = Some(1)),
    ("response_format", |c| {
        c.parameters.response_format = Some(ResponseFormat::JsonObject);
    }),
    ("tools", |c| {
        c.parameters.tools = vec![Tool {
            name: "look_up".into(),
            description: None,
            parameters: None,
            strict: None,
        }];
    }),
    ("tool_choice", |c| {
        c.parameters.tool_choice = Some(ToolChoice::Auto);
    }),
    ("parallel_tool_calls", |c| {
        c.parameters.parallel_tool_calls = Some(false);
    }),
    ("extra", |c| {
        c.parameters.extra = object(json!({"verbosity": "low"}));
    }),
    ("extra of another dialect", |c| {
        c.dialect = Dialect::Gemini;
        c.parameters.extra = object(json!({"verbosity": "low"}));
    }),
];

/// Changes that leave the answer as it is.
const IMMATERIAL: &[Change] = &[
    ("dialect", |c| c.dialect = Dialect::Gemini),
    ("alias", |c| c.model = "other".into()),
    ("version", |c| c.version = Some("2023-06-01".into())),
    ("body", |c| c.body = Bytes::from_static(b"{}")),
    ("stream", |c| {
        c.delivery = Delivery::Stream {
            include_usage: true,
        }
    }),
    ("labels", |c| {
        c.parameters.extra = object(json!({
            "user": "u", "metadata": {"a": 1}, "store": true, "prompt_cache_key": "k",
            "service_tier": "flex", "stream": true, "stream_options": {}, "safety_identifier": "s",
        }));
    }),
];

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[test]
fn every_field_that_changes_the_answer_changes_the_key() {
    let mut seen = vec![("unchanged", hash(&call()))];
    for (name, change) in MATERIAL {
        let mut changed = call();
        change(&mut changed);
        let hash = hash(&changed);
        for (other, earlier) in &seen {
            assert_ne!(*earlier, hash, "{name} and {other}");
        }
        seen.push((name, hash));
    }
}

#[test]
fn what_leaves_the_answer_as_it_is_leaves_the_key() {
    for (name, change) in IMMATERIAL {
        let mut changed = call();
        change(&mut changed);
        assert_eq!(hash(&changed), hash(&call()), "{name}");
    }
}

#[test]
fn a_number_counts_by_its_value_not_its_spelling() {
    let spelled = |text| {
        let mut call = call();
        call.parameters.temperature = number(text);
        hash(&call)
    };
    assert_eq!(spelled("1"), spelled("1.0"));
    assert_ne!(spelled("1"), spelled("0.9"));
}

#[test]
fn the_fingerprint_covers_everything_but_the_last_text_of_the_user() {
    let ask = |system, text| {
        let mut call = call();
        call.messages = vec![
            Message::text(Role::System, system),
            Message::text(Role::User, text),
        ];
        Key::of(&call, organization(1), "m")
    };
    let france = ask("Be brief.", "What is the capital of France?");
    let spain = ask("Be brief.", "And of Spain?");
    let wordy = ask("Be wordy.", "And of Spain?");

    assert_eq!(france.fingerprint(), spain.fingerprint());
    assert_ne!(france.hash(), spain.hash());
    assert_ne!(spain.fingerprint(), wordy.fingerprint());
}

#[test]
fn a_call_that_leans_on_the_providers_state_is_not_reusable() {
    let mut stateful = call();
    stateful.parameters.extra = object(json!({"previous_response_id": "resp_1"}));
    let mut scored = call();
    scored.parameters.logprobs = Some(true);

    let reusable = |call: &Call| Key::of(call, organization(1), "m").is_reusable();
    assert!(reusable(&call()));
    assert!(!reusable(&stateful));
    assert!(!reusable(&scored));
}

fn any_messages() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant)];
    // A small alphabet with the characters that JSON escapes, so that texts collide when framing is loose.
    let part = "[a\",\\[\\]\\\\]{0,4}".prop_map(Part::Text);
    let message = (role, vec(part, 0..3)).prop_map(|(role, content)| Message {
        content,
        ..Message::text(role, "")
    });
    vec(message, 0..4)
}

fn with_messages(messages: Vec<Message>) -> Call {
    Call { messages, ..call() }
}

/// The fields as JSON text in the given order, with white space.
fn written<'a>(fields: impl Iterator<Item = (&'a String, &'a i32)>) -> Map<String, Value> {
    let fields =
        fields.map(|(name, value)| format!(" \"{name}\" :\n\t{{\"b\": {value}, \"a\": 0}}"));
    let text = format!("{{{} }}", fields.collect::<Vec<_>>().join(" ,"));
    serde_json::from_str(&text).unwrap()
}

proptest! {
    #[test]
    fn different_conversations_have_different_keys(a in any_messages(), b in any_messages()) {
        let (a, b) = (with_messages(a), with_messages(b));
        prop_assert_eq!(a.messages == b.messages, hash(&a) == hash(&b));
    }

    #[test]
    fn two_organizations_never_share_a_key(messages in any_messages(), a: u128, b: u128) {
        prop_assume!(a != b);
        let call = with_messages(messages);
        let (a, b) = (Key::of(&call, organization(a), "m"), Key::of(&call, organization(b), "m"));
        prop_assert_ne!(a.hash(), b.hash());
        prop_assert_ne!(a.fingerprint(), b.fingerprint());
    }

    #[test]
    fn order_and_white_space_of_the_body_do_not_count(fields in btree_map("[a-z]{1,6}", 0..9, 1..5)) {
        let (mut forward, mut backward) = (call(), call());
        forward.parameters.extra = written(fields.iter());
        backward.parameters.extra = written(fields.iter().rev());
        prop_assert_eq!(hash(&forward), hash(&backward));
    }
}

#[test]
#[ignore = "a measurement: cargo test -p cache --release -- --ignored --nocapture measure"]
fn measure_the_time_to_hash_a_kilobyte() {
    const ROUNDS: u32 = 100_000;
    let call = with_messages(vec![Message::text(Role::User, "word ".repeat(205))]);
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(Key::of(&call, organization(1), "m"));
    }
    let each = start.elapsed() / ROUNDS;
    assert!(
        each < std::time::Duration::from_micros(10),
        "{each:?} per key"
    );
}
