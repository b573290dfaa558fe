//! An organization sees its own rows, and nothing of it stays on the connection.

use database::testing::TestDatabase;
use database::{Bulkhead, Database, Error, ensure_affected};
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
