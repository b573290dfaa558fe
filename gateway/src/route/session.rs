//! Which conversation a request belongs to, so that it can stay at the deployment that has it in its cache.

use config::section::Sticky;
use http::HeaderMap;
use types::call::{Call, Role};

use super::plan::stable_hash;

/// The client's own name for the conversation.
const SESSION: &str = "x-flowpilot-session";

/// The client's own name for the conversation, as a number.
pub(crate) fn from_headers(headers: &HeaderMap) -> Option<u64> {
    let name = headers.get(SESSION)?.to_str().ok()?;
    Some(stable_hash(name))
}

/// The conversation of a call, as far as its route wants to know; `told` is what the client said.
pub(crate) fn of(sticky: Sticky, told: Option<u64>, call: &Call) -> Option<u64> {
    match sticky {
        Sticky::Off => None,
        Sticky::Session => told,
        Sticky::Conversation => told.or_else(|| Some(of_beginning(call))),
    }
}

/// A conversation grows at its end: what it begins with, and whose it is, stay the same.
fn of_beginning(call: &Call) -> u64 {
    let mut beginning = String::new();
    if let Some(user) = call.parameters.extra.get("user") {
        beginning.push_str(&user.to_string());
    }
    for message in &call.messages {
        beginning.push('\n');
        message.write_text(&mut beginning);
        if message.role == Role::User {
            break;
        }
    }
    stable_hash(&beginning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::openai::request::decode;

    fn conversation(turns: &str) -> Option<u64> {
        let body = format!(r#"{{"model":"m","user":"ada","messages":[{turns}]}}"#);
        let call = decode(&body.into()).unwrap();
        of(Sticky::Conversation, None, &call)
    }

    #[test]
    fn a_conversation_is_known_by_its_beginning() {
        const BEGINNING: &str =
            r#"{"role":"system","content":"be brief"},{"role":"user","content":"one"}"#;
        let longer = format!(r#"{BEGINNING},{{"role":"user","content":"two"}}"#);
        let other = BEGINNING.replace("one", "two");
        assert_eq!(conversation(BEGINNING), conversation(&longer));
        assert_ne!(conversation(BEGINNING), conversation(&other));
    }
}
