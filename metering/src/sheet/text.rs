//! A sheet for people: aligned columns, without those that say nothing here.

use super::{Cell, Kind, Sheet, csv};

/// Writes a sheet as aligned columns: those without any value are left out, and ids whose name stands beside them.
pub fn to_text(sheet: &Sheet) -> String {
    let shown: Vec<usize> = (0..sheet.columns.len())
        .filter(|place| is_shown(sheet, *place))
        .collect();
    let mut lines = vec![heading(sheet, &shown)];
    for row in &sheet.rows {
        let cells = shown.iter().filter_map(|place| {
            let (cell, column) = (row.get(*place)?, sheet.columns.get(*place)?);
            Some(csv::written(cell, column.kind))
        });
        lines.push(cells.collect());
    }
    aligned(&lines, &numeric(sheet, &shown))
}

fn heading(sheet: &Sheet, shown: &[usize]) -> Vec<String> {
    let columns = shown.iter().filter_map(|place| sheet.columns.get(*place));
    columns
        .map(|column| column.name.replace('_', " "))
        .collect()
}

fn numeric(sheet: &Sheet, shown: &[usize]) -> Vec<bool> {
    let columns = shown.iter().filter_map(|place| sheet.columns.get(*place));
    columns
        .map(|column| matches!(column.kind, Kind::Integer | Kind::Amount | Kind::Decimal))
        .collect()
}

fn is_shown(sheet: &Sheet, place: usize) -> bool {
    let Some(column) = sheet.columns.get(place) else {
        return false;
    };
    let name = column.name.strip_suffix("_id");
    let named = name.and_then(|name| sheet.columns.iter().position(|other| other.name == name));
    let is_named = named.is_some_and(|named| has_values(sheet, named));
    has_values(sheet, place) && !is_named
}

fn has_values(sheet: &Sheet, place: usize) -> bool {
    let mut cells = sheet.rows.iter().filter_map(|row| row.get(place));
    cells.any(|cell| *cell != Cell::Empty)
}

fn aligned(lines: &[Vec<String>], numeric: &[bool]) -> String {
    let width = |place: usize| {
        let cells = lines.iter().filter_map(|line| line.get(place));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..numeric.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).zip(numeric);
        let cells = cells.map(|((cell, &width), &numeric)| {
            if numeric {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Sheet};
    use super::*;

    #[test]
    fn empty_columns_and_ids_with_a_name_beside_them_are_left_out() {
        let columns = vec![
            Column::new("organization_id", Kind::Text),
            Column::new("organization", Kind::Text),
            Column::new("model", Kind::Text),
            Column::new("cost_usd", Kind::Amount),
        ];
        let row = |slug: &str, cost: i64| {
            let cost = Cell::Amount(rust_decimal::Decimal::from(cost));
            vec!["0199".into(), slug.into(), Cell::Empty, cost]
        };
        let sheet = Sheet {
            columns,
            rows: vec![row("acme", 5), row("wide-one", 1_234)],
        };
        let expected = "organization  cost usd\nacme                 5\nwide-one          1234\n";
        assert_eq!(to_text(&sheet), expected);
    }
}
