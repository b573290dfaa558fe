//! A database that is gone makes misses, never errors, and memory goes on answering.

use cache::Control;

use crate::support::{Setting, ask, entry, text};

const QUESTION: &str = "What is the capital of France?";

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_memory_answers_and_the_rest_are_misses() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    setting.test.database().close().await;
    let cache = setting.cache();

    assert!(ask(&cache, &caller, QUESTION).await.is_none());
    cache.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    assert_eq!(
        text(ask(&cache, &caller, QUESTION).await.as_ref()),
        Some("Paris")
    );
    cache.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_drops_what_does_not_fit_and_memory_still_has_it() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    setting.test.database().close().await;
    let cache = setting.cache();

    let questions: Vec<_> = (0..300)
        .map(|number| format!("Question {number}?"))
        .collect();
    for question in &questions {
        cache.store(entry(&caller, question, "Yes."), &caller, Control::ALL);
    }
    for question in &questions {
        assert!(ask(&cache, &caller, question).await.is_some());
    }
}
