//! What a new server needs once: the gateway's login role and its database.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::Error;
use super::cluster::Cluster;
use super::door::LOGIN;

/// Makes the group roles, the login role with its current password, and the database.
///
/// The login role may become the roles a transaction runs as, and inherits nothing from them: a
/// transaction that forgets its role has no rights. It cannot become the owner.
const ROLES: &str = "
    DO $roles$
    DECLARE
        wanted text;
    BEGIN
        FOREACH wanted IN ARRAY ARRAY['flowpilot_owner', 'flowpilot_app', 'flowpilot_worker'] LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
            END IF;
        END LOOP;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flowpilot') THEN
            CREATE ROLE flowpilot LOGIN NOINHERIT;
        END IF;
        EXECUTE format('ALTER ROLE flowpilot PASSWORD %L', current_setting('flowpilot.password'));
        GRANT flowpilot_app, flowpilot_worker TO flowpilot;
    END
    $roles$";

/// Runs on a runtime of its own, in the supervisor's thread.
pub(super) fn run(cluster: &Cluster) -> Result<(), Error> {
    let url = cluster.door.maintenance()?;
    let options = url.connect_options().map_err(Error::Bootstrap)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(prepare(&options, &cluster.door.login_password))
        .map_err(|error| Error::Bootstrap(error.into()))
}

async fn prepare(options: &PgConnectOptions, password: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT set_config('flowpilot.password', $1, true)")
        .bind(password)
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(ROLES).execute(&mut *tx).await?;
    tx.commit().await?;

    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(LOGIN)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        sqlx::raw_sql("CREATE DATABASE flowpilot")
            .execute(&mut connection)
            .await?;
    }
    connection.close().await
}
