//! Writes JSON and server-sent events; writing plain data to memory cannot fail.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value};

/// A body of JSON.
pub(crate) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Appends JSON.
pub(crate) fn append(value: &impl Serialize, out: &mut BytesMut) {
    let _ = serde_json::to_writer(out.writer(), value);
}

/// Appends an event without a name.
pub(crate) fn data_event(value: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    append(value, out);
    out.put_slice(b"\n\n");
}

/// Appends an event with a name.
pub(crate) fn named_event(name: &str, value: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\n");
    data_event(value, out);
}

/// A tool's arguments as the object that some dialects want; a model may have written something else.
pub(crate) fn object(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => Value::Object(Map::new()),
    }
}
