//! Tests of errors: each code is documented with its status, and nothing else is.

use std::collections::BTreeMap;

use api::docs::errors::{AI, rows};

use metering::{Resource, Scope};

use super::*;

fn all() -> Vec<Error> {
    let cause = || anyhow::anyhow!("a cause");
    vec![
        Error::MissingKey,
        Error::BadKey,
        Error::Forbidden(types::Permission::AiInvoke),
        Error::invalid("a message", None),
        Error::NotSupported("a message".to_owned()),
        Error::BodyTooLarge { limit_bytes: 1 },
        Error::BodyIncomplete,
        Error::UnknownRoute {
            method: "GET".to_owned(),
            path: "/".to_owned(),
        },
        Error::MethodNotAllowed {
            method: "GET".to_owned(),
        },
        Error::UnknownModel("a-model".to_owned()),
        Error::UnknownTemplate {
            slug: String::new(),
            version: None,
        },
        Error::UnpricedModel("a-model".to_owned()),
        Error::RateLimited {
            retry_after: Duration::from_secs(1),
        },
        Error::TooManyAtOnce { limit: 1 },
        Error::IdempotencyMismatch,
        Error::QuotaExceeded(Box::new(Exceeded {
            scope: Scope::Organization,
            resource: Resource::AiTokens,
            limit: 1.into(),
            used: 1.into(),
            reset_at: None,
        })),
        Error::Unavailable { reason: "a reason" },
        Error::internal(cause()),
        rejected(StatusCode::UNAUTHORIZED),
        UpstreamError::Unreachable(cause()).into(),
        UpstreamError::Broken(cause()).into(),
        UpstreamError::TimedOut("a limit").into(),
        UpstreamError::Malformed(cause()).into(),
        UpstreamError::Truncated.into(),
    ]
}

fn rejected(status: StatusCode) -> Error {
    let rejection = Rejection {
        status,
        message: "a message".to_owned(),
        code: None,
        param: None,
        retry_after: None,
        raw: None,
    };
    UpstreamError::Rejected(Box::new(rejection)).into()
}

#[test]
fn every_code_has_a_row_in_the_error_documentation_and_every_row_a_code() {
    let rows: BTreeMap<_, _> = rows(AI).map(|row| (row.code, row)).collect();
    let errors = all();
    for error in &errors {
        let code = error.code();
        let row = rows.get(code);
        let row = row.unwrap_or_else(|| panic!("docs/errors.md has no row for {code}"));
        assert_eq!(row.status, error.status().as_str(), "{code}");
        assert!(!row.cause.is_empty() && !row.remedy.is_empty(), "{code}");
    }
    assert_eq!(rows.len(), errors.len(), "a row without a code");
}

#[test]
fn a_provider_that_rejects_our_credential_is_no_fault_of_the_caller() {
    let error = rejected(StatusCode::UNAUTHORIZED);
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(error.kind(), Kind::UpstreamRejected);
}
