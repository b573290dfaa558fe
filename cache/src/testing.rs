//! What the tests of this crate have in common.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use types::call::{Call, Delivery, Dialect, Endpoint, Message, Parameters, Role};
use types::reply::{Assembly, Delta, Event, Finish};
use types::{Caller, Clock, Id, Permissions, Principal, Usage};
use uuid::Uuid;

use crate::Key;
use crate::entry::{Entry, Row, Stored};

pub(crate) fn caller(number: u128) -> Caller {
    let uuid = Uuid::from_u128(number);
    Caller {
        organization: Id::from_uuid(uuid),
        principal: Principal::User(Id::from_uuid(uuid)),
        permissions: Permissions::all_of_a_tenant(),
        department: None,
    }
}

pub(crate) fn entry(caller: &Caller, question: &str, text: &str) -> Entry {
    let call = Call {
        dialect: Dialect::Openai,
        endpoint: Endpoint::Chat,
        model: "default".to_owned(),
        messages: vec![Message::text(Role::User, question)],
        parameters: Parameters::default(),
        delivery: Delivery::Whole,
        template: None,
        version: None,
        body: Bytes::new(),
    };
    let events = [
        Event::Start {
            model: "demo-1".to_owned(),
        },
        Event::Delta {
            choice: 0,
            delta: Delta::Text(text.to_owned()),
        },
        Event::Finish {
            choice: 0,
            finish: Finish::Stop,
        },
        Event::Usage(Usage::default()),
    ];
    let mut assembly = Assembly::default();
    for event in &events {
        assembly.add(event);
    }
    Entry {
        key: Key::of(&call, caller.organization, "m"),
        endpoint: call.endpoint,
        provider: "demo".into(),
        answer: Arc::new(assembly.into_answer()),
        prompt_text: question.to_owned(),
        trace: None,
    }
}

pub(crate) fn stored(entry: &Entry, clock: &dyn Clock) -> Arc<Stored> {
    Arc::new(Stored {
        id: Id::new(clock),
        organization: entry.key.organization(),
        model: entry.key.model().into(),
        provider: Arc::clone(&entry.provider),
        answer: Arc::clone(&entry.answer),
        usage: Usage::default(),
        created_at: clock.now(),
        expires_at: clock.now() + Duration::from_mins(1),
    })
}

pub(crate) fn row(entry: &Entry, clock: &dyn Clock) -> Row {
    Row {
        key: entry.key.clone(),
        endpoint: entry.endpoint,
        prompt_text: entry.prompt_text.clone(),
        producer: None,
        stored: stored(entry, clock),
        normalized: None,
        meaning: None,
    }
}

/// A semantic tier that nobody asks.
pub(crate) fn semantic(database: database::Database) -> Arc<crate::semantic::Tier> {
    let (lessons, _) = tokio::sync::mpsc::channel(1);
    let options = crate::Options::default();
    let embedder = embedding::Embedder::absent();
    Arc::new(crate::semantic::Tier::new(
        database, embedder, &options, lessons, 1,
    ))
}
