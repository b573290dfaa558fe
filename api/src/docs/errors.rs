//! `docs/errors.md`, read as rows and shown as a page with one anchor per code.

use std::fmt::Write;

/// The document, as it stands in the repository.
pub const MARKDOWN: &str = include_str!("../../../docs/errors.md");

/// One code of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The stable word.
    pub code: &'static str,
    /// The HTTP status.
    pub status: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The section of the codes of `/api/v1`.
pub const MANAGEMENT: &str = "Management API";

/// The section of the codes of the AI routes.
pub const AI: &str = "AI routes";

/// The rows of one section, named by its heading.
pub fn rows(section: &str) -> impl Iterator<Item = Row> {
    let sections = MARKDOWN.split("\n## ");
    let lines = sections.filter_map(move |text| text.strip_prefix(section));
    lines.flat_map(str::lines).filter_map(row)
}

/// A line of the form ``| `code` | status | cause | remedy |``.
fn row(line: &'static str) -> Option<Row> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let code = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some(Row {
        code,
        status: cells.next()?,
        cause: cells.next()?,
        remedy: cells.next()?,
    })
}

/// The page. An anchor is a code of the management API, as in a problem's `type`; some words are codes of both.
pub(crate) fn html() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Error codes</title>\
         <style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         td,th{text-align:left;vertical-align:top;padding:.4rem .8rem}:target{background:#ffd}</style>\
         <h1>Error codes</h1>",
    );
    for (section, prefix) in [(MANAGEMENT, ""), (AI, "ai-")] {
        // Writing to a `String` cannot fail.
        let _ = write!(
            page,
            "<h2>{section}</h2><table><tr><th>Code<th>Status<th>Cause<th>Remedy"
        );
        for row in rows(section) {
            let (cause, remedy) = (escape(row.cause), escape(row.remedy));
            let Row { code, status, .. } = row;
            let _ = write!(
                page,
                "<tr id=\"{prefix}{code}\"><td><code>{code}</code><td>{status}<td>{cause}<td>{remedy}"
            );
        }
        page.push_str("</table>");
    }
    page.push_str("</html>");
    page
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('`', "")
}
