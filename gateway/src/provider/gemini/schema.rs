//! Makes a JSON Schema fit for Gemini, which refuses a whole request for one keyword it does not know.
//!
//! References are replaced by what they refer to, alternatives get one spelling, and what is left unknown is dropped.
//! A schema that refers to itself cannot be written out, and one that grows out of all proportion is not: both are
//! told as errors.

use serde_json::{Map, Value, json};

use crate::error::Error;

/// Nodes of a schema once its references are written out, at most: a small one can refer to itself a billion times.
const NODES_MAX: usize = 10_000;

/// Schemas within schemas at most, before the provider's own limit would refuse it.
const DEPTH_MAX: usize = 64;

/// Keywords that are kept as they are. Source: the reference of `responseJsonSchema`.
const KEPT: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "enum",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "required",
    "propertyOrdering",
    "default",
];

/// The schema, fit for the provider; `field` names it in errors.
pub(super) fn fit(schema: &Value, field: &str) -> Result<Value, Error> {
    let mut fitter = Fitter {
        root: schema,
        field,
        nodes_left: NODES_MAX,
        within: Vec::new(),
    };
    fitter.fit(schema, DEPTH_MAX)
}

struct Fitter<'a> {
    root: &'a Value,
    field: &'a str,
    nodes_left: usize,
    /// The references being written out.
    within: Vec<&'a str>,
}

impl<'a> Fitter<'a> {
    fn fit(&mut self, schema: &'a Value, depth: usize) -> Result<Value, Error> {
        let left = self.nodes_left.checked_sub(1).zip(depth.checked_sub(1));
        let (nodes_left, depth) = left.ok_or_else(|| self.wrong("is too large"))?;
        self.nodes_left = nodes_left;
        let fields = match schema {
            Value::Object(fields) => fields,
            // `true` is any value, which is what an empty schema is.
            Value::Bool(true) => return Ok(json!({})),
            _ => return Err(self.wrong("has a schema that is neither an object nor 'true'")),
        };
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            return self.referred(reference, fields, depth);
        }
        let mut fit = Map::new();
        for (name, value) in fields {
            self.keyword(name, value, &mut fit, depth)?;
        }
        Ok(Value::Object(fit))
    }

    /// What a reference stands for, with the description that stands beside it.
    fn referred(
        &mut self,
        reference: &'a str,
        beside: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<Value, Error> {
        if self.within.contains(&reference) {
            return Err(self.wrong(&format!("refers to itself ('{reference}')")));
        }
        let pointer = reference.strip_prefix('#');
        let target = pointer.and_then(|pointer| self.root.pointer(pointer));
        let target = target
            .ok_or_else(|| self.wrong(&format!("refers to '{reference}', which is not in it")))?;
        self.within.push(reference);
        let mut fit = self.fit(target, depth)?;
        self.within.pop();
        if let (Some(fit), Some(description)) = (fit.as_object_mut(), beside.get("description")) {
            fit.insert("description".to_owned(), description.clone());
        }
        Ok(fit)
    }

    fn keyword(
        &mut self,
        name: &'a str,
        value: &'a Value,
        fit: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), Error> {
        match name {
            name if KEPT.contains(&name) => drop(fit.insert(name.to_owned(), value.clone())),
            "const" => drop(fit.insert("enum".to_owned(), json!([value]))),
            "anyOf" | "oneOf" => {
                let each = self.each(value, depth)?;
                fit.insert("anyOf".to_owned(), Value::Array(each));
            }
            "allOf" => {
                for part in self.each(value, depth)? {
                    merge(fit, part);
                }
            }
            "prefixItems" => {
                let each = self.each(value, depth)?;
                fit.insert(name.to_owned(), Value::Array(each));
            }
            "additionalProperties" if value.is_boolean() => {
                fit.insert(name.to_owned(), value.clone());
            }
            "items" | "additionalProperties" => {
                let fitted = self.fit(value, depth)?;
                fit.insert(name.to_owned(), fitted);
            }
            "properties" => {
                let mut properties = Map::new();
                for (property, schema) in value.as_object().into_iter().flatten() {
                    let schema = self.fit(schema, depth)?;
                    properties.insert(property.clone(), schema);
                }
                merge(fit, json!({ "properties": properties }));
            }
            "exclusiveMinimum" if value.is_number() => {
                fit.entry("minimum").or_insert_with(|| value.clone());
            }
            "exclusiveMaximum" if value.is_number() => {
                fit.entry("maximum").or_insert_with(|| value.clone());
            }
            // `$schema`, `$defs`, `pattern`, and whatever else would have the request refused.
            _ => {}
        }
        Ok(())
    }

    fn each(&mut self, schemas: &'a Value, depth: usize) -> Result<Vec<Value>, Error> {
        let schemas = schemas.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut fit = Vec::with_capacity(schemas.len());
        for schema in schemas {
            fit.push(self.fit(schema, depth)?);
        }
        Ok(fit)
    }

    fn wrong(&self, what: &str) -> Error {
        let text = format!(
            "the schema in '{}' {what}, which the provider of this model cannot take",
            self.field
        );
        Error::invalid(text, Some(self.field))
    }
}

/// Adds the keywords of one schema to another: properties and what is required come together, the rest is replaced.
fn merge(into: &mut Map<String, Value>, from: Value) {
    let Value::Object(from) = from else {
        return;
    };
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(before)), Value::Object(more)) => before.extend(more),
            (Some(Value::Array(before)), Value::Array(more)) if name == "required" => {
                before.extend(more);
            }
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_written_out_and_unknown_keywords_are_dropped() {
        let schema = json!({"$schema": "x", "type": "object", "additionalProperties": false, "_index": 1,
            "properties": {"a": {"$ref": "#/$defs/A", "description": "the first"}, "k": {"const": 5, "pattern": "^a"},
                "u": {"oneOf": [{"type": "string"}, {"type": "null"}]},
                "both": {"allOf": [{"type": "object", "properties": {"p": true}, "required": ["p"]}, {"properties": {"q": {"type": "string"}}, "required": ["q"]}]}},
            "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/B"}}, "B": {"type": "integer", "exclusiveMinimum": 0}}});
        assert_eq!(
            fit(&schema, "tools").unwrap(),
            json!({"type": "object", "additionalProperties": false, "properties": {
                "a": {"type": "array", "items": {"type": "integer", "minimum": 0}, "description": "the first"},
                "k": {"enum": [5]}, "u": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "both": {"type": "object", "properties": {"p": {}, "q": {"type": "string"}}, "required": ["p", "q"]}}})
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_or_explodes_is_an_error_and_no_overflow() {
        let complaint = |schema: &Value| fit(schema, "tools").unwrap_err().to_string();
        let cycle = json!({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"next": {"$ref": "#/$defs/A"}}}}});
        assert!(complaint(&cycle).contains("refers to itself"));
        assert!(complaint(&json!({"$ref": "#/$defs/none"})).contains("not in it"));
        let mut defs = Map::new();
        defs.insert("D0".to_owned(), json!({"type": "string"}));
        for level in 1..30 {
            let below = json!({"$ref": format!("#/$defs/D{}", level - 1)});
            defs.insert(
                format!("D{level}"),
                json!({"properties": {"a": below, "b": below}}),
            );
        }
        assert!(complaint(&json!({"$ref": "#/$defs/D29", "$defs": defs})).contains("too large"));
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({ "items": deep });
        }
        assert!(complaint(&deep).contains("too large"));
    }
}
