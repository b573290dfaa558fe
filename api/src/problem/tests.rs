//! Tests of problems: what is shown, and that each code is documented.

use std::collections::BTreeMap;

use axum::body::to_bytes;

use super::*;
use crate::docs;

async fn shown(problem: Problem) -> serde_json::Value {
    let body = to_bytes(problem.into_response().into_body(), 4096).await;
    serde_json::from_slice(&body.unwrap()).unwrap()
}

#[test]
fn every_code_has_a_row_in_the_error_documentation_and_every_row_a_code() {
    let rows: BTreeMap<_, _> = docs::errors::rows(docs::errors::MANAGEMENT)
        .map(|row| (row.code, row))
        .collect();
    for code in Code::ALL {
        let row = rows.get(code.as_str());
        let row = row.unwrap_or_else(|| panic!("docs/errors.md has no row for {code}"));
        assert_eq!(row.status, code.status().as_str(), "{code}");
        assert!(!row.cause.is_empty() && !row.remedy.is_empty(), "{code}");
    }
    assert_eq!(rows.len(), Code::ALL.len(), "a row without a code");
}

#[tokio::test]
async fn an_internal_failure_shows_its_code_and_never_its_cause() {
    let problem = Problem::internal(std::io::Error::other("password=hunter2"));

    let body = shown(problem).await;

    assert_eq!(body["title"], "Internal error");
    assert_eq!(body["code"], "internal");
    assert!(!body.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_problem_names_its_documentation_and_its_fields() {
    let body = shown(Problem::invalid_field("name", "must not be empty")).await;

    assert_eq!(body["type"], "/api/docs/errors#invalid_fields");
    assert_eq!(body["status"], 422);
    assert_eq!(body["errors"][0]["field"], "name");
}
