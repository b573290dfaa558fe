//! One organization is never answered with what another one stored.

use cache::Control;
use database::Bulkhead;
use types::{Permission, Permissions};

use crate::support::{Setting, ask, entry, eventually, key, text};

const QUESTION: &str = "What is the capital of France?";

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_of_two_organizations_is_answered_to_each_with_its_own() {
    let setting = Setting::new().await;
    let (ours, theirs) = (setting.caller("ours").await, setting.caller("theirs").await);
    let (cache, other) = (setting.cache(), setting.cache());

    cache.store(entry(&ours, QUESTION, "Paris"), &ours, Control::ALL);
    assert!(ask(&cache, &theirs, QUESTION).await.is_none());
    eventually("another machine sees it", async || {
        ask(&other, &ours, QUESTION).await.is_some()
    })
    .await;
    assert!(ask(&other, &theirs, QUESTION).await.is_none());

    cache.store(entry(&theirs, QUESTION, "Lyon"), &theirs, Control::ALL);
    assert_eq!(
        text(ask(&cache, &ours, QUESTION).await.as_ref()),
        Some("Paris")
    );
    assert_eq!(
        text(ask(&cache, &theirs, QUESTION).await.as_ref()),
        Some("Lyon")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organizations_key_opens_nothing_and_stores_nothing() {
    let setting = Setting::new().await;
    let (ours, theirs) = (setting.caller("ours").await, setting.caller("theirs").await);
    let cache = setting.cache();
    cache.store(entry(&ours, QUESTION, "Paris"), &ours, Control::ALL);

    let stolen = key(ours.organization, QUESTION);
    assert!(cache.lookup(&stolen, &theirs, Control::ALL).await.is_none());
    cache.store(entry(&ours, QUESTION, "Lyon"), &theirs, Control::ALL);
    assert_eq!(
        text(ask(&cache, &ours, QUESTION).await.as_ref()),
        Some("Paris")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_role_sees_no_row_of_another_organization() {
    let setting = Setting::new().await;
    let (ours, theirs) = (setting.caller("ours").await, setting.caller("theirs").await);
    let cache = setting.cache();
    cache.store(entry(&ours, QUESTION, "Paris"), &ours, Control::ALL);
    eventually("it is in the table", async || {
        setting.count("true").await == 1
    })
    .await;

    let visible = async |organization| -> i64 {
        let database = setting.test.database();
        let count = database.tenant("test: count", Bulkhead::Hot, organization, |tx| {
            Box::pin(async move {
                let count = sqlx::query_scalar("SELECT count(*) FROM semantic_cache");
                Ok::<i64, database::Error>(count.fetch_one(tx.connection()).await?)
            })
        });
        count.await.unwrap()
    };
    assert_eq!(visible(ours.organization).await, 1);
    assert_eq!(visible(theirs.organization).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_writing_need_their_permissions() {
    let setting = Setting::new().await;
    let member = setting.caller("ours").await;
    let with = |permission| types::Caller {
        permissions: Permissions::from_iter([permission]),
        ..member
    };
    let (reader, writer) = (with(Permission::CacheRead), with(Permission::CacheWrite));
    let cache = setting.cache();

    cache.store(entry(&member, QUESTION, "Lyon"), &reader, Control::ALL);
    assert!(ask(&cache, &reader, QUESTION).await.is_none());
    cache.store(entry(&member, QUESTION, "Paris"), &writer, Control::ALL);
    assert!(ask(&cache, &writer, QUESTION).await.is_none());
    assert_eq!(
        text(ask(&cache, &reader, QUESTION).await.as_ref()),
        Some("Paris")
    );
}
