//! Reads the fields of a request one by one, and names mistakes so that their author finds them.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use types::call::{Message, TemplateUse};

use crate::error::Error;
use crate::template::TEMPLATE_MODEL;

/// Messages in one conversation at most: beyond it a request is a mistake or an attack. Agents reach hundreds.
const MESSAGES_MAX: usize = 10_000;

/// Reads one field; a mistake is named with its path.
pub(super) fn parse<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<T, Error> {
    let text = value.get();
    serde_json::from_str(text).or_else(|_| {
        // Only a mistake is worth reading again, to tell where it is.
        let mut deserializer = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| wrong(name, &error))
    })
}

fn wrong(name: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = error.path().to_string();
    let param = match path.as_str() {
        "." => name.to_owned(),
        path if path.starts_with('[') => format!("{name}{path}"),
        path => format!("{name}.{path}"),
    };
    // serde_json adds " at line 1 column 9", counted from the start of the field: of no use to the caller.
    let detail = error.inner().to_string();
    let detail = detail
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    Error::invalid(format!("'{param}' is wrong: {detail}"), Some(&param))
}

/// Whether a call names a template, which may bring along the model and the messages.
pub(super) fn names_template(model: Option<&str>, template: Option<&TemplateUse>) -> bool {
    template.is_some() || model.is_some_and(|model| model.starts_with(TEMPLATE_MODEL))
}

/// What has to be there and not empty, unless a template brings it along.
pub(super) fn unless_template<T: Default>(
    value: Option<T>,
    names_template: bool,
    name: &str,
) -> Result<T, Error> {
    let value = value.or_else(|| names_template.then(T::default));
    value.ok_or_else(|| missing(name))
}

/// A field that must be there is not.
pub(super) fn missing(name: &str) -> Error {
    Error::invalid(format!("'{name}' is missing"), Some(name))
}

/// A body that is no JSON object, with the place where it ceases to be one.
pub(super) fn not_json(error: &serde_json::Error) -> Error {
    let place = format!("line {}, column {}", error.line(), error.column());
    let what = match error.classify() {
        serde_json::error::Category::Data => "the body is not a JSON object",
        _ => "the body is not valid JSON",
    };
    Error::invalid(format!("{what} ({place})"), None)
}

/// The conversation, if it is not endless.
pub(super) fn messages_within_limit(messages: Vec<Message>) -> Result<Vec<Message>, Error> {
    if messages.len() > MESSAGES_MAX {
        let text = format!("the conversation has more than {MESSAGES_MAX} messages");
        return Err(Error::invalid(text, Some("messages")));
    }
    Ok(messages)
}
