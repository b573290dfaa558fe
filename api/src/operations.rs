//! The operations of one crate: each with its permission, its handler and its OpenAPI entry.
//!
//! There is no way to add a handler without a permission, so forgetting one does not compile.

use axum::middleware;
use types::Permission;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};

use crate::auth::{self, Guard};
use crate::openapi;

/// The OpenAPI extension that names an operation's permission.
pub const PERMISSION_EXTENSION: &str = "x-permission";

/// Operations that share a state `S`, ready to be mounted by [`crate::Api`].
pub struct Operations<S = ()> {
    state: S,
    routes: Vec<(Permission, UtoipaMethodRouter)>,
}

impl<S: Clone + Send + Sync + 'static> Operations<S> {
    /// No operations yet.
    pub const fn new(state: S) -> Self {
        Self {
            state,
            routes: Vec::new(),
        }
    }

    /// Adds `routes!(handler)`, which only callers with the permission reach.
    #[must_use]
    pub fn add(mut self, permission: Permission, route: UtoipaMethodRouter<S>) -> Self {
        let route = route.with_state(self.state.clone());
        self.routes.push((permission, route));
        self
    }

    /// Guards every handler and completes its documentation.
    pub(crate) fn mount(
        self,
        onto: OpenApiRouter,
        authenticate: &std::sync::Arc<dyn auth::Authenticate>,
    ) -> OpenApiRouter {
        self.routes
            .into_iter()
            .fold(onto, |router, (permission, (schemas, mut paths, route))| {
                for item in paths.paths.values_mut() {
                    for operation in operations_of(item) {
                        document(operation, permission);
                    }
                }
                let guard = Guard {
                    authenticate: authenticate.clone(),
                    permission,
                };
                let route = route.layer(middleware::from_fn_with_state(guard, auth::guard));
                router.routes((schemas, paths, route))
            })
    }
}

impl<S> std::fmt::Debug for Operations<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let permissions: Vec<_> = self.routes.iter().map(|(p, _)| p).collect();
        f.debug_struct("Operations")
            .field("permissions", &permissions)
            .finish_non_exhaustive()
    }
}

/// The operations of a path, whatever their method.
fn operations_of(item: &mut PathItem) -> Vec<&mut Operation> {
    let methods = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ];
    methods.into_iter().filter_map(Option::as_mut).collect()
}

/// What every operation has: its permission, its security, and the problems it may answer.
fn document(operation: &mut Operation, permission: Permission) {
    let extension = (PERMISSION_EXTENSION, permission.as_str());
    let extensions = operation.extensions.get_or_insert_with(Extensions::default);
    extensions.merge([extension].into_iter().collect());

    let sentence = format!("Needs the permission `{permission}`.");
    operation.description = Some(match operation.description.take() {
        Some(text) if !text.is_empty() => format!("{text}\n\n{sentence}"),
        _ => sentence,
    });
    openapi::add_problems(operation);
}
