//! Refuses to serve over a connection that could get around row-level security.

use crate::transaction::{Role, begin};
use crate::{Bulkhead, Database, Error};

/// What a transaction really runs as.
struct Effective {
    role: String,
    objection: Option<String>,
    login_is_superuser: bool,
}

impl Database {
    /// Checks that the effective roles are neither superuser, nor owner, nor exempt from policies.
    pub async fn verify_roles(&self) -> Result<(), Error> {
        for role in [Role::App, Role::Worker] {
            let effective = self.effective(role).await?;
            if let Some(reason) = effective.objection {
                let role = effective.role;
                return Err(Error::Role { role, reason });
            }
            if effective.login_is_superuser {
                tracing::warn!(
                    role = role.name(),
                    "the login role is a superuser; give the gateway one that is not"
                );
            }
        }
        Ok(())
    }

    async fn effective(&self, role: Role) -> Result<Effective, Error> {
        let pools = self.pools(Bulkhead::Control);
        let mut tx = begin(pools, role, None)
            .await
            .map_err(|error| explain(error, role))?;
        let effective = sqlx::query_as!(
            Effective,
            // A join's columns and a cast's result are never known to be not null.
            r#"
            SELECT current_user::text AS "role!"
                 , CASE
                       WHEN current_user <> $1 THEN 'it is not the role that was asked for'
                       WHEN self.rolsuper THEN 'it is a superuser'
                       WHEN self.rolbypassrls THEN 'it has BYPASSRLS'
                       WHEN EXISTS (
                           SELECT FROM pg_class
                           WHERE relkind IN ('r', 'p')
                             AND pg_has_role(self.oid, relowner, 'USAGE')
                       ) THEN 'it owns tables, or inherits from a role that does'
                   END AS objection
                 , login.rolsuper AS "login_is_superuser!"
            FROM pg_roles AS self
            JOIN pg_roles AS login ON login.rolname = session_user
            WHERE self.rolname = current_user
            "#,
            role.name(),
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(effective)
    }
}

/// Turns "no such role" and "may not become it" into what is to be done.
fn explain(error: Error, role: Role) -> Error {
    let state = match &error {
        Error::Denied(cause) | Error::Other(cause) => cause.sqlstate(),
        _ => None,
    };
    let reason = match state.as_deref() {
        // An invalid value of the setting `role`: there is no such role.
        Some("22023") => "there is no such role; run `flowpilot migrate`",
        Some("42501") => "the login role is not a member of it; run `GRANT` as an administrator",
        _ => return error,
    };
    Error::Role {
        role: role.name().to_owned(),
        reason: reason.to_owned(),
    }
}
