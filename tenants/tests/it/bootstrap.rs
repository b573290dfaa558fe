//! The first start and the ones after it.

use database::testing::TestDatabase;
use tenants::bootstrap::{self, Demo, IfLost, Made, Wanted};
use types::SystemClock;

async fn start(
    database: &TestDatabase,
    operator: Option<&str>,
    demo: Option<&str>,
    if_lost: IfLost,
) -> Made {
    let wanted = Wanted {
        operator_key: operator,
        demo: Some(Demo { key: demo }),
        if_lost,
    };
    let made = bootstrap::run(database.database(), &SystemClock, &wanted);
    made.await.unwrap()
}

#[tokio::test]
async fn a_later_start_changes_nothing_while_the_files_are_there() {
    let database = TestDatabase::new().await;
    let first = start(&database, None, None, IfLost::Rotate).await;
    let operator = first.operator_key.unwrap();
    // As a file ends.
    let demo = format!("{}\n", first.demo_key.unwrap().expose());

    let second = start(
        &database,
        Some(operator.expose()),
        Some(&demo),
        IfLost::Rotate,
    )
    .await;

    assert_eq!(second.operator_key, None);
    assert_eq!(second.demo_key, None);
    assert_eq!(second.owner, first.owner);
    assert_eq!(second.demo, first.demo);
}

#[tokio::test]
async fn a_lost_file_gets_a_new_key_and_the_old_one_dies_unless_others_use_it() {
    let database = TestDatabase::new().await;
    let first = start(&database, None, None, IfLost::Rotate).await;

    let kept = start(&database, None, None, IfLost::Keep).await;
    assert_eq!((kept.operator_key, kept.demo_key), (None, None));

    let rotated = start(&database, None, None, IfLost::Rotate).await;
    assert_ne!(rotated.operator_key, first.operator_key);
    assert!(rotated.operator_key.is_some() && rotated.demo_key.is_some());
    let (active,): (i64,) = sqlx::query_as("SELECT count(*) FROM tenants.active_keys")
        .fetch_one(&database.admin())
        .await
        .unwrap();
    assert_eq!(active, 2);
}

#[tokio::test]
async fn two_gateways_that_start_at_once_make_one_platform() {
    let database = TestDatabase::new().await;

    let (one, two) = tokio::join!(
        start(&database, None, None, IfLost::Keep),
        start(&database, None, None, IfLost::Keep),
    );

    assert_eq!(one.platform, two.platform);
    assert_ne!(one.operator_key.is_some(), two.operator_key.is_some());
}
