//! The report as RFC 4180 has it: a header, commas, CRLF, exact decimals.

use std::fmt::Display;

use super::Row;

/// The columns, always all of them, so that a program can rely on their places.
const HEADER: &str = "organization_id,period,provider,model,api_key_id,requests,hits,unknown_requests,estimated_requests,\
input_tokens,cache_read_tokens,output_tokens,reasoning_tokens,cost_usd,saved_cost_usd\r\n";

/// Begins of cells that spreadsheets take for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes rows as CSV.
pub fn to_csv(rows: &[Row]) -> String {
    let mut csv = HEADER.to_owned();
    for row in rows {
        let cells = [
            optional(row.organization_id.as_ref()),
            optional(row.period.as_ref()),
            text(row.provider.as_deref().unwrap_or_default()),
            text(row.model.as_deref().unwrap_or_default()),
            optional(row.api_key_id.as_ref()),
            row.requests.to_string(),
            row.hits.to_string(),
            row.unknown_requests.to_string(),
            row.estimated_requests.to_string(),
            row.input_tokens.to_string(),
            row.cache_read_tokens.to_string(),
            row.output_tokens.to_string(),
            row.reasoning_tokens.to_string(),
            row.cost_usd.to_string(),
            row.saved_cost_usd.to_string(),
        ];
        csv.push_str(&cells.join(","));
        csv.push_str("\r\n");
    }
    csv
}

fn optional(value: Option<&impl Display>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
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
}
