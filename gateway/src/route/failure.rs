//! What a failed attempt means: for the request, whether it may be attempted again; for the deployment, whether it is ill.

use std::time::Duration;

use http::StatusCode;

use crate::error::{Kind, Rejection, UpstreamError};

/// What a failed attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Where the request may be attempted again, as long as its answer has not begun.
    pub(crate) again: Again,
    /// What it says about the deployment.
    pub(crate) verdict: Verdict,
    /// When the provider wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// The label in metrics.
    pub(crate) kind: Kind,
}

/// Where a request may be attempted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Nowhere: every provider would say the same.
    Nowhere,
    /// At another deployment only.
    Elsewhere,
    /// At the same one, too.
    Anywhere,
}

/// What a failure says about a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The caller made a mistake, and the deployment noticed.
    Well,
    /// It has too much to do.
    Busy,
    /// It failed.
    Ill,
}

impl From<&UpstreamError> for Failure {
    fn from(error: &UpstreamError) -> Self {
        let (again, verdict, retry_after) = match error {
            UpstreamError::Rejected(rejection) => {
                let (again, verdict) = of_rejection(rejection);
                (again, verdict, rejection.retry_after)
            }
            UpstreamError::Unreachable(_)
            | UpstreamError::Broken(_)
            | UpstreamError::TimedOut(_)
            | UpstreamError::Truncated => (Again::Anywhere, Verdict::Ill, None),
            // It answered, and charged for it; what it will answer next time is no better.
            UpstreamError::Malformed(_) => (Again::Nowhere, Verdict::Ill, None),
        };
        Self {
            again,
            verdict,
            retry_after,
            kind: error.kind(),
        }
    }
}

fn of_rejection(rejection: &Rejection) -> (Again, Verdict) {
    match rejection.status {
        // Our account is used up: waiting does not help, another provider does.
        StatusCode::TOO_MANY_REQUESTS
            if rejection.code.as_deref() == Some("insufficient_quota") =>
        {
            (Again::Elsewhere, Verdict::Ill)
        }
        StatusCode::TOO_MANY_REQUESTS => (Again::Anywhere, Verdict::Busy),
        StatusCode::REQUEST_TIMEOUT => (Again::Anywhere, Verdict::Ill),
        StatusCode::NOT_IMPLEMENTED => (Again::Nowhere, Verdict::Well),
        status if status.is_server_error() => (Again::Anywhere, Verdict::Ill),
        _ if rejection.is_callers_fault() => (Again::Nowhere, Verdict::Well),
        // Our credential, or an address that leads elsewhere.
        _ => (Again::Elsewhere, Verdict::Ill),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(status: u16, code: Option<&str>) -> (Again, Verdict) {
        let rejection = Rejection {
            status: StatusCode::from_u16(status).unwrap(),
            message: String::new(),
            code: code.map(str::to_owned),
            param: None,
            retry_after: None,
            raw: None,
        };
        let failure = Failure::from(&UpstreamError::Rejected(Box::new(rejection)));
        (failure.again, failure.verdict)
    }

    #[test]
    fn what_may_pass_is_attempted_again_and_what_the_caller_did_is_not() {
        for status in [408, 500, 502, 503, 504, 529] {
            let expected = (Again::Anywhere, Verdict::Ill);
            assert_eq!(rejected(status, None), expected, "{status}");
        }
        for status in [400, 404, 409, 413, 422, 501] {
            let expected = (Again::Nowhere, Verdict::Well);
            assert_eq!(rejected(status, None), expected, "{status}");
        }
        for status in [302, 401, 402, 403] {
            let expected = (Again::Elsewhere, Verdict::Ill);
            assert_eq!(rejected(status, None), expected, "{status}");
        }
        assert_eq!(rejected(429, None), (Again::Anywhere, Verdict::Busy));
        let used_up = rejected(429, Some("insufficient_quota"));
        assert_eq!(used_up, (Again::Elsewhere, Verdict::Ill));
    }
}
