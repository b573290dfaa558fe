//! Puts rendered messages before a call's own, in the call and in its body, so that the two never say different things.
//!
//! The body is what a provider of the client's own dialect is sent, and what an estimate counts: after this nothing
//! in it tells that there was a template.

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use types::call::{Call, Dialect, Message, Role};

use super::stored::Defaults;
use crate::error::Error;
use crate::wire::fields::Fields;

/// The name of the field that names a template, in every dialect.
pub(crate) const FIELD: &str = "prompt";

/// A rendered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Who speaks.
    pub(crate) role: Role,
    /// What is said.
    pub(crate) text: String,
}

/// Puts the messages first, and the defaults where the call says nothing.
pub(crate) fn splice(
    call: &mut Call,
    rendered: &[Rendered],
    defaults: &Defaults,
) -> Result<(), Error> {
    let wanted = defaults.missing_in(&call.parameters);
    let body = std::mem::take(&mut call.body);
    let mut fields = Fields::parse(&body).map_err(Error::internal)?;
    fields.remove(FIELD);
    match call.dialect {
        Dialect::Openai => openai(&mut fields, rendered, &wanted)?,
        Dialect::Anthropic => anthropic(&mut fields, rendered, &wanted)?,
        Dialect::Gemini => gemini(&mut fields, rendered, &wanted)?,
    }
    if call.dialect != Dialect::Gemini {
        fields.set("model", raw(&call.model)?);
    }
    let spliced = serde_json::to_vec(&fields).map_err(Error::internal)?;
    drop(fields);
    call.body = Bytes::from(spliced);

    let messages = rendered
        .iter()
        .map(|one| Message::text(one.role, one.text.as_str()));
    call.messages.splice(0..0, messages);
    wanted.write(&mut call.parameters);
    Ok(())
}

fn openai(fields: &mut Fields<'_>, rendered: &[Rendered], wanted: &Defaults) -> Result<(), Error> {
    let messages = rendered
        .iter()
        .map(|one| json!({ "role": word(one.role), "content": one.text }));
    let messages = before(fields, "messages", messages)?;
    fields.set("messages", messages);
    set(fields, "temperature", wanted.temperature.as_ref())?;
    set(fields, "top_p", wanted.top_p.as_ref())?;
    set(
        fields,
        "max_completion_tokens",
        wanted.output_tokens_max.as_ref(),
    )
}

fn anthropic(
    fields: &mut Fields<'_>,
    rendered: &[Rendered],
    wanted: &Defaults,
) -> Result<(), Error> {
    let (system, turns): (Vec<_>, Vec<_>) =
        rendered.iter().partition(|one| one.role == Role::System);
    if !system.is_empty() {
        let mut blocks: Vec<Value> = system
            .into_iter()
            .map(|one| text_block(&one.text))
            .collect();
        match own(fields, &["system"])? {
            Some(Value::String(text)) => blocks.push(text_block(&text)),
            Some(Value::Array(more)) => blocks.extend(more),
            _ => {}
        }
        fields.set("system", raw(&blocks)?);
    }
    let turns = turns
        .into_iter()
        .map(|one| json!({ "role": word(one.role), "content": one.text }));
    let turns = before(fields, "messages", turns)?;
    fields.set("messages", turns);
    set(fields, "temperature", wanted.temperature.as_ref())?;
    set(fields, "top_p", wanted.top_p.as_ref())?;
    set(fields, "max_tokens", wanted.output_tokens_max.as_ref())
}

fn gemini(fields: &mut Fields<'_>, rendered: &[Rendered], wanted: &Defaults) -> Result<(), Error> {
    const SYSTEM: [&str; 2] = ["systemInstruction", "system_instruction"];
    const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
    let (system, turns): (Vec<_>, Vec<_>) =
        rendered.iter().partition(|one| one.role == Role::System);
    if !system.is_empty() {
        let mut parts: Vec<Value> = system.into_iter().map(|one| text_part(&one.text)).collect();
        if let Some(mut own) = own(fields, &SYSTEM)? {
            match own.get_mut("parts").map(Value::take) {
                Some(Value::Array(more)) => parts.extend(more),
                Some(part @ Value::Object(_)) => parts.push(part),
                _ => {}
            }
        }
        fields.remove("system_instruction");
        fields.set("systemInstruction", raw(&json!({ "parts": parts }))?);
    }
    let turns = turns.into_iter().map(|one| {
        let role = if one.role == Role::Assistant {
            "model"
        } else {
            "user"
        };
        json!({ "role": role, "parts": [text_part(&one.text)] })
    });
    let turns = before(fields, "contents", turns)?;
    fields.set("contents", turns);

    if wanted.is_empty() {
        return Ok(());
    }
    let mut config = match own(fields, &CONFIG)? {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    };
    for (name, value) in [
        ("temperature", wanted.temperature.as_ref().map(|n| json!(n))),
        ("topP", wanted.top_p.as_ref().map(|n| json!(n))),
        (
            "maxOutputTokens",
            wanted.output_tokens_max.map(|n| json!(n)),
        ),
    ] {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    }
    fields.remove("generation_config");
    fields.set("generationConfig", raw(&config)?);
    Ok(())
}

/// A list with ours before its own elements, which keep every byte.
fn before(
    fields: &Fields<'_>,
    name: &str,
    ours: impl Iterator<Item = Value>,
) -> Result<Box<RawValue>, Error> {
    let mut list: Vec<Box<RawValue>> = ours.map(|value| raw(&value)).collect::<Result<_, _>>()?;
    match fields.get(name).map(RawValue::get) {
        None | Some("null") => {}
        // Gemini takes one element for a list of it.
        Some(one) if one.starts_with('{') => {
            list.push(RawValue::from_string(one.to_owned()).map_err(Error::internal)?);
        }
        Some(own) => {
            let own: Vec<Box<RawValue>> = serde_json::from_str(own)
                .map_err(|_| Error::invalid(format!("'{name}' is not a list"), Some(name)))?;
            list.extend(own);
        }
    }
    raw(&list)
}

/// The call's own value of a field that has several names.
fn own(fields: &Fields<'_>, names: &[&str]) -> Result<Option<Value>, Error> {
    let found = names.iter().find_map(|name| fields.get(name));
    found
        .map(|value| serde_json::from_str(value.get()).map_err(Error::internal))
        .transpose()
}

fn set(
    fields: &mut Fields<'_>,
    name: &'static str,
    value: Option<&impl serde::Serialize>,
) -> Result<(), Error> {
    if let Some(value) = value {
        fields.set(name, raw(value)?);
    }
    Ok(())
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn text_part(text: &str) -> Value {
    json!({ "text": text })
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    }
}

fn raw(value: &(impl serde::Serialize + ?Sized)) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(Error::internal)
}

#[cfg(test)]
mod tests;
