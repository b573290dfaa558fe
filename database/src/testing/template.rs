//! A migrated database that each test's database is a copy of.

use std::sync::mpsc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use super::BoxError;
use super::server::{TestServer, started};
use crate::migrate;

/// The lock of whoever makes a template; test processes may share an external server.
const LOCK: i64 = 0x0066_6c6f_7770_696c;

/// The template's name, once it is there.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// Makes a database as a copy of the template.
pub(super) async fn copy(server: &TestServer, name: &str) -> Result<(), BoxError> {
    let template = TEMPLATE.get_or_try_init(|| make(server)).await?;
    let mut connection = connect(server).await?;
    run(
        &mut connection,
        format!("CREATE DATABASE {name} TEMPLATE {template}"),
    )
    .await?;
    Ok(connection.close().await?)
}

/// How long a test waits for its database to be gone.
///
/// The server waits for connections that are still being opened, up to a minute; one that the test's own runtime was
/// opening can only end after the test, which therefore must not wait for it.
const REMOVAL_WAIT_MAX: Duration = Duration::from_secs(1);

/// Drops a database from outside of any runtime; what fails or takes too long is left to the end of the server.
pub(super) fn remove(name: &str) {
    let Some(server) = started() else { return };
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    let (removed, done) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(async {
            let mut connection = connect(server).await?;
            run(&mut connection, statement).await
        });
        // Nobody may be waiting any more.
        let _ = removed.send(());
        result
    });
    let _ = done.recv_timeout(REMOVAL_WAIT_MAX);
}

/// Makes the template under another name first, so that a half migrated one is never copied.
async fn make(server: &TestServer) -> Result<String, BoxError> {
    let template = format!("flowpilot_template_{}", migrate::fingerprint());
    let mut connection = connect(server).await?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut connection)
        .await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&template)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        let partial = format!("{template}_partial");
        let drop = format!("DROP DATABASE IF EXISTS {partial} WITH (FORCE)");
        run(&mut connection, drop).await?;
        run(&mut connection, format!("CREATE DATABASE {partial}")).await?;
        migrate::apply(&server.admin(&partial)).await?;
        let rename = format!("ALTER DATABASE {partial} RENAME TO {template}");
        run(&mut connection, rename).await?;
    }
    // Closing the connection gives the lock back.
    connection.close().await?;
    Ok(template)
}

async fn connect(server: &TestServer) -> Result<PgConnection, BoxError> {
    let options = server.maintenance().connect_options()?;
    Ok(PgConnection::connect_with(&options).await?)
}

/// Runs a statement about a database, whose name cannot be a parameter. The names are made here.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), BoxError> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}
