//! What can go wrong with the database, by meaning instead of by SQLSTATE.
//!
//! PostgreSQL puts row contents into an error's detail, and rows hold prompts. Nothing here prints
//! a detail: neither `Display` nor `Debug` shows more than SQLSTATE, primary message and constraint.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection: the server is down, refuses, is shutting down, or the pool is exhausted.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// A statement, a lock or the whole transaction took too long.
    ///
    /// When the commit itself timed out, the outcome of the transaction is unknown.
    #[error("the database did not answer in time")]
    Timeout(#[source] Option<Cause>),
    /// Two transactions were in each other's way, more often than the retries allow.
    #[error("the transaction kept conflicting with others")]
    Conflict(#[source] Cause),
    /// A row with this key is there already.
    #[error("unique constraint {constraint} is violated")]
    Unique {
        /// The constraint's name, as in the migrations.
        constraint: String,
    },
    /// The row that is pointed at is not there, or the row is still pointed at.
    #[error("foreign key {constraint} is violated")]
    ForeignKey {
        /// The constraint's name, as in the migrations.
        constraint: String,
    },
    /// A value is outside its allowed range.
    #[error("check constraint {constraint} is violated")]
    Check {
        /// The constraint's name, as in the migrations.
        constraint: String,
    },
    /// The row overlaps with another one.
    #[error("exclusion constraint {constraint} is violated")]
    Exclusion {
        /// The constraint's name, as in the migrations.
        constraint: String,
    },
    /// A value that has to be there is missing.
    #[error("column {table}.{column} must not be null")]
    NotNull {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
    },
    /// A right is missing, or row-level security refused the row: it belongs to someone else.
    #[error("the database denied access")]
    Denied(#[source] Cause),
    /// A statement changed another number of rows than it must.
    #[error("{actual} rows were affected instead of {expected}")]
    Affected {
        /// The number of rows the statement has to change.
        expected: u64,
        /// The number of rows it did change.
        actual: u64,
    },
    /// A row does not convert into what it stands for.
    #[error("row {id} of {table} has an inconsistent {column}")]
    Inconsistent {
        /// The table's name.
        table: &'static str,
        /// The column whose value does not convert.
        column: &'static str,
        /// The row's identifier.
        id: String,
    },
    /// A setting of the connection is wrong: an address that does not parse, for instance.
    #[error("the database settings are not usable: {0}")]
    Settings(String),
    /// The connection would be able to get around row-level security.
    #[error("role {role} must not be used to serve: {reason}")]
    Role {
        /// The effective role inside a transaction.
        role: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else.
    #[error("the database operation failed")]
    Other(#[source] Cause),
}

/// Shows the database error inside an error, if there is one, so that a conflict can be retried.
pub trait AsDatabaseError {
    /// The database error this error was made from.
    fn as_database_error(&self) -> Option<&Error>;
}

/// The driver's error without the contents of rows.
pub struct Cause(sqlx::Error);

impl Error {
    /// Whether the same operation may succeed if it is tried again later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Timeout(_) | Self::Conflict(_)
        )
    }

    /// Whether running the transaction again at once is the remedy (SQLSTATE 40001 and 40P01).
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// The violated constraint, if that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Unique { constraint }
            | Self::ForeignKey { constraint }
            | Self::Check { constraint }
            | Self::Exclusion { constraint } => Some(constraint),
            _ => None,
        }
    }

    /// A short word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Conflict(_) => "conflict",
            Self::Unique { .. } => "unique",
            Self::ForeignKey { .. } => "foreign_key",
            Self::Check { .. } => "check",
            Self::Exclusion { .. } => "exclusion",
            Self::NotNull { .. } => "not_null",
            Self::Denied(_) => "denied",
            Self::Affected { .. } => "affected",
            Self::Inconsistent { .. } => "inconsistent",
            Self::Settings(_) => "settings",
            Self::Role { .. } => "role",
            Self::Other(_) => "other",
        }
    }

    fn of_sqlstate(code: &str, error: sqlx::Error) -> Self {
        let named = |error: &sqlx::Error| {
            let constraint = error.as_database_error().and_then(|e| e.constraint());
            constraint.unwrap_or("unnamed").to_owned()
        };
        match code {
            "23505" => Self::Unique {
                constraint: named(&error),
            },
            "23503" => Self::ForeignKey {
                constraint: named(&error),
            },
            "23514" => Self::Check {
                constraint: named(&error),
            },
            "23P01" => Self::Exclusion {
                constraint: named(&error),
            },
            "23502" => not_null(&error),
            "40001" | "40P01" => Self::Conflict(Cause(error)),
            // Statement timeout or cancel request; lock timeout; idle in transaction.
            "57014" | "55P03" | "25P03" | "25P04" => Self::Timeout(Some(Cause(error))),
            "42501" => Self::Denied(Cause(error)),
            // Too many connections; shutting down, crashed or starting; connection exceptions.
            "53300" | "57P01" | "57P02" | "57P03" => Self::Unavailable(Cause(error)),
            code if code.starts_with("08") => Self::Unavailable(Cause(error)),
            _ => Self::Other(Cause(error)),
        }
    }
}

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&Error> {
        Some(self)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => {
                let code = inner.code().map(Cow::into_owned);
                Self::of_sqlstate(&code.unwrap_or_default(), error)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(Cause(error)),
            _ => Self::Other(Cause(error)),
        }
    }
}

impl From<sqlx::Error> for Cause {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl Cause {
    /// The SQLSTATE, when the server answered with one.
    pub fn sqlstate(&self) -> Option<String> {
        let code = self.0.as_database_error().and_then(DatabaseError::code);
        code.map(Cow::into_owned)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_database_error() {
            Some(error) => write!(
                f,
                "{} (SQLSTATE {})",
                error.message(),
                error.code().unwrap_or_default()
            ),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({self})")
    }
}

impl StdError for Cause {}

/// Checks that a statement changed as many rows as it must.
pub fn ensure_affected(actual: u64, expected: u64) -> Result<(), Error> {
    if actual == expected {
        return Ok(());
    }
    Err(Error::Affected { expected, actual })
}

fn not_null(error: &sqlx::Error) -> Error {
    let postgres = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let text = |part: Option<&str>| part.unwrap_or("unnamed").to_owned();
    Error::NotNull {
        table: text(postgres.and_then(PgDatabaseError::table)),
        column: text(postgres.and_then(PgDatabaseError::column)),
    }
}
