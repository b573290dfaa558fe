//! The variables that a template declares, and the values that a call gives them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Variables of one template at most.
pub(crate) const VARIABLES_MAX: usize = 100;
/// A name's length at most, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// A description's length at most, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// Words that the template language has given a meaning.
const RESERVED: [&str; 10] = [
    "and", "else", "false", "if", "in", "is", "loop", "none", "not", "or",
];

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(from = "Written", into = "Written")]
pub(crate) struct Variable {
    /// Its name: letters, digits and underscores.
    #[schema(example = "question")]
    pub(crate) name: String,
    /// What its value has to be; left out: anything.
    #[serde(rename = "type")]
    pub(crate) kind: Option<Kind>,
    /// Whether a call has to give it. Left out: unless there is a default.
    #[schema(required = false)]
    pub(crate) required: bool,
    /// Its value when a call gives none.
    #[schema(value_type = Option<Object>)]
    pub(crate) default: Option<Value>,
    /// What it is for.
    pub(crate) description: Option<String>,
}

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A variable as it is written: its name alone, or everything about it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Full(Full),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    name: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// The values of one call, laid beside what is declared.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bound {
    /// The values, with defaults.
    pub(crate) values: Map<String, Value>,
    /// Declared as required and not given.
    pub(crate) missing: Vec<String>,
    /// Given and not declared.
    pub(crate) unknown: Vec<String>,
    /// Given, but of another type than declared.
    pub(crate) wrong: Vec<(String, Kind)>,
}

/// Why a list of variables cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Undeclarable {
    /// Where in the list.
    pub(crate) index: usize,
    /// What is wrong.
    pub(crate) message: String,
}

impl Variable {
    /// One of which only the name is known.
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: None,
            required: true,
            default: None,
            description: None,
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut characters = self.name.chars();
        let begins = characters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !begins || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("a name has letters, digits and underscores, no digit first".to_owned());
        }
        if self.name.len() > NAME_BYTES_MAX {
            return Err(format!("a name has at most {NAME_BYTES_MAX} characters"));
        }
        if RESERVED.contains(&self.name.as_str()) {
            return Err(format!(
                "`{}` is a word of the template language",
                self.name
            ));
        }
        let description = self.description.as_deref().unwrap_or_default();
        if description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(format!(
                "a description has at most {DESCRIPTION_CHARS_MAX} characters"
            ));
        }
        match (self.kind, &self.default) {
            (Some(kind), Some(default)) if !kind.admits(default) => {
                Err(format!("the default is not {}", kind.phrase()))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what cannot be declared: strange names, a name twice, too many.
pub(crate) fn check(declared: &[Variable]) -> Result<(), Undeclarable> {
    let mut names = BTreeSet::new();
    for (index, variable) in declared.iter().enumerate() {
        let wrong = |message| Undeclarable { index, message };
        variable.check().map_err(wrong)?;
        if !names.insert(variable.name.as_str()) {
            return Err(wrong(format!("`{}` is declared twice", variable.name)));
        }
        if index >= VARIABLES_MAX {
            return Err(wrong(format!(
                "there are at most {VARIABLES_MAX} variables"
            )));
        }
    }
    Ok(())
}

/// Lays what is given beside what is declared.
pub(crate) fn bind(declared: &[Variable], mut given: Map<String, Value>) -> Bound {
    let mut bound = Bound::default();
    for variable in declared {
        let value = given.remove(&variable.name);
        match (value.or_else(|| variable.default.clone()), variable.kind) {
            (Some(value), Some(kind)) if !kind.admits(&value) => {
                bound.wrong.push((variable.name.clone(), kind));
            }
            (Some(value), _) => {
                bound.values.insert(variable.name.clone(), value);
            }
            (None, _) if variable.required => bound.missing.push(variable.name.clone()),
            (None, _) => {}
        }
    }
    bound
        .unknown
        .extend(given.into_iter().map(|(name, _)| name));
    bound
}

impl Kind {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// With its article, for a sentence.
    pub(crate) const fn phrase(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

impl From<Written> for Variable {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(name) => Self::named(name),
            Written::Full(full) => Self {
                required: full.required.unwrap_or(full.default.is_none()),
                name: full.name,
                kind: full.kind,
                default: full.default,
                description: full.description,
            },
        }
    }
}

impl From<Variable> for Written {
    fn from(variable: Variable) -> Self {
        if variable == Variable::named(variable.name.as_str()) {
            return Self::Name(variable.name);
        }
        Self::Full(Full {
            required: Some(variable.required),
            name: variable.name,
            kind: variable.kind,
            default: variable.default,
            description: variable.description,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declared(list: Value) -> Vec<Variable> {
        serde_json::from_value(list).unwrap()
    }

    fn given(values: Value) -> Map<String, Value> {
        serde_json::from_value(values).unwrap()
    }

    #[test]
    fn a_name_alone_is_a_required_variable_of_any_type_and_is_written_so_again() {
        let list = json!(["question", { "name": "tone", "required": false, "default": "kind" }]);
        let variables = declared(list.clone());
        assert_eq!(variables[0], Variable::named("question"));
        assert_eq!(serde_json::to_value(variables).unwrap(), list);
    }

    #[test]
    fn what_is_missing_unknown_or_of_another_type_is_told_apart() {
        let variables = declared(json!([
            "question",
            { "name": "count", "type": "integer" },
            { "name": "tone", "default": "kind" },
            { "name": "hint", "required": false },
        ]));
        let bound = bind(&variables, given(json!({ "count": "3", "colour": 1 })));
        assert_eq!(bound.missing, ["question"]);
        assert_eq!(bound.unknown, ["colour"]);
        assert_eq!(bound.wrong, [("count".to_owned(), Kind::Integer)]);
        assert_eq!(bound.values, given(json!({ "tone": "kind" })));
    }

    #[test]
    fn strange_names_names_twice_and_defaults_of_another_type_are_refused() {
        for (list, index) in [
            (json!(["a", "b c"]), 1),
            (json!(["1a"]), 0),
            (json!([""]), 0),
            (json!(["loop"]), 0),
            (json!(["a", "b", "a"]), 2),
            (
                json!([{ "name": "a", "type": "integer", "default": "x" }]),
                0,
            ),
        ] {
            assert_eq!(
                check(&declared(list.clone())).unwrap_err().index,
                index,
                "{list}"
            );
        }
        assert_eq!(check(&declared(json!(["a", "_b1"]))), Ok(()));
        assert!(serde_json::from_value::<Variable>(json!({ "name": "a", "colour": 1 })).is_err());
    }
}
