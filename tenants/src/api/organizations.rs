//! The endpoints of organizations.

pub mod create;
pub mod list;

use ::api::{Code, Problem};

use crate::organizations::Error;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Name(error) => Self::invalid_field("name", error.to_string()),
            Error::Slug => {
                let message = "has 1 to 100 small letters, digits and hyphens";
                Self::invalid_field("slug", message)
            }
            Error::SlugTaken => Self::new(Code::AlreadyExists).detail("the slug is taken"),
            Error::ParentNotFound => {
                Self::invalid_field("parent_id", "no organization has this id")
            }
            Error::TooDeep => {
                Self::invalid_field("parent_id", "is nested five levels deep already")
            }
            Error::Database(error) => error.into(),
        }
    }
}
