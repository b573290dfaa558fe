//! What one machine stores, another one finds.

use std::time::Duration;

use cache::Control;
use types::Usage;

use crate::support::{Setting, ask, entry, eventually, text};

const QUESTION: &str = "What is the capital of France?";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_found_at_once_here_and_soon_elsewhere() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    let (here, elsewhere) = (setting.cache(), setting.cache());
    here.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    let key = crate::support::key(caller.organization, QUESTION);
    let stored = here.lookup_in_memory(&key, &caller, Control::ALL).unwrap();
    eventually("the other machine finds it", async || {
        ask(&elsewhere, &caller, QUESTION).await.is_some()
    })
    .await;

    let found = ask(&elsewhere, &caller, QUESTION).await.unwrap();
    let usage = Usage {
        input_tokens: 3,
        output_tokens: 5,
        ..Usage::default()
    };
    assert_eq!(found.entry, stored.entry);
    assert_eq!(found.answer, stored.answer);
    assert_eq!(found.usage, usage);
    assert_eq!((&*found.provider, &*found.model), ("demo", "demo/demo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_starts_later_finds_it_as_old_as_it_is() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    let first = setting.cache();
    first.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    first.stop().await;

    let age = Duration::from_mins(2);
    setting.clock.advance(age);
    let later = setting.cache();
    assert_eq!(
        ask(&later, &caller, QUESTION).await.map(|hit| hit.age),
        Some(age)
    );

    let within = |age_max| Control {
        age_max: Some(age_max),
        ..Control::ALL
    };
    let key = crate::support::key(caller.organization, QUESTION);
    let too_old = later.lookup(&key, &caller, within(age / 2)).await;
    assert!(too_old.is_none());
    assert!(later.lookup(&key, &caller, within(age)).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_answer_replaces_the_old_one_under_a_new_id() {
    let setting = Setting::new().await;
    let caller = setting.caller("ours").await;
    let cache = setting.cache();
    cache.store(entry(&caller, QUESTION, "Lyon"), &caller, Control::ALL);
    let old = ask(&cache, &caller, QUESTION).await.unwrap();
    cache.store(entry(&caller, QUESTION, "Paris"), &caller, Control::ALL);
    cache.stop().await;

    let found = ask(&setting.cache(), &caller, QUESTION).await.unwrap();
    assert_eq!(text(Some(&found)), Some("Paris"));
    assert_ne!(found.entry, old.entry);
    assert_eq!(setting.count("true").await, 1);
}
