//! The endpoints of departments.

pub mod create;
pub mod list;

use ::api::{Code, Problem};

use crate::departments::Error;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::Name(error) => Self::invalid_field("name", error.to_string()),
            Error::Description => Self::invalid_field("description", "has at most 2000 characters"),
            Error::NameTaken => Self::new(Code::AlreadyExists).detail("the name is taken"),
            Error::ParentNotFound => Self::invalid_field("parent_id", "no department has this id"),
            Error::Database(error) => error.into(),
        }
    }
}
