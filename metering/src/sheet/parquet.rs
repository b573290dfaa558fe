//! A sheet as Apache Parquet: typed columns, DECIMAL amounts, row groups of a bounded size.

use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{Type, TypePtr};
use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::{Cell, Column, EncodeError, Kind, Sheet};

/// DECIMAL(38, 12): what a ledger amount needs, and all that sixteen bytes hold.
const PRECISION: i32 = 38;
const SCALE: i32 = 12;
const DECIMAL_BYTES: i32 = 16;

/// Rows of one group: what a reader must hold to read a column.
const GROUP_ROWS: usize = 50_000;

/// Writes a sheet as a Parquet file.
pub(super) fn to_parquet(sheet: &Sheet) -> Result<Vec<u8>, EncodeError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("flowpilot".to_owned());
    let schema = schema(&sheet.columns)?;
    let properties = Arc::new(properties.build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    for rows in sheet.rows.chunks(GROUP_ROWS) {
        let mut group = file.next_row_group()?;
        for (place, column) in sheet.columns.iter().enumerate() {
            let Some(writer) = group.next_column()? else {
                return Err(EncodeError::Cell(column.name));
            };
            let cells = rows
                .iter()
                .map(|row| row.get(place).unwrap_or(&Cell::Empty));
            write_column(writer, *column, cells)?;
        }
        group.close()?;
    }
    Ok(file.into_inner()?)
}

fn schema(columns: &[Column]) -> Result<TypePtr, EncodeError> {
    let fields: Result<Vec<_>, _> = columns.iter().map(|column| field(*column)).collect();
    let schema = Type::group_type_builder("sheet").with_fields(fields?);
    Ok(Arc::new(schema.build()?))
}

fn field(column: Column) -> Result<TypePtr, EncodeError> {
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => (Physical::INT64, None),
        Kind::Amount | Kind::Decimal => {
            let decimal = LogicalType::decimal(SCALE, PRECISION);
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(decimal))
        }
        Kind::Day => (Physical::INT32, Some(LogicalType::Date)),
        Kind::Time => {
            let micros = ::parquet::basic::TimeUnit::MICROS;
            (Physical::INT64, Some(LogicalType::timestamp(true, micros)))
        }
    };
    let mut builder = Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    if physical == Physical::FIXED_LEN_BYTE_ARRAY {
        builder = builder
            .with_length(DECIMAL_BYTES)
            .with_precision(PRECISION)
            .with_scale(SCALE);
    }
    Ok(Arc::new(builder.build()?))
}

fn write_column<'a>(
    mut writer: SerializedColumnWriter<'_>,
    column: Column,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<(), EncodeError> {
    let refused = EncodeError::Cell(column.name);
    let mut present = Vec::new();
    let values = cells.filter(|cell| {
        present.push(i16::from(**cell != Cell::Empty));
        **cell != Cell::Empty
    });
    match column.kind {
        Kind::Text => {
            let values: Option<Vec<_>> = values.map(text).collect();
            let values = values.ok_or(refused)?;
            let typed = writer.typed::<ByteArrayType>();
            typed.write_batch(&values, Some(&present), None)?;
        }
        Kind::Integer | Kind::Time => {
            let values: Option<Vec<_>> = values.map(integer).collect();
            let values = values.ok_or(refused)?;
            let typed = writer.typed::<Int64Type>();
            typed.write_batch(&values, Some(&present), None)?;
        }
        Kind::Amount | Kind::Decimal => {
            let values: Option<Vec<_>> = values.map(amount).collect();
            let values = values.ok_or(refused)?;
            let typed = writer.typed::<FixedLenByteArrayType>();
            typed.write_batch(&values, Some(&present), None)?;
        }
        Kind::Day => {
            let values: Option<Vec<_>> = values.map(day).collect();
            let values = values.ok_or(refused)?;
            let typed = writer.typed::<Int32Type>();
            typed.write_batch(&values, Some(&present), None)?;
        }
    }
    writer.close()?;
    Ok(())
}

fn text(cell: &Cell) -> Option<ByteArray> {
    match cell {
        Cell::Text(text) => Some(text.as_str().into()),
        _ => None,
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(number) => Some(*number),
        Cell::Time(time) => Some(time.timestamp_micros()),
        _ => None,
    }
}

/// The amount in units of the last decimal, big-endian; none where it has more decimals than the column.
fn amount(cell: &Cell) -> Option<FixedLenByteArray> {
    let Cell::Amount(amount) = cell else {
        return None;
    };
    let amount: Decimal = amount.normalize();
    let missing = u32::try_from(SCALE).ok()?.checked_sub(amount.scale())?;
    let units = amount.mantissa().checked_mul(10_i128.pow(missing))?;
    Some(ByteArray::from(units.to_be_bytes().to_vec()).into())
}

fn day(cell: &Cell) -> Option<i32> {
    let Cell::Day(day) = cell else {
        return None;
    };
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    #[test]
    fn what_was_written_is_read_back_typed_and_exact() {
        let columns = vec![
            Column::new("model", Kind::Text),
            Column::new("day", Kind::Day),
            Column::new("requests", Kind::Integer),
            Column::new("cost_usd", Kind::Amount),
        ];
        let day = NaiveDate::from_ymd_opt(2026, 11, 25).unwrap();
        let least = Decimal::new(-1, 12);
        let rows = vec![
            vec!["m".into(), day.into(), 3.into(), least.into()],
            vec![Cell::Empty, Cell::Empty, Cell::Empty, Decimal::TEN.into()],
        ];
        let bytes = to_parquet(&Sheet { columns, rows }).unwrap();

        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let first = rows[0].to_string();
        assert_eq!(
            first,
            "{model: \"m\", day: 2026-11-25, requests: 3, cost_usd: -0.000000000001}"
        );
        assert!(rows[1].to_string().ends_with("cost_usd: 10.000000000000}"));
    }
}
