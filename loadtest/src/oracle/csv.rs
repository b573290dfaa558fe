//! CSV as RFC 4180 has it, read strictly: whatever a spreadsheet would have to guess at is an error.

use anyhow::{bail, ensure};

/// The cells of each line; the header is the first.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut row = Vec::new();
        loop {
            let (cell, after) = cell(rest)?;
            row.push(cell);
            if let Some(after) = after.strip_prefix(',') {
                rest = after;
            } else if let Some(after) = after.strip_prefix("\r\n") {
                rest = after;
                break;
            } else {
                bail!("line {} does not end in CR LF", rows.len() + 1);
            }
        }
        let width = rows.first().map_or(row.len(), Vec::len);
        ensure!(
            row.len() == width,
            "line {} has {} cells, and the header has {width}",
            rows.len() + 1,
            row.len()
        );
        rows.push(row);
    }
    Ok(rows)
}

/// A cell, and what follows it.
fn cell(text: &str) -> anyhow::Result<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\r', '\n']).unwrap_or(text.len());
        let (cell, after) = text.split_at(end);
        ensure!(!cell.contains('"'), "a quote in a cell that is not quoted");
        return Ok((cell.to_owned(), after));
    };
    let mut cell = String::new();
    let mut rest = quoted;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            bail!("a quoted cell does not end");
        };
        cell.push_str(part);
        let Some(after_quote) = after.strip_prefix('"') else {
            return Ok((cell, after));
        };
        cell.push('"');
        rest = after_quote;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends_within_a_cell_belong_to_it() {
        let rows = parse("a,b\r\n\"x,\"\"y\"\"\r\nz\",\r\n").unwrap();
        assert_eq!(rows, [["a", "b"], ["x,\"y\"\r\nz", ""]]);
    }

    #[test]
    fn what_would_have_to_be_guessed_is_refused() {
        for text in [
            "a,b\r\nc\r\n",
            "a\n",
            "a",
            "\"a\r\n",
            "a\"b\r\n",
            "\"a\"b\r\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
