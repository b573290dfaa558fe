//! A sheet as RFC 4180 has it: a header, commas, CRLF, exact decimals.

use rust_decimal::Decimal;

use super::{Cell, Kind, Sheet};

/// Begins of cells that spreadsheets take for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes a sheet as CSV.
pub(super) fn to_csv(sheet: &Sheet) -> String {
    let mut csv = String::new();
    let header = sheet.columns.iter().map(|column| column.name.to_owned());
    line(&mut csv, header);
    for row in &sheet.rows {
        let cells = row.iter().zip(&sheet.columns);
        line(
            &mut csv,
            cells.map(|(cell, column)| written(cell, column.kind)),
        );
    }
    csv
}

fn line(csv: &mut String, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            csv.push(',');
        }
        csv.push_str(&cell);
    }
    csv.push_str("\r\n");
}

/// What stands in a cell, before it is quoted.
pub(super) fn written(cell: &Cell, kind: Kind) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(value) => text(value),
        Cell::Integer(number) => number.to_string(),
        Cell::Amount(amount) => decimal(*amount, kind),
        Cell::Day(day) => day.to_string(),
        Cell::Time(time) => time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

fn decimal(amount: Decimal, kind: Kind) -> String {
    let mut digits = amount.normalize().to_string();
    if kind == Kind::Decimal && !digits.contains('.') {
        digits.push_str(".0");
    }
    digits
}

/// Quoted where it must be; never a formula.
fn text(value: &str) -> String {
    let guarded = if value.starts_with(FORMULA) {
        format!("'{value}")
    } else {
        value.to_owned()
    };
    if guarded.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", guarded.replace('"', "\"\""));
    }
    guarded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_never_a_formula() {
        assert_eq!(text("gemini-3-flash"), "gemini-3-flash");
        assert_eq!(text("a,b"), "\"a,b\"");
        assert_eq!(text("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(text("=1+1"), "'=1+1");
    }

    #[test]
    fn a_decimal_has_all_its_digits_and_a_point_where_one_is_asked_for() {
        let small = Decimal::new(1_000, 15);
        assert_eq!(decimal(small, Kind::Amount), "0.000000000001");
        assert_eq!(decimal(Decimal::from(1_250_000), Kind::Amount), "1250000");
        assert_eq!(
            decimal(Decimal::from(1_250_000), Kind::Decimal),
            "1250000.0"
        );
    }
}
