//! Lists for people and for spreadsheets: aligned columns, or comma-separated values (RFC 4180).

use crate::cli::Format;
use crate::output;

/// A list with a heading.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A list with these columns.
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Vec::from(cells));
    }

    /// Prints it; JSON is written by whoever has the values.
    pub(crate) fn print(&self, format: Format) {
        match format {
            Format::Csv => output::raw(&self.csv()),
            Format::Table | Format::Json => output::raw(&self.text()),
        }
    }

    fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    fn csv(&self) -> String {
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().map(|cell| quoted(cell));
            cells.collect::<Vec<_>>().join(",") + "\r\n"
        });
        lines.collect()
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_commas_quoted() {
        let mut table = Table::new(["a", "long"]);
        table.row(["x,y".to_owned(), "\"z\"".to_owned()]);
        assert_eq!(table.text(), "a    long\nx,y  \"z\"\n");
        assert_eq!(table.csv(), "a,long\r\n\"x,y\",\"\"\"z\"\"\"\r\n");
    }
}
