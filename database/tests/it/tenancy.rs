//! An organization sees its own rows, and nothing of it stays on the connection.

use std::sync::atomic::{AtomicU32, Ordering};

use database::testing::TestDatabase;
use database::{Bulkhead, Database, Error, WorkerTransaction, ensure_affected};
use sqlx::AssertSqlSafe;
use tokio::sync::Barrier;
use types::Id;
use types::id::Organization;

/// Inserts a department for `owner`, as `actor`.
async fn insert_department(
    database: &Database,
    actor: Id<Organization>,
    owner: Id<Organization>,
) -> Result<(), Error> {
    database
        .tenant("test: insert", Bulkhead::Control, actor, |tx| {
            Box::pin(async move {
                let done =
                    sqlx::query("INSERT INTO departments (organization_id, name) VALUES ($1, 'R')")
                        .bind(owner.uuid())
                        .execute(tx.connection())
                        .await?;
                ensure_affected(done.rows_affected(), 1)
            })
        })
        .await
}

/// The owners of all departments that an organization sees.
async fn owners(database: &Database, actor: Id<Organization>) -> Vec<uuid::Uuid> {
    let found: Result<_, Error> = database
        .tenant("test: list", Bulkhead::Control, actor, |tx| {
            Box::pin(async move {
                Ok(
                    sqlx::query_scalar("SELECT organization_id FROM departments")
                        .fetch_all(tx.connection())
                        .await?,
                )
            })
        })
        .await;
    found.unwrap()
}

#[tokio::test]
async fn an_organization_sees_and_writes_only_its_own_rows() {
    let test = TestDatabase::new().await;
    let database = test.database();
    let ours = test.seed_organization("ours").await.organization;
    let theirs = test.seed_organization("theirs").await.organization;

    insert_department(database, ours, ours).await.unwrap();
    insert_department(database, theirs, theirs).await.unwrap();
    let refused = insert_department(database, ours, theirs).await;

    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    assert_eq!(owners(database, ours).await, [ours.uuid()]);
    assert_eq!(owners(database, theirs).await, [theirs.uuid()]);
}

#[tokio::test]
async fn a_partition_cannot_be_reached_by_its_name() {
    let test = TestDatabase::new().await;
    let partitions: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind = 'r'",
    )
    .fetch_all(&test.admin())
    .await
    .unwrap();
    assert!(partitions.len() > 8 * 12);

    let organization = test.seed_organization("ours").await.organization;
    for partition in &partitions {
        let partition = partition.as_str();
        let read: Result<(), Error> = test
            .database()
            .tenant("test: by name", Bulkhead::Control, organization, |tx| {
                Box::pin(async move {
                    let sql = AssertSqlSafe(format!("SELECT FROM {partition}"));
                    sqlx::query(sql).execute(tx.connection()).await?;
                    Ok(())
                })
            })
            .await;
        assert!(
            matches!(read, Err(Error::Denied(_))),
            "{partition}: {read:?}"
        );
    }
}

#[tokio::test]
async fn transactions_that_block_each_other_are_run_again() {
    let test = TestDatabase::new().await;
    let first = test.seed_organization("first").await.organization;
    let second = test.seed_organization("second").await.organization;
    let both_hold_one = Barrier::new(2);
    let attempts = AtomicU32::new(0);

    // Each takes the row that the other one takes next; only the first attempts wait for each other.
    let rename = |from: Id<Organization>, to: Id<Organization>| {
        let (database, meeting, attempts) = (test.database(), &both_hold_one, &attempts);
        async move {
            database
                .worker("test: cross", Bulkhead::Workers, |tx| {
                    Box::pin(async move {
                        let attempt = attempts.fetch_add(1, Ordering::SeqCst);
                        touch(tx, from).await?;
                        if attempt < 2 {
                            meeting.wait().await;
                        }
                        touch(tx, to).await
                    })
                })
                .await
        }
    };
    let (forth, back) = tokio::join!(rename(first, second), rename(second, first));

    forth.unwrap();
    back.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

async fn touch(tx: &mut WorkerTransaction<'_>, id: Id<Organization>) -> Result<(), Error> {
    let done = sqlx::query("UPDATE organizations SET industry = 'x' WHERE id = $1")
        .bind(id.uuid())
        .execute(tx.connection())
        .await?;
    ensure_affected(done.rows_affected(), 1)
}

#[tokio::test]
async fn each_meaning_of_a_refusal_is_told_apart() {
    let test = TestDatabase::new().await;
    test.seed_organization("ours").await;
    let check = async |sql: &'static str| -> Error {
        let result: Result<(), Error> = test
            .database()
            .worker("test: refuse", Bulkhead::Hot, |tx| {
                Box::pin(async move {
                    sqlx::raw_sql(sql).execute(tx.connection()).await?;
                    Ok(())
                })
            })
            .await;
        result.unwrap_err()
    };

    let unique =
        check("INSERT INTO organizations (name, slug) SELECT name, slug FROM organizations");
    assert!(
        matches!(unique.await, Error::Unique { constraint } if constraint == "organizations_slug_key")
    );
    let wrong = check("UPDATE organizations SET slug = 'Not Allowed'");
    assert!(matches!(wrong.await, Error::Check { constraint } if constraint == "slug_format"));
    let missing = check("UPDATE organizations SET name = NULL");
    assert!(matches!(missing.await, Error::NotNull { column, .. } if column == "name"));
    let slow = check("SELECT pg_sleep(60)").await;
    assert!(matches!(slow, Error::Timeout(Some(_))) && slow.is_transient());
    let secret = check("UPDATE organizations SET size = 'my secret prompt'").await;
    assert!(!format!("{secret:?} {secret}").contains("secret prompt"));
}
