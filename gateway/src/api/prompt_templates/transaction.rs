//! One transaction for both kinds of owners: an organization's own, or the worker's for the platform's templates.

use std::marker::PhantomData;

use ::api::Problem;
use database::{Bulkhead, Database};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use crate::template::manage::Owner;

/// The connection of a transaction. The lifetimes tell the compiler that a body may borrow what lives for `'a`.
pub(super) struct Scope<'t, 'a> {
    /// To run statements on.
    pub(super) connection: &'t mut PgConnection,
    borrows: PhantomData<&'t &'a ()>,
}

impl<'t> Scope<'t, '_> {
    const fn of(connection: &'t mut PgConnection) -> Self {
        Self {
            connection,
            borrows: PhantomData,
        }
    }
}

/// Runs a body with the rights of the owner: committed when it returns `Ok`, rolled back otherwise, and run again when
/// the transaction conflicted with others.
pub(super) async fn run<'a, T, F>(
    database: &Database,
    name: &'static str,
    owner: Owner,
    mut body: F,
) -> Result<T, Problem>
where
    F: for<'t> FnMut(Scope<'t, 'a>) -> BoxFuture<'t, Result<T, Problem>> + Send,
{
    match owner {
        Owner::Organization(organization) => {
            let run =
                database.tenant::<T, Problem, _>(name, Bulkhead::Control, organization, |tx| {
                    body(Scope::of(tx.connection()))
                });
            run.await
        }
        Owner::System => {
            let run = database.worker::<T, Problem, _>(name, Bulkhead::Control, |tx| {
                body(Scope::of(tx.connection()))
            });
            run.await
        }
    }
}
