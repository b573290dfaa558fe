//! A JSON object read one level deep, so that single fields can be changed and every other byte survives.
//!
//! The values stay slices of the body: nothing is parsed twice and nothing unknown is lost.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// The fields of an object in their order. A name given twice keeps its last value, as JSON parsers do.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

impl<'a> Fields<'a> {
    /// Reads an object.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The fields with their values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// Sets a field, at its place if it is there.
    pub(crate) fn set(&mut self, name: &'a str, value: Box<RawValue>) {
        self.put(Cow::Borrowed(name), Cow::Owned(value));
    }

    /// Takes a field away, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.retain(|(own, _)| own != name);
    }

    fn put(&mut self, name: Cow<'a, str>, value: Cow<'a, RawValue>) {
        match self.fields.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(ObjectVisitor)
            .map(|fields: Fields<'de>| fields)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Fields in one object at most: requests have dozens, and each is looked for among those before it.
pub(crate) const FIELDS_MAX: usize = 256;

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if fields.fields.len() >= FIELDS_MAX {
                return Err(M::Error::custom(format_args!(
                    "more than {FIELDS_MAX} fields"
                )));
            }
            fields.put(name.0, Cow::Borrowed(map.next_value::<&'de RawValue>()?));
        }
        Ok(fields)
    }
}

/// A name, borrowed from the body where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, name: &'static str, value: &str) -> String {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        fields.set(name, RawValue::from_string(value.to_owned()).unwrap());
        serde_json::to_string(&fields).unwrap()
    }

    #[test]
    fn a_field_is_replaced_at_its_place_and_the_others_keep_every_byte() {
        let body = r#"{"a": 1.50, "model":"x","weird":{"z" :[1, 2]}}"#;
        assert_eq!(
            edited(body, "model", "\"y\""),
            r#"{"a":1.50,"model":"y","weird":{"z" :[1, 2]}}"#
        );
    }

    #[test]
    fn a_missing_field_is_added_at_the_end() {
        assert_eq!(edited("{}", "model", "\"y\""), r#"{"model":"y"}"#);
    }

    #[test]
    fn a_name_with_an_escape_is_the_name_it_stands_for() {
        assert_eq!(
            edited(r#"{"mod\u0065l":1}"#, "model", "2"),
            r#"{"model":2}"#
        );
    }
}
