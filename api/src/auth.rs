//! Who is calling a management endpoint, and whether the endpoint's one permission allows it.
//!
//! Endpoints are mounted with their permission ([`crate::Operations::add`]), and a guard in front
//! of the handler asks for the credential and the permission before anything else is read.
//! The handler receives the caller as [`Authorized`]; the organization is the credential's, and
//! only the operator may name another one ([`Authorized::organization`]).

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use types::id::Organization;
use types::{Caller, Id, Permission};

use crate::problem::{Code, Problem, RETRY_AFTER};

/// Knows callers by what they present. The gateway hands in one for all crates.
pub trait Authenticate: fmt::Debug + Send + Sync {
    /// The caller behind a presented key, as it stood after `Bearer `.
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Caller, Refusal>>;
}

/// Why a presented key does not make a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No active key has this hash: never made, mistyped, revoked, or of a deactivated organization.
    #[error("the key is not known")]
    Unknown,
    /// The key's time is over.
    #[error("the key has expired")]
    Expired,
    /// The key is not in memory and the database cannot be asked.
    #[error("keys cannot be checked at present")]
    Unavailable,
}

/// The caller of the running operation, whose permission was checked.
#[derive(Debug, Clone, Copy)]
pub struct Authorized(pub Caller);

/// What stands in front of one operation.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) authenticate: Arc<dyn Authenticate>,
    pub(crate) permission: Permission,
}

impl Authorized {
    /// The organization that the operation is about.
    ///
    /// A tenant's caller always means its own: naming another one is answered as if it did not
    /// exist. The operator may name any.
    pub fn organization(
        &self,
        named: Option<Id<Organization>>,
    ) -> Result<Id<Organization>, Problem> {
        match named {
            None => Ok(self.0.organization),
            Some(named) if named == self.0.organization || self.0.is_operator() => Ok(named),
            Some(_) => Err(Problem::not_found("organization")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Authorized {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let authorized = parts.extensions.get::<Self>().copied();
        // Only a handler that was mounted without its guard comes here: it fails closed.
        authorized.ok_or_else(|| Problem::internal(Unguarded))
    }
}

/// A handler was mounted past [`crate::Operations`].
#[derive(Debug, thiserror::Error)]
#[error("the operation was mounted without its permission")]
struct Unguarded;

/// The presented key: everything after `Bearer `, since imported keys may hold spaces.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The middleware: credential, then permission, then the handler.
pub(crate) async fn guard(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    match authorize(&guard, request.headers()).await {
        Ok(authorized) => {
            request.extensions_mut().insert(authorized);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn authorize(guard: &Guard, headers: &HeaderMap) -> Result<Authorized, Problem> {
    let Some(key) = bearer(headers) else {
        let detail = "send the header `Authorization: Bearer <API key>`";
        return Err(Problem::new(Code::KeyMissing).detail(detail));
    };
    let caller = guard.authenticate.authenticate(key).await?;
    if caller.may(guard.permission) {
        return Ok(Authorized(caller));
    }
    let detail = format!("this needs the permission {}", guard.permission);
    Err(Problem::new(Code::PermissionDenied).detail(detail))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::new(Code::KeyUnknown),
            Refusal::Expired => Self::new(Code::KeyExpired),
            Refusal::Unavailable => Self::new(Code::Unavailable).retry_after(RETRY_AFTER),
        }
    }
}
