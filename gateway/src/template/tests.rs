//! Which template a call means, and what is said about variables that do not fit.

use serde_json::json;

use super::*;
use crate::wire::openai;

fn call(body: &Value) -> Call {
    openai::request::decode(&body.to_string().into()).unwrap()
}

fn meant_by(body: &Value) -> Result<Option<Meant>, String> {
    meant(&mut call(body)).map_err(|error| error.to_string())
}

#[test]
fn a_template_is_named_by_the_prompt_or_by_the_model() {
    let variables = json!({ "q": 1 });
    let expected = |version| {
        Ok(Some(Meant {
            slug: "s".to_owned(),
            version,
            variables: serde_json::from_value(variables.clone()).unwrap(),
        }))
    };
    let prompt = json!({ "slug": "s", "version": 3, "variables": variables });
    assert_eq!(
        meant_by(&json!({ "model": "m", "prompt": prompt })),
        expected(Some(3))
    );
    assert_eq!(meant_by(&json!({ "prompt": prompt })), expected(Some(3)));
    let prompt = json!({ "variables": variables });
    assert_eq!(
        meant_by(&json!({ "model": "template:s", "prompt": prompt })),
        expected(None)
    );
    assert_eq!(
        meant_by(&json!({ "model": "template:s", "metadata": variables })),
        expected(None)
    );
    let messages = json!([{ "role": "user", "content": "x" }]);
    assert_eq!(
        meant_by(&json!({ "model": "m", "messages": messages })),
        Ok(None)
    );
}

#[test]
fn two_names_or_none_are_refused() {
    let two = json!({ "model": "template:a", "prompt": { "slug": "b" } });
    assert!(meant_by(&two).unwrap_err().contains("different templates"));
    let none = json!({ "model": "m", "prompt": { "variables": {} } });
    assert_eq!(meant_by(&none).unwrap_err(), "'prompt.slug' is missing");
}

#[test]
fn variables_that_do_not_fit_are_named() {
    let declared: Vec<variables::Variable> =
        serde_json::from_value(json!(["q", { "name": "n", "type": "integer" }])).unwrap();
    for (given, param) in [
        (json!({ "n": 1 }), "prompt.variables.q"),
        (json!({ "q": "x", "n": "1" }), "prompt.variables.n"),
        (json!({ "q": "x", "n": 1, "z": 1 }), "prompt.variables.z"),
    ] {
        let bound = variables::bind(&declared, serde_json::from_value(given).unwrap());
        assert_eq!(complete(bound).unwrap_err().param(), Some(param));
    }
}
