//! The embedded server: its data survive, its folder is its own, and it refuses what would be unsafe.

use std::path::PathBuf;

use database::embedded::{Error, Launcher, Server, ServerOptions};
use database::testing::{binaries, scratch_folder};
use database::{Database, Url, migrate};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::eventually;

async fn options(folder: PathBuf) -> ServerOptions {
    let binaries = tokio::task::spawn_blocking(binaries).await.unwrap();
    ServerOptions::new(folder, binaries.unwrap(), Launcher::Watched)
}

async fn execute(url: &Url, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url.expose()).await?;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

#[tokio::test]
async fn committed_rows_survive_a_kill_and_a_restart() {
    let folder = scratch_folder().unwrap();
    let options = options(folder.clone()).await;
    let server = Server::start(options.clone()).await.unwrap();
    let admin = server.admin_url().clone();
    execute(&admin, "CREATE TABLE kept AS SELECT 1")
        .await
        .unwrap();

    let killed = server.process_id().unwrap();
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    eventually("the server is started again", async || {
        server.process_id().is_some_and(|id| id != killed)
    })
    .await;
    execute(&admin, "INSERT INTO kept VALUES (2)")
        .await
        .unwrap();

    server.stop().await.unwrap();
    let server = Server::start(options).await.unwrap();
    let mut connection = PgConnection::connect(admin.expose()).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows, 2);
    server.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn one_folder_serves_one_gateway_and_one_major_version() {
    let options = options(scratch_folder().unwrap()).await;
    let server = Server::start(options.clone()).await.unwrap();
    let second = Server::start(options.clone()).await;
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");

    server.stop().await.unwrap();
    std::fs::write(options.folder.join("data/PG_VERSION"), "9\n").unwrap();
    let folder = options.folder.clone();
    let other_version = Server::start(options).await;
    std::fs::remove_dir_all(folder).unwrap();
    assert!(
        matches!(&other_version, Err(Error::Version { data, .. }) if data == "9"),
        "{other_version:?}"
    );
}

#[tokio::test]
async fn a_role_that_escapes_row_level_security_is_not_served_with() {
    let folder = scratch_folder().unwrap();
    let server = Server::start(options(folder.clone()).await).await.unwrap();
    let unmigrated = Database::connect(&server.options()).await.unwrap();
    assert!(matches!(
        migrate::check_compatible(&unmigrated).await,
        Err(migrate::Error::Empty)
    ));

    migrate::apply(server.admin_url()).await.unwrap();
    let again = migrate::apply(server.admin_url()).await.unwrap();
    assert_eq!(again, 0);
    let database = Database::connect(&server.options()).await.unwrap();
    assert!(
        migrate::check_compatible(&database)
            .await
            .unwrap()
            .newer
            .is_empty()
    );

    for escape in [
        "ALTER ROLE flowpilot_worker BYPASSRLS",
        "ALTER ROLE flowpilot_worker NOBYPASSRLS SUPERUSER",
        "ALTER ROLE flowpilot_worker NOSUPERUSER; GRANT flowpilot_owner TO flowpilot_worker WITH INHERIT TRUE",
    ] {
        execute(server.admin_url(), escape).await.unwrap();
        let refused = database.verify_roles().await;
        assert!(
            matches!(refused, Err(database::Error::Role { .. })),
            "{escape}: {refused:?}"
        );
    }
    server.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
