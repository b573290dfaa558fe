//! Gemini's own schemas, as the JSON Schema that every other dialect has: types in lower case, and null a type.

use serde_json::{Map, Value, json};

/// Schemas within schemas at most: a deeper one is left as it is, which no provider accepts.
const DEPTH_MAX: usize = 64;

/// Translates one, which is read as JSON Schema where it already is that.
pub(super) fn to_json_schema(schema: Value) -> Value {
    translate(schema, DEPTH_MAX)
}

fn translate(schema: Value, depth: usize) -> Value {
    let (Value::Object(fields), Some(depth)) = (schema.clone(), depth.checked_sub(1)) else {
        return schema;
    };
    let mut translated = Map::new();
    let mut nullable = false;
    for (name, value) in fields {
        match &*super::camel(&name) {
            "nullable" => nullable = value == Value::Bool(true),
            // Says in what order the model writes, which nobody else lets a schema say.
            "propertyOrdering" | "example" => {}
            "type" => {
                translated.insert("type".to_owned(), lower(value));
            }
            "items" | "additionalProperties" => {
                translated.insert(super::camel(&name).into_owned(), translate(value, depth));
            }
            "anyOf" => {
                translated.insert("anyOf".to_owned(), each(value, depth));
            }
            "properties" | "defs" => {
                let name = if name == "defs" {
                    "$defs"
                } else {
                    "properties"
                };
                translated.insert(name.to_owned(), each(value, depth));
            }
            "ref" => {
                translated.insert("$ref".to_owned(), value);
            }
            known => {
                translated.insert(known.to_owned(), number(known, value));
            }
        }
    }
    if nullable && let Some(kind) = translated.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    Value::Object(translated)
}

fn each(value: Value, depth: usize) -> Value {
    match value {
        Value::Array(schemas) => schemas
            .into_iter()
            .map(|one| translate(one, depth))
            .collect(),
        Value::Object(schemas) => {
            let schemas = schemas.into_iter();
            Value::Object(
                schemas
                    .map(|(name, one)| (name, translate(one, depth)))
                    .collect(),
            )
        }
        other => other,
    }
}

fn lower(kind: Value) -> Value {
    match kind {
        Value::String(kind) => Value::String(kind.to_lowercase()),
        other => other,
    }
}

/// Proto JSON writes 64-bit numbers as text.
fn number(name: &str, value: Value) -> Value {
    let is_count = matches!(
        name,
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties"
    );
    match value.as_str().filter(|_| is_count).map(str::parse::<u64>) {
        Some(Ok(count)) => count.into(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_lowered_null_becomes_a_type_and_names_of_properties_are_left_alone() {
        let schema = json!({"type": "OBJECT", "propertyOrdering": ["max_items"], "properties": {
            "max_items": {"type": "INTEGER", "nullable": true},
            "list": {"type": "ARRAY", "items": {"type": "STRING"}, "min_items": "2"}}, "required": ["list"]});
        assert_eq!(
            to_json_schema(schema),
            json!({"type": "object", "properties": {
                "max_items": {"type": ["integer", "null"]},
                "list": {"type": "array", "items": {"type": "string"}, "minItems": 2}}, "required": ["list"]})
        );
    }
}
