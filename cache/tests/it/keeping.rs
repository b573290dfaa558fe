//! What becomes of stored answers: they expire, are taken out of service, are counted and swept.

use std::time::Duration;

use cache::Control;

use crate::support::{Setting, TTL, ask, entry, eventually};

const QUESTION: &str = "What is the capital of France?";

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_answer_is_a_miss_and_is_swept() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    let cache = setting.cache();
    cache.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    eventually("it is in the table", async || {
        setting.count("true").await == 1
    })
    .await;

    setting.clock.advance(TTL / 2);
    assert!(ask(&cache, &caller, QUESTION).await.is_some());
    setting.clock.advance(TTL / 2);
    assert!(ask(&cache, &caller, QUESTION).await.is_none());

    let fresh = setting.cache();
    assert!(ask(&fresh, &caller, QUESTION).await.is_none());
    eventually("the row is swept", async || {
        setting.count("true").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_quarantine_is_a_miss_until_a_fresh_one_replaces_it() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    let cache = setting.cache();
    cache.store(entry(&caller, QUESTION, "Lyon"), &caller, Control::ALL);
    cache.stop().await;
    setting
        .execute("UPDATE semantic_cache SET quarantined_at = now()")
        .await;

    let cache = setting.cache();
    assert!(ask(&cache, &caller, QUESTION).await.is_none());
    cache.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    cache.stop().await;
    assert!(ask(&setting.cache(), &caller, QUESTION).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_counted_together_and_written_at_the_end_at_the_latest() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    let cache = setting.cache();
    cache.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    eventually("it is in the table", async || {
        setting.count("true").await == 1
    })
    .await;

    setting.clock.advance(Duration::from_secs(9));
    for _ in 0..3 {
        assert!(ask(&cache, &caller, QUESTION).await.is_some());
    }
    cache.stop().await;
    let counted = "hit_count = 3 AND last_accessed_at = created_at + interval '9 seconds'";
    assert_eq!(setting.count(counted).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_is_gone_takes_nobody_elses_answers_with_it() {
    let setting = Setting::new().await;
    let (ours, theirs) = (setting.caller("ours").await, setting.caller("theirs").await);
    setting
        .execute("DELETE FROM organizations WHERE name = 'theirs'")
        .await;
    let cache = setting.cache();

    cache.store(entry(&theirs, QUESTION, "Lyon"), &theirs, Control::ALL);
    cache.store(entry(&ours, QUESTION, "Paris"), &ours, Control::ALL);
    cache.stop().await;
    assert_eq!(setting.count("response_text = 'Paris'").await, 1);
    assert_eq!(setting.count("true").await, 1);
}
