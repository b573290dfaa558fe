//! Rows and typed columns, and the forms they leave in: text for people, CSV for spreadsheets, Parquet for data lakes.
//!
//! Every report becomes a [`Sheet`], so that each form is written in one place and says the same. Amounts stay decimals to the last:
//! CSV writes their digits, Parquet stores them as DECIMAL.

mod csv;
mod parquet;
mod text;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use thiserror::Error;
use tokio::sync::Semaphore;

pub use text::to_text;

/// Sheets encoded at once: each holds a thread and, for a large export, some hundred megabytes.
const ENCODINGS_MAX: usize = 2;

static ENCODINGS: Semaphore = Semaphore::const_new(ENCODINGS_MAX);

/// Rows under columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// What the cells of a row are, from left to right.
    pub columns: Vec<Column>,
    /// The rows; each has a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// What its cells hold.
    pub kind: Kind,
}

/// What the cells of a column hold, if they hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A decimal of at most twelve places, written as short as it is.
    Amount,
    /// The same, written with a decimal point always: readers that guess types then see no integers.
    Decimal,
    /// A day.
    Day,
    /// A moment, written in UTC to the second.
    Time,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A decimal.
    Amount(Decimal),
    /// A day.
    Day(NaiveDate),
    /// A moment.
    Time(DateTime<Utc>),
}

/// The forms for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 4180.
    Csv,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

/// Why a sheet was not encoded.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// A cell does not hold what its column says, or does not fit.
    #[error("column {0} has a value that cannot be stored")]
    Cell(&'static str),
    /// The library refused.
    #[error("the Parquet file cannot be written")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The process is stopping.
    #[error("the encoding was broken off")]
    BrokenOff,
}

impl Encoding {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

impl Column {
    /// A column.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

impl Sheet {
    /// Encodes it on a thread for such work, one of a few: the threads of requests stay free.
    pub async fn encode(self, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
        let _permit = ENCODINGS.acquire().await;
        let encoding = tokio::task::spawn_blocking(move || self.encode_here(encoding));
        encoding.await.unwrap_or(Err(EncodeError::BrokenOff))
    }

    fn encode_here(&self, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
        match encoding {
            Encoding::Csv => Ok(csv::to_csv(self).into_bytes()),
            Encoding::Parquet => parquet::to_parquet(self),
        }
    }

    /// The sum of an amount's column.
    pub fn sum(&self, name: &str) -> Decimal {
        let place = self.columns.iter().position(|column| column.name == name);
        let cells = self.rows.iter().filter_map(|row| row.get(place?));
        cells
            .filter_map(|cell| match cell {
                Cell::Amount(amount) => Some(*amount),
                _ => None,
            })
            .sum()
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<uuid::Uuid> for Cell {
    fn from(id: uuid::Uuid) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Decimal> for Cell {
    fn from(amount: Decimal) -> Self {
        Self::Amount(amount)
    }
}

impl From<types::Usd> for Cell {
    fn from(amount: types::Usd) -> Self {
        Self::Amount(amount.decimal())
    }
}

impl From<NaiveDate> for Cell {
    fn from(day: NaiveDate) -> Self {
        Self::Day(day)
    }
}

impl From<DateTime<Utc>> for Cell {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time)
    }
}
